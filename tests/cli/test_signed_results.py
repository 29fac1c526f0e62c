"""A result that the service signed (C2PA): the copy does not pretend to be, and the original stays as it came."""

from __future__ import annotations

import io
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from PIL import Image

from flux_nodes.core.content_credentials import is_signed
from flux_nodes.core.images import decode
from flux_nodes.core.xmp import COMPOSITE, TRAINED, source_type
from flux_nodes.nodes import NODES
from flux_nodes.sandbox import Quirks, Sandbox
from tests import signing
from tests.cli.terminal import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.terminal import Terminal

FOX = ("generate", "a fox", "--model", "flux-schnell", "--seed", "7", *SMALL)


@pytest.fixture(params=["png", "jpeg", "webp"])
def image_type(request: pytest.FixtureRequest) -> Literal["png", "jpeg", "webp"]:
    chosen: Literal["png", "jpeg", "webp"] = request.param
    return chosen


@pytest.fixture
def sandbox(image_type: Literal["png", "jpeg", "webp"]) -> Iterator[Sandbox]:
    """A service that signs."""
    with closing(Sandbox(seconds=0, quirks=Quirks(image_type=image_type), finish=signing.sign)) as made:
        yield made


def facts(data: bytes) -> dict[str, Any]:
    with Image.open(io.BytesIO(data)) as image:
        told: dict[str, Any] = json.loads(image.info["flux_nodes"])
    return told


def claims(data: bytes) -> list[dict[str, Any]]:
    return [each for node in facts(data)["nodes"].values() for each in node]


def test_the_copy_has_no_manifest_and_tells_where_the_signed_original_is(terminal: Terminal) -> None:
    document = terminal.type(*FOX, "--json").document
    copy, original = Path(document["file"]).read_bytes(), Path(document["original"]).read_bytes()

    assert (signing.state(copy), signing.state(original)) == (None, "Valid")
    assert not is_signed(copy)
    (claim,) = claims(copy)
    assert claim["original"] == {
        "signed": "c2pa",
        "sha256": document["sha256"],
        "media_type": document["media_type"],
        "file": Path(document["original"]).relative_to(terminal_home(terminal)).as_posix(),
    }
    assert source_type(copy) == TRAINED
    assert np.array_equal(decode(copy), decode(original))


def terminal_home(terminal: Terminal) -> Path:
    return terminal.folder.parent / "home"


def test_original_delivers_what_was_signed_byte_for_byte(terminal: Terminal) -> None:
    document = terminal.type(*FOX, "--original", "--json").document
    data = Path(document["file"]).read_bytes()
    assert signing.state(data) == "Valid"
    assert data == Path(document["original"]).read_bytes()


@pytest.mark.parametrize("image_type", ["png"])
def test_a_headless_run_saves_copies_and_with_original_the_signed_ones_too(terminal: Terminal) -> None:
    (terminal.folder / "graph.png").write_bytes(Path(terminal.type(*FOX, "--json").document["file"]).read_bytes())
    document = terminal.type("run", "graph.png", "--original", "-o", "out", "--json").document
    (saved,), (original,) = document["files"], document["originals"]
    copy = Path(saved["file"]).read_bytes()

    assert (signing.state(copy), signing.state(Path(original).read_bytes())) == (None, "Valid")
    (claim,) = claims(copy)
    assert claim["original"]["sha256"] == claim["sha256"] == document["generations"][0]["sha256"]
    assert source_type(copy) == TRAINED


@pytest.mark.parametrize("image_type", ["png"])
def test_a_run_lists_the_originals_after_what_its_nodes_saved(terminal: Terminal) -> None:
    (terminal.folder / "graph.png").write_bytes(Path(terminal.type(*FOX, "--json").document["file"]).read_bytes())
    ended = terminal.type("run", "graph.png", "--original", "-o", "out")
    saved, original = ended.out.split()
    assert saved.startswith("out/flux/")
    assert Path(original).parent == Path("out")
    assert signing.state((terminal.folder / original).read_bytes()) == "Valid"


SIZED = {"upscale_method": "area", "width": 64, "height": 64, "crop": "disabled"}
PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "photo": ("LoadImage", {"image": "photo.png"}),
    "scaled": ("ImageScale", {"image": ["photo", 0], **SIZED}),
    "fox": ("FluxImagine", {"prompt": "a fox", "seed": 7}),
    "remix": ("FluxImagine", {"prompt": "b", "seed": 8, "image_prompt": ["photo", 0]}),
    "batch": ("ImageBatch", {"image1": ["photo", 0], "image2": ["fox", 0]}),
    "sheet": ("FluxContactSheet", {"image_1": ["batch", 0]}),
    "foxes": ("FluxContactSheet", {"image_1": ["fox", 0]}),
}


def graph() -> dict[str, Any]:
    """A graph that saves each of PICTURES, with the nodes' own values for what they do not name."""
    saving = {f"save-{name}": ("SaveImage", {"images": [name, 0], "filename_prefix": name}) for name in PICTURES}
    usual = {node.id: {item.name: item.default for item in node.inputs if item.default is not None} for node in NODES}
    usual["FluxImagine"] |= {"model": "flux-schnell", "width": 256, "height": 256}
    return {
        id_: {"class_type": kind, "inputs": {**usual.get(kind, {}), **inputs}}
        for id_, (kind, inputs) in {**PICTURES, **saving}.items()
    }


@pytest.mark.parametrize("image_type", ["png"])
def test_a_saved_picture_says_that_a_model_made_it_only_where_one_did(terminal: Terminal) -> None:
    Image.new("RGB", (32, 32), "teal").save(terminal.folder / "photo.png")
    (terminal.folder / "graph.json").write_text(json.dumps(graph()))

    ended = terminal.type("run", "graph.json", "-o", "out", "--json")

    assert ended.code == 0, ended.err
    found = {Path(each["file"]).name: source_type(Path(each["file"]).read_bytes()) for each in ended.document["files"]}
    assert found == {
        "photo_00001_.png": None,
        "scaled_00001_.png": None,
        "fox_00001_.png": TRAINED,
        "remix_00001_.png": TRAINED,
        "batch_00001_.png": None,
        "batch_00002_.png": TRAINED,
        "sheet_00001_.png": COMPOSITE,
        "foxes_00001_.png": TRAINED,
    }
    verdicts = {Path(each["file"]).stem[:-7]: verdict(terminal, each["file"]) for each in ended.document["files"]}
    assert verdicts == {
        "photo": "unknown",
        "scaled": "unknown",
        "fox": "unchanged",
        "remix": "unchanged",
        "batch": "derived",
        "sheet": "derived",
        "foxes": "derived",
    }


def verdict(terminal: Terminal, file: str) -> str:
    found: str = terminal.type("verify", file, "--json").document["verdict"]
    return found
