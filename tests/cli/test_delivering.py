"""What lands in the output folder: a PNG that carries its graph, or with --original the service's own bytes."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from PIL import Image

from flux_nodes.graph.embedded import texts
from flux_nodes.sandbox import Fault, Quirks, Sandbox
from tests.cli.terminal import SMALL
from tests.odd_images import HEIC, SVG, sending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flux_nodes.core import Settings
    from tests.cli.terminal import Ended, Terminal

NODES_OWN = ("--model", "flux-schnell", "--seed", "7", "--safety-tolerance", "2", "--no-prompt-upsampling", *SMALL)
"""All that FLUX Imagine sends for this model."""


def delivered(terminal: Terminal, ended: Ended) -> Path:
    assert ended.code == 0, ended.err
    return terminal.folder / ended.out.strip()


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).convert("RGB").tobytes()


def test_an_image_carries_a_graph_that_run_runs_again_for_nothing(terminal: Terminal, sandbox: Sandbox) -> None:
    file = delivered(terminal, terminal.type("generate", "a fox", *NODES_OWN))
    again = terminal.type("run", file.name, "--json")
    assert (again.code, sandbox.charges) == (0, 1)
    (made,) = again.document["files"]
    (generation,) = again.document["generations"]
    assert Path(made["file"]).parent == terminal.folder / "flux"
    assert pixels(Path(made["file"]).read_bytes()) == pixels(file.read_bytes())
    assert generation["reused"]
    assert generation["id"] in file.name


def test_another_seed_can_be_set_in_an_image(terminal: Terminal, sandbox: Sandbox) -> None:
    file = delivered(terminal, terminal.type("generate", "a fox", *NODES_OWN))
    assert terminal.type("run", file.name, "--set", "seed=8").code == 0
    assert [task.body["seed"] for task in sandbox.tasks] == [7, 8]


def test_what_run_made_brings_the_workflow_that_ran_wherever_it_is_collected(terminal: Terminal) -> None:
    graph = {
        "7": {
            "class_type": "FluxSubmit",
            "inputs": {"model": "flux-schnell", "prompt": "a hare", "image_prompt_strength": 0.1, **REST},
            "_meta": {"title": "My own"},
        }
    }
    (terminal.folder / "submit.json").write_text(json.dumps(graph))
    (generation,) = terminal.type("run", "submit.json", "--json").document["generations"]
    file = delivered(terminal, terminal.type("wait", generation["id"]))
    told = texts(file.read_bytes())
    assert json.loads(told["prompt"])["7"]["_meta"]["title"] == "My own"


REST = {
    "prompt_upsampling": False,
    "width": 256,
    "height": 256,
    "aspect_ratio": "1:1",
    "steps": 0,
    "guidance": 0,
    "interval": 2,
    "seed": 3,
    "safety_tolerance": 2,
    "raw": False,
}


@pytest.mark.parametrize("command", ["generate", "wait", "resume"])
@pytest.mark.parametrize("image_type", ["png", "jpeg"])
def test_every_way_to_collect_delivers_a_png_or_the_original(
    terminal: Terminal, sandbox: Sandbox, command: str, image_type: str
) -> None:
    words: tuple[str, ...] = ("generate", "a fox", *NODES_OWN)
    if command != "generate":
        id_ = terminal.type(*words, "--no-wait").out.strip()
        words = ("wait", id_) if command == "wait" else ("resume",)
    file = delivered(terminal, terminal.type(*words, "-o", "drawn"))
    again = words if command != "resume" else ("wait", terminal.type("list", "--json").document["generations"][0]["id"])
    original = delivered(terminal, terminal.type(*again, "-o", "original", "--original"))
    (task,) = sandbox.tasks
    assert (file.suffix, original.suffix) == (".png", ".png" if image_type == "png" else ".jpg")
    assert sorted(texts(file.read_bytes())) == ["prompt", "workflow"]
    assert texts(original.read_bytes()) == {}
    assert pixels(file.read_bytes()) == pixels(original.read_bytes())
    assert sandbox.charges == 1
    assert task.body["seed"] == 7


def test_retry_delivers_a_png_with_its_graph(terminal: Terminal, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="fail"))
    id_ = terminal.type("generate", "a fox", *NODES_OWN, "--json").document["id"]
    file = delivered(terminal, terminal.type("retry", id_, "--yes"))
    assert "prompt" in texts(file.read_bytes())


def test_the_original_is_the_services_own_byte_for_byte(terminal: Terminal) -> None:
    document = terminal.type("generate", "a fox", *NODES_OWN, "--original", "--json").document
    file, original = Path(document["file"]), Path(document["original"])
    assert file.parent == terminal.folder
    assert file.read_bytes() == original.read_bytes()
    assert document["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_both_forms_can_lie_side_by_side_and_each_is_taken_where_it_is_there(terminal: Terminal) -> None:
    for _ in range(2):
        drawn = terminal.type("generate", "a fox", *NODES_OWN).out.strip()
        original = terminal.type("generate", "a fox", *NODES_OWN, "--original").out.strip()
        assert original == f"{drawn.removesuffix('.png')}-2.png"
    assert len(list(terminal.folder.iterdir())) == 2


def test_a_look_up_names_the_original(terminal: Terminal) -> None:
    id_ = terminal.type("generate", "a fox", *NODES_OWN, "--json").document["id"]
    entries = [
        terminal.type("status", id_, "--json").document,
        *terminal.type("list", "--json").document["generations"],
    ]
    for entry in entries:
        assert entry["original"] == entry["file"]
        assert hashlib.sha256(Path(entry["original"]).read_bytes()).hexdigest() == entry["sha256"]


def test_without_an_image_there_is_neither_file_nor_original(terminal: Terminal) -> None:
    document = terminal.type("generate", "a fox", *NODES_OWN, "--no-wait", "--json").document
    assert (document["file"], document["original"]) == (None, None)


def test_a_node_that_failed_in_part_ends_with_the_code_of_what_failed_and_tells_what_is_stored(
    terminal: Terminal, sandbox: Sandbox
) -> None:
    file = delivered(terminal, terminal.type("generate", "a fox", *NODES_OWN))
    sandbox.inject(Fault(where="submit", kind="fail"))
    ended = terminal.type("run", file.name, "--set", "count=3", "--set", "seed=20", "--json")
    (node,) = ended.document["error"]["nodes"]
    assert (ended.code, node["type"]) == (1, "PartlyFailed")
    assert [error["type"] for error in node["errors"]] == ["GenerationFailed"]
    assert len(node["stored"]) == 2
    assert {one["status"] for one in ended.document["generations"]} == {"stored", "failed"}
    assert ended.document["error"]["ids"] == node["errors"][0]["ids"]


@pytest.fixture
def image_type() -> Literal["png", "jpeg"]:
    """What the sandbox makes, unless a test says otherwise."""
    return "png"


@pytest.fixture
def sandbox(image_type: Literal["png", "jpeg"]) -> Iterator[Sandbox]:
    with closing(Sandbox(seconds=0, quirks=Quirks(image_type=image_type))) as made:
        yield made


@pytest.mark.parametrize("words", [(), ("--original",)])
def test_an_image_that_cannot_be_opened_here_is_delivered_as_it_came_and_said(
    terminal: Terminal, sandbox: Sandbox, folder: Path, words: tuple[str, ...]
) -> None:
    with sending(HEIC) as (url, _):
        sandbox.inject(Fault(where="image", kind="redirect", location=url, times=None))
        ended = terminal.type("generate", "a field", "--seed", "1", *words)

    assert (ended.code, len(ended.out.splitlines())) == (0, 1)
    (name,) = (line.split("\t")[0] for line in ended.out.splitlines())
    assert name.endswith(".heic")
    assert (folder / name).read_bytes() == HEIC
    said = "cannot be opened here (it is image/heic, none of PNG, " in ended.err and "paid and not lost" in ended.err
    assert said is not bool(words)

    document = terminal.type("generate", "a field", "--seed", "1", "--json").document
    assert (document["media_type"], document["width"], document["status"]) == ("image/heic", None, "stored")
    assert document["original"] in document["message"]
    status = terminal.type("status", document["id"])
    assert (status.code, document["original"] in status.out) == (0, True)
    assert terminal.type("list").code == 0


def test_a_workflow_whose_result_cannot_be_opened_here_says_where_it_is_in_one_sentence(
    terminal: Terminal, sandbox: Sandbox, settings: Settings
) -> None:
    with sending(SVG) as (url, _):
        sandbox.inject(Fault(where="image", kind="redirect", location=url, times=None))
        ended = terminal.type("run", str(Path(__file__).parents[2] / "workflows" / "text_to_image.json"))

    assert ended.code == 1
    assert str(settings.images) in ended.err
    assert ".svg" in ended.err
    assert "paid and not lost" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a folder that takes no files of anybody")
@pytest.mark.parametrize("place", ["/proc", "/proc/self", "/sys", "/proc/none/there"])
def test_a_folder_that_takes_no_files_is_refused_before_anything_is_sent(
    terminal: Terminal, sandbox: Sandbox, place: str
) -> None:
    ended = terminal.type("generate", "a fox", *SMALL, "-o", place)
    assert ended.code == 2
    assert f"Nothing was sent, nothing was paid: the folder {place} takes no files" in ended.err
    assert sandbox.requests == []
