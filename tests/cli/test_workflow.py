from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from flux_nodes.nodes import NODES

if TYPE_CHECKING:
    from flux_nodes.sandbox import Sandbox
    from tests.cli.terminal import Terminal

WORKFLOWS = Path(__file__).parents[2] / "workflows"


@pytest.fixture
def workflow(folder: Path) -> Path:
    """A workflow in ComfyUI's API format: one image from words, saved."""
    file = folder / "fox.json"
    file.write_text(json.dumps(graph()))
    return file


def graph(**inputs: Any) -> dict[str, Any]:
    (imagine,) = [node for node in NODES if node.id == "FluxImagine"]
    defaults = {item.name: item.default for item in imagine.inputs if item.is_widget}
    small = {"model": "flux-schnell", "prompt": "a fox", "width": 256, "height": 256, "seed": 5}
    return {
        "1": {
            "class_type": "FluxImagine",
            "inputs": {**defaults, **small, **inputs},
            "_meta": {"title": "Painter"},
        },
        "2": {
            "class_type": "SaveImage",
            "inputs": {"images": ["1", 0], "filename_prefix": "foxes/fox"},
            "_meta": {"title": "Save Image"},
        },
    }


def test_run_saves_into_the_output_folder_and_prints_the_files(terminal: Terminal, workflow: Path) -> None:
    ended = terminal.type("run", str(workflow), "--output", "pictures")
    assert ended.code == 0
    assert ended.out.splitlines() == [str(Path("pictures/foxes/fox_00001_.png"))]
    with Image.open(terminal.folder / ended.out.strip()) as image:
        assert image.size == (256, 256)
    assert "Painter" in ended.err


def test_the_document_of_a_run_has_its_files_and_generations(terminal: Terminal, workflow: Path) -> None:
    ended = terminal.type("run", str(workflow), "--json")
    assert (ended.code, ended.err) == (0, "")
    (file,) = ended.document["files"]
    (generation,) = ended.document["generations"]
    assert Path(file["file"]).is_file()
    assert (file["node"], file["title"]) == ("2", "Save Image")
    assert (generation["status"], generation["seed"]) == ("stored", 5)
    assert ended.document["error"] is None


def test_run_takes_the_image_that_it_made_as_a_workflow(terminal: Terminal, workflow: Path, sandbox: Sandbox) -> None:
    made = terminal.type("run", str(workflow)).out.strip()
    ended = terminal.type("run", made, "--set", "prompt=a hare", "--set", "Painter.seed=6")
    assert ended.code == 0
    first, second = sandbox.tasks
    assert (first.body["prompt"], second.body["prompt"], second.body["seed"]) == ("a fox", "a hare", 6)


def test_a_workflow_with_faults_is_refused_before_anything_is_paid(
    terminal: Terminal, sandbox: Sandbox, folder: Path
) -> None:
    faulty = folder / "faulty.json"
    faulty.write_text(json.dumps(graph(width=5, height=9000)))
    for command in ("run", "check"):
        ended = terminal.type(command, str(faulty), "--json")
        assert ended.code == 2
        assert ended.document["error"]["type"] == "InvalidWorkflow"
        assert len(ended.document["error"]["faults"]) == 2
        assert "width" in ended.err
    assert sandbox.charges == 0


@pytest.mark.parametrize("change", ["nonsense=1", "width=wide", "=1", "width"])
def test_a_change_that_means_nothing_is_bad_input(
    terminal: Terminal, sandbox: Sandbox, workflow: Path, change: str
) -> None:
    assert terminal.type("run", str(workflow), "--set", change).code == 2
    assert sandbox.charges == 0


def test_a_file_that_is_no_workflow_is_bad_input(terminal: Terminal, folder: Path) -> None:
    (folder / "notes.txt").write_text("not a workflow")
    ended = terminal.type("run", "notes.txt")
    assert ended.code == 2
    assert "workflow" in ended.err


def test_the_code_of_a_failed_node_is_that_of_its_cause(terminal: Terminal, workflow: Path) -> None:
    failed = terminal.type("run", str(workflow), "--set", "prompt=x [sandbox: fail moderation]", "--json")
    assert failed.code == 1
    assert failed.document["error"]["type"] == "NodeFailed"
    assert failed.document["error"]["ids"] == [failed.document["generations"][0]["id"]]
    assert "Request Moderated" in failed.err
    stranger = type(terminal)(terminal.folder, {**terminal.environ, "APIFRAME_API_KEY": "wrong"})
    assert stranger.type("run", str(workflow)).code == 3


def test_a_workflow_loads_images_from_its_own_folder_or_from_the_one_that_is_named(
    terminal: Terminal, folder: Path, sandbox: Sandbox
) -> None:
    shutil.copy(WORKFLOWS / "image_to_image.json", folder)
    assert terminal.type("run", "image_to_image.json").code == 2
    assert terminal.type("check", "image_to_image.json", "--input", str(WORKFLOWS)).code == 0
    assert terminal.type("run", "image_to_image.json", "--input", str(WORKFLOWS)).code == 0
    assert "image_prompt" in sandbox.tasks[0].body


def test_what_a_node_shows_is_written_too(terminal: Terminal, folder: Path) -> None:
    shown = graph()
    shown["2"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    (folder / "shown.json").write_text(json.dumps(shown))
    ended = terminal.type("run", "shown.json", "--output", "here")
    assert (terminal.folder / ended.out.strip()).is_file()


def test_words_that_a_node_tells_are_told(terminal: Terminal, folder: Path) -> None:
    (folder / "credits.json").write_text(json.dumps({"1": {"class_type": "FluxAccount", "inputs": {}}}))
    assert "1000 credits" in terminal.type("run", "credits.json").err
    (text,) = terminal.type("run", "credits.json", "--json").document["texts"]
    assert "1000 credits" in text["text"]


@pytest.mark.parametrize("file", sorted(WORKFLOWS.glob("*.json")), ids=lambda file: file.stem)
def test_check_tells_what_our_own_workflows_would_do_and_asks_nobody(bare: Terminal, file: Path) -> None:
    ended = bare.type("check", str(file), "--json")
    assert ended.code == 0
    assert any(node["costs"] for node in ended.document["nodes"])
    assert "FluxImagine" in {node["type"] for node in ended.document["nodes"]} or "FluxSubmit" in {
        node["type"] for node in ended.document["nodes"]
    }


def test_check_lists_names_that_run_can_set(terminal: Terminal, workflow: Path, sandbox: Sandbox) -> None:
    document = terminal.type("check", str(workflow), "--json").document
    values = {item["name"]: item["value"] for item in document["settings"]}
    assert values["prompt"] == "a fox"
    assert values["width"] == 256
    assert sandbox.requests == []
    assert "prompt\tSTRING\ta fox" in terminal.type("check", str(workflow)).out


def cut(model: str, **inputs: Any) -> dict[str, Any]:
    """Return a graph whose image is cut to a shape that leaves nothing of it."""
    scale = {"image": ["1", 0], "upscale_method": "area", "width": 9000, "height": 1, "crop": "center"}
    nodes = graph(model=model, **inputs)
    nodes["2"]["inputs"]["images"] = ["3", 0]
    return {**nodes, "3": {"class_type": "ImageScale", "inputs": scale}}


def test_a_crop_that_leaves_nothing_is_told_before_anything_is_paid(
    terminal: Terminal, sandbox: Sandbox, folder: Path
) -> None:
    (folder / "cut.json").write_text(json.dumps(cut("flux-schnell")))
    ended = terminal.type("run", "cut.json")
    assert ended.code == 2
    assert "has nothing left" in ended.err
    assert sandbox.charges == 0


def test_what_was_paid_before_a_node_failed_is_kept_and_named(
    terminal: Terminal, sandbox: Sandbox, folder: Path
) -> None:
    (folder / "cut.json").write_text(json.dumps(cut("flux-pro-1.1-ultra", aspect_ratio="16:9")))
    ended = terminal.type("run", "cut.json")
    assert ended.code == 2
    assert sandbox.charges == 1
    (generation,) = terminal.type("list", "--json").document["generations"]
    assert "has nothing left" in ended.err
    assert f"What was generated is kept: {generation['id']}. `flux-nodes wait ID` gives it again, free." in ended.err
    assert "IndexError" not in ended.err
    assert terminal.type("wait", generation["id"]).code == 0
    document = terminal.type("run", "cut.json", "--json").document
    assert document["error"]["stored"] == [generation["id"]]
    assert sandbox.charges == 1
