from __future__ import annotations

import hashlib
import io
import json
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from flux_nodes.core.catalog import PARAMETERS
from flux_nodes.sandbox import Fault
from tests.cli.terminal import SMALL
from tests.core.test_image_prompt import bits

if TYPE_CHECKING:
    from flux_nodes.sandbox import Sandbox
    from tests.cli.terminal import Terminal


def submitted(sandbox: Sandbox) -> list[dict[str, object]]:
    return [dict(request.json) for request in sandbox.requests if request.path == "/flux-imagine"]


def test_an_image_lands_in_the_current_folder_under_a_name_that_says_what_it_is(terminal: Terminal) -> None:
    ended = terminal.type("generate", "A red fox, in the snow!", *SMALL)
    assert ended.code == 0
    file = terminal.folder / ended.out.strip()
    assert file.name.startswith("flux-pro-1.1-a-red-fox-in-the-snow-g-")
    assert file.read_bytes().startswith(b"\x89PNG")


def test_in_a_pipe_stdout_holds_the_paths_and_nothing_else(terminal: Terminal) -> None:
    ended = terminal.type("generate", "a fox", *SMALL, "--count", "3", "--output", "pictures/foxes")
    lines = ended.out.splitlines()
    assert len(lines) == 3
    assert all((terminal.folder / line).parent == terminal.folder / "pictures" / "foxes" for line in lines)
    assert all((terminal.folder / line).is_file() for line in lines)


def test_the_document_of_one_generation_describes_the_original_and_names_the_file_that_was_written(
    terminal: Terminal,
) -> None:
    document = terminal.type("generate", "ein Fuchs 狐 im Schnee", *SMALL, "--seed", "7", "--json").document
    file = Path(document["file"])
    original = Path(document["original"])
    assert file.is_absolute()
    assert file.parent == terminal.folder
    assert original.is_absolute()
    assert document["sha256"] == hashlib.sha256(original.read_bytes()).hexdigest()
    assert document["prompt"] == "ein Fuchs 狐 im Schnee"
    assert (document["status"], document["seed"], document["width"], document["error"]) == ("stored", 7, 256, None)
    assert document["parameters"] == {"width": 256, "height": 256}
    assert document["size"] == original.stat().st_size


def test_the_same_bytes_come_from_the_sandbox_and_from_a_service_at_a_base_url(
    terminal: Terminal, bare: Terminal
) -> None:
    words = ("generate", "a lake", *SMALL, "--seed", "3", "--model", "flux-schnell", "--json")
    there, here = terminal.type(*words).document, bare.type(*words, "--sandbox").document
    assert there["sha256"] == here["sha256"]
    assert there["id"] != here["id"]


def test_every_parameter_of_the_catalog_is_an_option_that_reaches_the_wire(
    terminal: Terminal, sandbox: Sandbox
) -> None:
    (terminal.folder / "start.png").write_bytes(PNG)
    terminal.type(
        *("generate", "a lake", "--model", "flux-pro-1.1-ultra", "--image-prompt", "start.png"),
        *("--image-prompt-strength", "0.5", "--prompt-upsampling", "--width", "300", "--height", "400"),
        *("--aspect-ratio", "4:3", "--seed", "1", "--safety-tolerance", "4", "--no-raw"),
        *("--webhook-url", "http://127.0.0.1:9/hook", "--webhook-secret", "hush", "--no-wait"),
    )
    terminal.type(
        "generate",
        "a lake",
        "--model",
        "flux-pro",
        "--steps",
        "9",
        "--guidance",
        "2.5",
        "--interval",
        "3",
        "--seed",
        "2",
        "--no-wait",
    )
    ultra, pro = submitted(sandbox)
    assert b64decode(str(ultra.pop("image_prompt"))) == PNG
    assert ultra == {
        "model": "flux-pro-1.1-ultra",
        "prompt": "a lake",
        "image_prompt_strength": 0.5,
        "prompt_upsampling": True,
        "width": 300,
        "height": 400,
        "aspect_ratio": "4:3",
        "seed": 1,
        "safety_tolerance": 4,
        "raw": False,
        "webhook_url": "http://127.0.0.1:9/hook",
        "webhook_secret": "hush",
    }
    assert pro == {"model": "flux-pro", "prompt": "a lake", "steps": 9, "guidance": 2.5, "interval": 3, "seed": 2}
    assert {*ultra, "image_prompt", *pro} == {item.name for item in PARAMETERS}


def test_what_was_not_given_is_left_to_the_service_but_for_a_seed_that_makes_it_repeatable(
    terminal: Terminal, sandbox: Sandbox
) -> None:
    terminal.type("generate", "a lake", "--count", "2", "--no-wait")
    sent = submitted(sandbox)
    assert len({body.pop("seed") for body in sent}) == 2
    assert sent == [{"model": "flux-pro-1.1", "prompt": "a lake"}] * 2


def test_count_makes_as_many_images_and_seeds_count_up(terminal: Terminal, sandbox: Sandbox) -> None:
    document = terminal.type("generate", "a lake", *SMALL, "--count", "3", "--seed", "0", "--json").document
    assert [entry["seed"] for entry in document["generations"]] == [0, 1, 2]
    assert [body["seed"] for body in submitted(sandbox)] == [0, 1, 2]
    assert len({entry["file"] for entry in document["generations"]}) == 3
    assert document["error"] is None


def test_the_prompt_can_come_from_standard_input(terminal: Terminal, sandbox: Sandbox) -> None:
    assert terminal.type("generate", "-", "--no-wait", stdin="﻿ein Fuchs\nim Schnee\n".encode()).code == 0
    assert submitted(sandbox)[0]["prompt"] == "ein Fuchs\nim Schnee"


def test_standard_input_that_is_no_text_is_bad_input(terminal: Terminal, sandbox: Sandbox) -> None:
    assert terminal.type("generate", "-", stdin=b"\xff\xfe\x00").code == 2
    assert sandbox.charges == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--width", "5", "--raw"),
        ("--width", "wide"),
        ("--model", "flux-nope"),
        ("--seed", "1.5"),
        ("--image-prompt", "missing.png"),
        ("--count", "0"),
        ("--nonsense",),
    ],
)
def test_bad_input_ends_with_2_and_nothing_is_sent(
    terminal: Terminal, sandbox: Sandbox, words: tuple[str, ...]
) -> None:
    ended = terminal.type("generate", "a fox", *words)
    assert (ended.code, ended.out) == (2, "")
    assert words[-1].lstrip("-") in ended.err
    assert sandbox.requests == []


def test_every_fault_of_a_request_is_told_at_once(terminal: Terminal) -> None:
    document = terminal.type("generate", "a fox", "--width", "5", "--raw", "--json").document
    assert document["error"]["type"] == "InvalidRequest"
    assert {fault["where"] for fault in document["error"]["faults"]} == {"width", "raw"}


def test_bad_input_is_a_document_too_even_when_it_cannot_be_parsed(terminal: Terminal) -> None:
    ended = terminal.type("generate", "a fox", *SMALL, "--json", "--nonsense")
    assert ended.code == 2
    assert "--nonsense" in ended.document["error"]["message"]
    assert "--nonsense" in ended.err


def test_without_a_key_the_two_ways_on_are_named(bare: Terminal) -> None:
    ended = bare.type("generate", "a fox")
    assert ended.code == 2
    assert "APIFRAME_API_KEY" in ended.err
    assert "--sandbox" in ended.err


def test_a_failed_generation_ends_with_1_and_the_services_own_words(terminal: Terminal) -> None:
    ended = terminal.type("generate", "a fox [sandbox: fail moderation]", *SMALL, "--json")
    assert ended.code == 1
    assert "Request Moderated" in ended.err
    assert ended.document["error"]["type"] == "GenerationFailed"
    assert ended.document["error"]["ids"] == [ended.document["id"]]
    assert ended.document["status"] == "failed"


def test_of_several_generations_one_failure_spoils_the_code_but_no_other_image(
    terminal: Terminal, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="fail", skip=1))
    ended = terminal.type("generate", "a fox", *SMALL, "--count", "3", "--json")
    assert ended.code == 1
    assert [entry["status"] for entry in ended.document["generations"]] == ["stored", "failed", "stored"]
    assert ended.document["error"]["ids"] == [ended.document["generations"][1]["id"]]
    assert len(list(terminal.folder.iterdir())) == 2


def test_a_key_that_the_service_refuses_ends_with_3_and_is_never_shown(terminal: Terminal) -> None:
    stranger = type(terminal)(terminal.folder, {**terminal.environ, "APIFRAME_API_KEY": "sk-secret-9"})
    ended = stranger.type("generate", "a fox", "--json")
    assert ended.code == 3
    assert ended.document["error"]["type"] == "KeyRefused"
    assert "sk-secret-9" not in ended.out + ended.err


def test_after_a_refusal_the_rest_is_not_sent_and_what_was_accepted_is_collected(
    terminal: Terminal, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="refuse", status=400, skip=1))
    ended = terminal.type("generate", "a fox", *SMALL, "--count", "4")
    assert ended.code == 3
    assert "2 more" in ended.err
    assert sandbox.charges == 1
    assert (terminal.folder / ended.out.strip()).is_file()


def test_a_lost_answer_ends_with_3_and_names_the_generation(terminal: Terminal, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="lost-after"))
    ended = terminal.type("generate", "a fox", *SMALL, "--json")
    assert ended.code == 3
    assert ended.document["error"]["type"] == "SubmitUnconfirmed"
    assert len(ended.document["error"]["ids"]) == 1
    assert sandbox.charges == 1


def test_no_wait_returns_the_ids_at_once(slow: Terminal) -> None:
    ended = slow.type("generate", "a fox", "--count", "2", "--no-wait")
    assert ended.code == 0
    ids = ended.out.split()
    assert len(ids) == 2
    assert {entry["id"] for entry in slow.type("list", "--json").document["generations"]} == set(ids)
    assert list(slow.folder.iterdir()) == []


def test_when_the_time_allowed_ends_the_code_is_4_and_one_command_collects_all(slow: Terminal) -> None:
    ended = slow.type("generate", "a fox", "--count", "2", "--timeout", "0.2", "--json")
    ids = [entry["id"] for entry in ended.document["generations"]]
    assert ended.code == 4
    assert f"flux-nodes wait {' '.join(ids)}" in ended.err
    assert {entry["error"]["type"] for entry in ended.document["generations"]} == {"StillRunning"}


def test_a_file_that_is_there_is_never_overwritten(terminal: Terminal) -> None:
    id_ = terminal.type("generate", "a fox", *SMALL, "--no-wait").out.strip()
    taken = terminal.folder / f"flux-pro-1.1-a-fox-{id_}.png"
    taken.write_text("mine")
    delivered = terminal.type("wait", id_).out.strip()
    assert taken.read_text() == "mine"
    assert delivered == f"flux-pro-1.1-a-fox-{id_}-2.png"
    assert terminal.type("wait", id_).out.strip() == delivered


def test_a_prompt_without_latin_letters_still_gives_a_file_name(terminal: Terminal) -> None:
    name = terminal.type("generate", "狐狸", *SMALL).out.strip()
    assert name.startswith("flux-pro-1.1-g-")
    assert (terminal.folder / name).is_file()


def test_a_long_prompt_is_cut_between_words(terminal: Terminal) -> None:
    name = terminal.type("generate", "Über " + "mountains " * 20, *SMALL).out.strip()
    assert name.startswith("flux-pro-1.1-uber-mountains-mountains-mountains-g-")


def test_an_output_folder_that_cannot_be_made_is_found_before_anything_is_sent(
    terminal: Terminal, sandbox: Sandbox
) -> None:
    (terminal.folder / "file").write_text("")
    assert terminal.type("generate", "a fox", *SMALL, "--output", "file/below").code == 2
    assert sandbox.charges == 0


def test_progress_goes_to_stderr_and_not_at_all_with_json(terminal: Terminal) -> None:
    assert "done" in terminal.type("generate", "a fox", *SMALL).err
    ended = terminal.type("generate", "a fox", *SMALL, "--json")
    assert ended.err == ""
    assert json.loads(ended.out)["status"] == "stored"


PNG = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP8z8DAwMDAxMDAwMDAAAANHQEDasKb6QAAAABJRU5ErkJggg=="
)
"""Two by two pixels."""


def test_a_photo_as_image_prompt_is_sent_at_2048_a_side_and_is_free_again(
    terminal: Terminal, sandbox: Sandbox, folder: Path
) -> None:
    Image.linear_gradient("L").resize((3000, 600)).convert("RGB").save(folder / "photo.png")
    words = ("generate", "x", *SMALL, "--seed", "1", "--image-prompt", "photo.png", "--json")

    first, again = terminal.type(*words).document, terminal.type(*words).document

    (body,) = submitted(sandbox)
    with Image.open(io.BytesIO(b64decode(str(body["image_prompt"])))) as image:
        assert image.size == (2048, 410)
    assert (again["id"], again["reused"], sandbox.charges) == (first["id"], True, 1)


@pytest.mark.parametrize("name", ["huge.png", "/dev/zero"])
def test_an_image_prompt_that_is_too_large_is_one_sentence_and_nothing_is_sent(
    terminal: Terminal, sandbox: Sandbox, folder: Path, name: str
) -> None:
    (folder / "huge.png").write_bytes(bits(7900))

    ended = terminal.type("generate", "x", "--image-prompt", name)

    assert ended.code == 2
    assert "allowed" in ended.err
    assert "Traceback" not in ended.err
    assert sandbox.requests == []
