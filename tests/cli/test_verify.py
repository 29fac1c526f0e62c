"""What `flux-nodes verify` tells of a file: what is proven by this home or by a signature, and what is only claimed."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from flux_nodes.core.images import digest
from flux_nodes.sandbox import Quirks, Sandbox, serving
from tests import signing
from tests.cli.terminal import SMALL, Ended, Terminal

FOX = ("generate", "a fox", "--model", "flux-schnell", "--seed", "7", *SMALL)
FILM = b"\0\0\0\x18ftypisom\0\0\0\0" + b"\0" * 40
YESTERDAY = Path(__file__).parents[1] / "graph" / "yesterday" / "0.3.0"


@dataclass(frozen=True)
class Made:
    """One generation of a home: its copy, its original, its document, and the environment that leads there."""

    copy: bytes
    original: bytes
    document: Any
    environ: dict[str, str]


def made(folder: Path, sandbox: Sandbox) -> Made:
    with closing(sandbox), serving(sandbox) as server:
        environ = {"APIFRAME_BASE_URL": server.url, "APIFRAME_API_KEY": "sandbox", "FLUX_NODES_HOME": f"{folder}/home"}
        ended = Terminal(folder, environ).type(*FOX, "--json")
    assert ended.code == 0, ended.err
    document = ended.document
    files = (Path(document["file"]).read_bytes(), Path(document["original"]).read_bytes())
    # Nothing is asked: the service that made it is gone by now, and there is no key.
    return Made(*files, document, {"FLUX_NODES_HOME": environ["FLUX_NODES_HOME"]})


@pytest.fixture(scope="module")
def fox(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A picture of a service that does not sign."""
    return made(tmp_path_factory.mktemp("fox"), Sandbox(seconds=0))


@pytest.fixture(scope="module", params=["png", "jpeg", "webp"])
def signed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A picture of a service that signs, in each of its formats."""
    quirks = Quirks(image_type=request.param)
    return made(tmp_path_factory.mktemp("signed"), Sandbox(seconds=0, quirks=quirks, finish=signing.sign))


@pytest.fixture
def there(fox: Made, tmp_path: Path) -> Terminal:
    """A terminal in the home of the fox."""
    return Terminal(tmp_path, fox.environ)


def verified(terminal: Terminal, data: bytes, *words: str) -> Ended:
    (terminal.folder / "file").write_bytes(data)
    return terminal.type("verify", "file", *words)


def told(terminal: Terminal, data: bytes, *words: str) -> tuple[int, Any]:
    ended = verified(terminal, data, "--json", *words)
    return ended.code, ended.document


def picture(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def texts(data: bytes) -> dict[str, str]:
    return {str(name): text for name, text in picture(data).info.items() if isinstance(text, str)}


def written(image: Image.Image, carried: dict[str, str], **options: Any) -> bytes:
    info, target = PngImagePlugin.PngInfo(), io.BytesIO()
    for name, text in carried.items():
        info.add_text(name, text)
    image.save(target, "PNG", pnginfo=info, **options)
    return target.getvalue()


def repainted(data: bytes, **facts: Any) -> bytes:
    """The same file with one pixel more or less, and perhaps with other words."""
    image = picture(data)
    red, *others = image.getpixel((5, 5))  # type: ignore[misc] # an RGB image has a tuple
    image.putpixel((5, 5), (red ^ 1, *others))
    return written(image, {**texts(data), "flux_nodes": rewritten(data, **facts)})


def rewritten(data: bytes, **facts: Any) -> str:
    document = json.loads(texts(data)["flux_nodes"])
    (claim,) = next(iter(document["nodes"].values()))
    claim.update(facts)
    return json.dumps(document)


def test_a_copy_is_known_and_unchanged(there: Terminal, fox: Made) -> None:
    code, document = told(there, fox.copy)
    assert (code, document["verdict"], document["holds"]) == (0, "unchanged", True)
    (generation,) = document["generations"]
    assert generation["proven"]
    assert generation["same_pixels"]
    assert (generation["generation_id"], generation["model"], generation["prompt"], generation["seed"]) == (
        fox.document["id"],
        "flux-schnell",
        "a fox",
        7,
    )
    assert generation["original"]["file"] == fox.document["original"]
    assert document["digital_source_type"] == signing.TRAINED
    assert document["signature"]["state"] == "none"


def test_people_are_told_in_words(there: Terminal, fox: Made) -> None:
    ended = verified(there, fox.copy)
    lines = dict(line.split("\t", 1) for line in ended.out.splitlines())
    assert (ended.code, ended.err) == (0, "")
    assert lines["verdict"].startswith("known and unchanged: a copy")
    assert lines["known by"] == "the journal of this home"
    assert (lines["prompt"], lines["seed"]) == ("a fox", "7")
    started = datetime.fromisoformat(fox.document["created_at"]).astimezone()
    assert lines["started"] == f"{started:%Y-%m-%d %H:%M}"
    assert fox.document["original"] in lines["original"]


def test_the_original_is_known_by_its_bytes_wherever_it_lies(there: Terminal, fox: Made) -> None:
    code, document = told(there, fox.original)
    assert (code, document["verdict"]) == (0, "original")
    assert document["generations"][0]["generation_id"] == fox.document["id"]


def test_a_copy_that_was_only_packed_anew_is_unchanged(there: Terminal, fox: Made) -> None:
    again = written(picture(fox.copy), texts(fox.copy), compress_level=9)
    assert again != fox.copy
    assert told(there, again)[0] == 0


@pytest.mark.parametrize("name", ["assistant", "comfyui", "terminal-generate", "terminal-run"])
@pytest.mark.parametrize("at_home", [True, False])
def test_what_a_released_version_delivered_is_known_where_its_journal_is(
    tmp_path: Path, name: str, at_home: bool
) -> None:
    if at_home:
        shutil.copytree(YESTERDAY / "home", tmp_path / "home")
    there = Terminal(tmp_path, {"FLUX_NODES_HOME": str(tmp_path / "home")})
    code, document = told(there, (YESTERDAY / "images" / f"{name}.png").read_bytes())
    assert (code, document["verdict"]) == ((0, "unchanged") if at_home else (1, "claimed"))


def test_one_pixel_that_was_changed_is_told(there: Terminal, fox: Made) -> None:
    code, document = told(there, repainted(fox.copy))
    assert (code, document["verdict"], document["as_written"]) == (1, "changed", False)
    assert document["generations"][0]["same_pixels"] is False
    assert "not those of the original" in verified(there, repainted(fox.copy)).out


@pytest.mark.parametrize(
    "facts", [{"prompt": "a hen"}, {"seed": 8}, {"model": "flux-dev"}, {"sha256": "0" * 64}, {"prompt": ["a fox"]}]
)
def test_words_that_were_changed_are_told_against_the_journal(
    there: Terminal, fox: Made, facts: dict[str, Any]
) -> None:
    code, document = told(there, written(picture(fox.copy), {"flux_nodes": rewritten(fox.copy, **facts)}))
    assert (code, document["verdict"]) == (1, "changed")
    (generation,) = document["generations"]
    assert generation["differs"] == list(facts)
    assert (generation["prompt"], generation["seed"]) == ("a fox", 7), "the journal's word is told, not the file's"


def test_pixels_and_words_that_were_changed_together_are_not_believed(there: Terminal, fox: Made) -> None:
    document = json.loads(rewritten(fox.copy))
    forged = picture(repainted(fox.copy))
    document["pixels"] = digest(forged)
    code, found = told(there, written(forged, {"flux_nodes": json.dumps(document)}))
    assert (code, found["verdict"], found["as_written"]) == (1, "derived", True)


def test_the_words_of_one_picture_in_another_are_not_believed(there: Terminal, fox: Made) -> None:
    other = Image.new("RGB", (256, 256), "teal")
    assert told(there, written(other, texts(fox.copy)))[1]["verdict"] == "changed"


def test_a_file_without_its_words_is_unknown(there: Terminal, fox: Made) -> None:
    code, document = told(there, written(picture(fox.copy), {}))
    assert (code, document["verdict"], document["generations"]) == (1, "unknown", [])


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_facts_in_other_formats_are_read_and_their_loss_is_told(there: Terminal, fox: Made, form: str) -> None:
    exif, target = Image.Exif(), io.BytesIO()
    exif[0x010F] = f"flux_nodes:{texts(fox.copy)['flux_nodes']}"
    picture(fox.copy).save(target, form, exif=exif, quality=70)
    code, document = told(there, target.getvalue())
    assert (code, document["verdict"]) == (1, "changed")
    assert document["generations"][0]["generation_id"] == fox.document["id"]


def test_elsewhere_without_a_journal_it_is_only_claimed_and_nothing_is_made_there(fox: Made, tmp_path: Path) -> None:
    elsewhere = Terminal(tmp_path, {"FLUX_NODES_HOME": str(tmp_path / "other")})
    code, document = told(elsewhere, fox.copy)
    assert (code, document["verdict"], document["as_written"]) == (1, "claimed", True)
    (generation,) = document["generations"]
    assert (generation["proven"], generation["prompt"], generation["original"]["file"]) == (False, "a fox", None)
    assert told(elsewhere, repainted(fox.copy))[1]["verdict"] == "changed"
    assert "There is no journal" in verified(elsewhere, fox.copy).err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("broken", ["settings.json", "journal.sqlite3"])
def test_with_settings_or_a_journal_that_cannot_be_read_it_is_only_claimed(
    fox: Made, tmp_path: Path, broken: str
) -> None:
    home = tmp_path / "other"
    home.mkdir()
    (home / broken).write_text("[" * 100)
    code, document = told(Terminal(tmp_path, {"FLUX_NODES_HOME": str(home)}), fox.copy)
    assert (code, document["verdict"]) == (1, "claimed")
    assert document["journal"]


def test_an_original_that_is_lost_or_damaged_proves_nothing(tmp_path: Path) -> None:
    lost = made(tmp_path, Sandbox(seconds=0))
    there = Terminal(tmp_path, lost.environ)
    kept = Path(lost.document["original"])
    for spoil in (lambda: kept.write_bytes(lost.original[:-40] + b"\0" * 40), kept.unlink):
        spoil()
        code, document = told(there, lost.copy)
        (generation,) = document["generations"]
        assert (code, document["verdict"], generation["proven"]) == (1, "claimed", True)
        assert (generation["same_pixels"], generation["original"]["file"]) == (None, None)
        assert generation["original"]["damaged"] == (str(kept) if kept.exists() else None)
        words = dict(line.split("\t", 1) for line in verified(there, lost.copy).out.splitlines())
        state = "damaged" if kept.exists() else "not here"
        assert words["pixels"] == f"not compared: the original is {state}"
        assert state in words["original"]
        assert f"`flux-nodes wait {lost.document['id']}` collects it again, free" in words["original"]
    assert told(there, lost.original)[1]["verdict"] == "original", "the journal has its digest"


def test_a_damaged_file_is_told_as_far_as_it_can_be_read(there: Terminal, fox: Made) -> None:
    code, document = told(there, fox.copy[: len(fox.copy) // 2])
    assert (code, document["verdict"]) == (1, "damaged")
    assert document["problem"]
    assert document["generations"][0]["generation_id"] == fox.document["id"]
    assert document["generations"][0]["original"]["file"] == fox.document["original"]
    words = dict(line.split("\t", 1) for line in verified(there, fox.copy[: len(fox.copy) // 2]).out.splitlines())
    assert words["pixels"] == "not compared: those of this file cannot be read"


@pytest.mark.parametrize("data", [b"", b"a text\n", b"%PDF-1.7", b"\x7fELF" + b"\0" * 99, b"<svg/>", b"{}", FILM])
def test_what_is_no_image_is_one_sentence(there: Terminal, data: bytes) -> None:
    ended = verified(there, data)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert "no image" in ended.err


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\xff\xff\xff\xffWEBP", b"GIF89a"])
def test_the_beginning_of_an_image_is_a_damaged_one(there: Terminal, data: bytes) -> None:
    assert told(there, data + b"\xff" * 30)[1]["verdict"] == "damaged"


def test_what_is_no_file_is_refused_and_not_read(there: Terminal) -> None:
    assert there.type("verify", "nowhere.png").code == 2
    assert there.type("verify", ".").code == 2
    if hasattr(os, "mkfifo"):
        os.mkfifo(there.folder / "pipe")
        assert "no regular file" in there.type("verify", "pipe").err


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        "9" * 5000,
        "[]",
        '{"nodes": []}',
        '{"nodes": {"1": 5}}',
        '{"nodes": {"1": [5, null, {}]}}',
        '{"nodes": {"1": [{"generation_id": 7}]}}',
        '{"nodes": {"1": [{"generation_id": "../../x"}]}}',
        '{"nodes": {"1": [{"generation_id": "task-1"}]}, "pixels": 5}',
    ],
)
def test_words_that_are_not_ours_are_no_claim(there: Terminal, text: str) -> None:
    code, document = told(there, written(Image.new("RGB", (9, 9)), {"flux_nodes": text}))
    assert (code, document["verdict"]) == (1, "unknown")


def test_hostile_words_are_told_without_steering_the_terminal(there: Terminal, fox: Made) -> None:
    facts = {"generation_id": "g-2222", "prompt": "\x1b[2Jfox\ud83d", "seed": 10**100, "model": {"a": 1}}
    data = written(Image.new("RGB", (9, 9)), {"flux_nodes": rewritten(fox.copy, **facts)})
    ended = verified(there, data)
    assert (ended.code, "\x1b" in ended.out) == (1, False)
    (generation,) = told(there, data)[1]["generations"]
    assert (generation["proven"], generation["seed"], generation["model"]) == (False, None, None)


def test_the_original_of_a_signed_result_is_valid_and_its_copy_tells_so(signed: Made, tmp_path: Path) -> None:
    there = Terminal(tmp_path, signed.environ)
    code, original = told(there, signed.original)
    assert (code, original["verdict"], original["signature"]["state"]) == (0, "original", "valid")
    assert original["signature"]["signer"] == signing.SIGNER
    code, copy = told(there, signed.copy)
    assert (code, copy["verdict"], copy["signature"]["state"]) == (0, "unchanged", "none")
    assert copy["generations"][0]["original"]["signature"]["state"] == "valid"

    (tmp_path / "root.pem").write_text(signing.root())
    assert told(there, signed.original, "--trust", "root.pem")[1]["signature"]["state"] == "trusted"
    assert "valid and trusted" in verified(there, signed.copy, "--trust", "root.pem").out


def test_a_signed_original_that_was_tampered_with_is_invalid(signed: Made, tmp_path: Path) -> None:
    at = len(signed.original) - 60 if signed.original[:4] != b"RIFF" else 200
    tampered = signed.original[:at] + bytes([signed.original[at] ^ 0x55]) + signed.original[at + 1 :]
    code, document = told(Terminal(tmp_path, signed.environ), tampered)
    assert (code, document["signature"]["state"]) == (1, "invalid")
    assert "assertion.dataHash.mismatch" in document["signature"]["problems"]
    assert "INVALID" in verified(Terminal(tmp_path, signed.environ), tampered).out


def test_elsewhere_a_signature_is_judged_as_well_and_a_copy_says_where_the_signed_one_is(
    signed: Made, tmp_path: Path
) -> None:
    elsewhere = Terminal(tmp_path, {"FLUX_NODES_HOME": str(tmp_path / "other")})
    code, original = told(elsewhere, signed.original)
    assert (code, original["verdict"], original["signature"]["state"]) == (1, "unknown", "valid")
    (generation,) = told(elsewhere, signed.copy)[1]["generations"]
    assert generation["original"]["said_signed"]
    assert generation["original"]["sha256"] == signed.document["sha256"]
    assert generation["original"]["place"].startswith("images/")


def test_a_signature_that_was_broken_when_it_came_is_told_though_nothing_changed_since(tmp_path: Path) -> None:
    def badly(data: bytes, media_type: str) -> bytes:
        good, comment = signing.sign(data, media_type), io.BytesIO()
        PngImagePlugin.putchunk(comment, b"tEXt", b"Comment\0nobody signed this")
        at = good.index(b"IHDR") + 21
        return good[:at] + comment.getvalue() + good[at:]

    broken = made(tmp_path, Sandbox(seconds=0, finish=badly))
    code, document = told(Terminal(tmp_path, broken.environ), broken.copy)
    assert (code, document["verdict"]) == (1, "unchanged")
    assert document["generations"][0]["original"]["signature"]["state"] == "invalid"


def test_without_the_library_it_says_what_would_check_the_signature(
    signed: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    there = Terminal(tmp_path, signed.environ)
    code, document = told(there, signed.original)
    assert (code, document["signature"]["state"]) == (0, "unchecked")
    assert 'pip install "flux-nodes[c2pa]"' in verified(there, signed.original).out


BEGIN, END = "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "text", ["", "no certificate", f"{BEGIN}AAAA\n{END}", f"{BEGIN}MIIB", f"{BEGIN}\N{SNOWMAN}{END}"]
)
def test_what_is_no_certificate_is_not_trusted(there: Terminal, fox: Made, text: str) -> None:
    (there.folder / "root.pem").write_text(text)
    ended = verified(there, fox.copy, "--trust", "root.pem")
    assert (ended.code, ended.out) == (2, "")
    assert "certificate" in ended.err
