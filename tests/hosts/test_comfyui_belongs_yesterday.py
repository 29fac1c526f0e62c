"""What people saved with an earlier version opens in a genuine ComfyUI of today, says the same, and runs."""

from __future__ import annotations

import json
import shutil
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.sandbox import Sandbox, serving
from tests.hosts.frontend import Frontend
from tests.hosts.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.hosts.comfyui import Comfyui, FrontendAge
    from tests.hosts.conftest import StartComfyui

SAVED = sorted((ROOT / "tests" / "graph" / "yesterday").glob("*/*.json"))
SEED_CONTROLS = {"fixed", "increment", "decrement", "randomize"}


@pytest.fixture(scope="module", params=["paired", "newest"])
def host(request: pytest.FixtureRequest, start_comfyui: StartComfyui) -> Iterator[Comfyui]:
    """A ComfyUI with an older and one with the newest frontend, whose FLUX nodes reach a sandbox."""
    age: FrontendAge = request.param
    made = Sandbox(seconds=0.2)
    with serving(made) as service:
        server = start_comfyui({"APIFRAME_BASE_URL": service.url, "APIFRAME_API_KEY": "sandbox"}, frontend=age)
        shutil.copy(ROOT / "workflows" / "flux-nodes-meadow.jpg", server.input_folder / "meadow.jpg")
        yield server
        server.stop()
    made.close()


@pytest.fixture(scope="module")
def frontend(host: Comfyui, browser: Browser) -> Iterator[Frontend]:
    """One visit, in which one workflow is opened after the other, as people do."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    yield Frontend(context.new_page(), host)
    context.close()


@pytest.fixture(params=SAVED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def drawing(request: pytest.FixtureRequest) -> dict[str, Any]:
    path: Path = request.param
    saved: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return saved


def saved_inputs(drawing: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give what the file says of each FLUX node's inputs, in the words of the API format, by node id."""
    origins = {link[0]: [str(link[1]), link[2]] for link in drawing["links"]}
    ours = (node for node in drawing["nodes"] if node["type"].startswith("Flux"))
    return {str(node["id"]): dict(chain(_values(node), _links(node, origins))) for node in ours}


def _values(node: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    # What a seed does after a run stands among the values, and belongs to no input.
    values = iter(value for value in node.get("widgets_values", ()) if value not in SEED_CONTROLS)
    return zip((item["name"] for item in node["inputs"] if "widget" in item), values, strict=True)


def _links(node: dict[str, Any], origins: dict[int, list[Any]]) -> Iterator[tuple[str, Any]]:
    return ((item["name"], origins[item["link"]]) for item in node["inputs"] if item.get("link") is not None)


def test_a_workflow_of_an_earlier_version_opens_with_its_values_and_runs(
    frontend: Frontend, drawing: dict[str, Any]
) -> None:
    frontend.load_graph(drawing)
    assert frontend.missing_nodes() == []

    meant = frontend.prompt()
    for node_id, inputs in saved_inputs(drawing).items():
        said = meant[node_id]["inputs"]
        assert {name: said.get(name) for name in inputs} == inputs

    assert frontend.run(within=120) == "success"
