"""Images of other doors, dropped into ComfyUI's own frontend: they open as graphs that run."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flux_nodes.core.images import decode
from flux_nodes.graph import Folders, Registry, read_workflow, stock_nodes
from flux_nodes.graph.embedded import texts
from flux_nodes.nodes import NODES
from flux_nodes.sandbox import Sandbox, serving
from tests.cli.terminal import Terminal
from tests.hosts.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hosts.comfyui import Comfyui
    from tests.hosts.conftest import OpenFrontend, StartComfyui
    from tests.hosts.frontend import Frontend

NOWHERE = Path()
REGISTRY = Registry([*NODES, *stock_nodes(Folders(input=NOWHERE, output=NOWHERE, temp=NOWHERE))])

ALL_THAT_THE_NODE_SENDS = (
    *("--model", "flux-schnell", "--width", "320", "--height", "256", "--seed", "7"),
    *("--safety-tolerance", "2", "--no-prompt-upsampling"),
)

_DROP = """async ([name, data]) => {
  const bytes = Uint8Array.from(atob(data), each => each.charCodeAt(0))
  await window.app.handleFile(new File([bytes], name, {type: 'image/png'}))
}"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(seconds=0.2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def environment(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What ComfyUI and the terminal share: the service, and the journal."""
    with serving(sandbox) as server:
        home = str(tmp_path_factory.mktemp("home"))
        yield {"APIFRAME_BASE_URL": server.url, "APIFRAME_API_KEY": "sandbox", "FLUX_NODES_HOME": home}


@pytest.fixture(scope="module", params=["paired", "newest"])
def host(request: pytest.FixtureRequest, environment: dict[str, str], start_comfyui: StartComfyui) -> Comfyui:
    return start_comfyui(environment, frontend=request.param)


@pytest.fixture
def terminal(environment: dict[str, str], tmp_path: Path) -> Terminal:
    return Terminal(tmp_path, environment)


def generated(terminal: Terminal, *words: str) -> Path:
    """The file that a command delivers."""
    ended = terminal.run("generate", *words, "--json")
    assert ended.code == 0, ended.err
    return Path(ended.document["file"])


def drop(frontend: Frontend, file: Path) -> None:
    """Drop an image file onto the canvas."""
    frontend.page.evaluate(_DROP, [file.name, b64encode(file.read_bytes()).decode()])


def complaints(frontend: Frontend) -> list[str]:
    """What the frontend complained of, but for what its newest version asks of an older server, or of the web."""
    in_vain = ("jobs", "huggingface.co")
    return [words for words in frontend.console_errors if not any(sign in words.lower() for sign in in_vain)]


def test_an_image_from_the_terminal_opens_as_the_graph_that_it_means_and_runs_for_nothing(
    host: Comfyui, open_frontend: OpenFrontend, terminal: Terminal, sandbox: Sandbox
) -> None:
    file = generated(terminal, "a fox in the snow, Füchse", *ALL_THAT_THE_NODE_SENDS)
    charges = sandbox.charges
    frontend = open_frontend(host)

    before = set(host.output_folder.rglob("*.png"))

    drop(frontend, file)

    assert frontend.missing_nodes() == []
    assert frontend.prompt() == read_workflow(file, REGISTRY).to_api()
    assert frontend.run() == "success"
    assert complaints(frontend) == []
    (saved,) = set(host.output_folder.rglob("*.png")) - before
    assert np.array_equal(decode(saved.read_bytes()), decode(file.read_bytes()))
    assert sandbox.charges == charges


def test_an_image_with_an_image_prompt_brings_it_along(
    host: Comfyui, open_frontend: OpenFrontend, terminal: Terminal
) -> None:
    meadow = str(ROOT / "workflows" / "flux-nodes-meadow.jpg")
    ultra = ("--model", "flux-pro-1.1-ultra", "--seed", "3", "--aspect-ratio", "4:3", "--raw")
    file = generated(terminal, "a starry night", "--image-prompt", meadow, *ultra)
    frontend = open_frontend(host)

    drop(frontend, file)

    prompt = frontend.prompt()
    assert frontend.missing_nodes() == []
    assert prompt == read_workflow(file, REGISTRY).to_api()
    assert prompt["2"]["inputs"]["image_prompt"] == ["1", 0]
    assert frontend.run() == "success"
    assert complaints(frontend) == []


def test_a_drawn_graph_is_saved_by_the_frontend_as_it_was_drawn(
    host: Comfyui, open_frontend: OpenFrontend, terminal: Terminal
) -> None:
    file = generated(terminal, "a lake", "--model", "flux-pro", "--guidance", "2.5", "--steps", "30")
    drawn = json.loads(texts(file.read_bytes())["workflow"])
    frontend = open_frontend(host)

    drop(frontend, file)

    for ours, theirs in zip(drawn["nodes"], by_id(frontend.serialize()), strict=True):
        assert list(theirs["pos"]) == ours["pos"]
        assert list(theirs["size"]) == ours["size"]
        assert theirs["widgets_values"] == ours["widgets_values"]
    assert "fixed" in drawn["nodes"][0]["widgets_values"]


def by_id(drawing: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(drawing["nodes"], key=lambda node: int(node["id"]))


def test_an_image_that_comfyui_asked_for_opens_as_its_own_graph_wherever_it_was_collected(
    host: Comfyui, open_frontend: OpenFrontend, terminal: Terminal
) -> None:
    frontend = open_frontend(host)
    drop(frontend, generated(terminal, "a pier in the fog", *ALL_THAT_THE_NODE_SENDS))
    frontend.page.evaluate("() => { window.app.graph.nodes[0].title = 'Mine' }")
    words = f"a pier at dawn, seen at {host.url}"  # each host's own
    frontend.page.evaluate("words => { window.app.graph.nodes[0].widgets[1].value = words }", words)
    assert frontend.run() == "success"
    (made,) = [one for one in terminal.run("list", "--json").document["generations"] if one["prompt"] == words]

    collected = terminal.run("wait", made["id"], "--json").document

    assert made["door"] == "comfyui"
    drop(frontend, Path(collected["file"]))
    assert frontend.prompt()["1"]["inputs"]["prompt"] == words
    assert by_id(frontend.serialize())[0]["title"] == "Mine"
