"""What people saved with an earlier version opens in a genuine ComfyUI, says the same, and runs.

The pack there has a larger catalog than any version that saved it.
"""

from __future__ import annotations

import json
import shutil
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.sandbox import Sandbox, serving
from tests import larger_catalog
from tests.hosts import pack
from tests.hosts.frontend import Frontend
from tests.hosts.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.hosts.comfyui import Comfyui, FrontendAge
    from tests.hosts.conftest import StartComfyui

YESTERDAY = ROOT / "tests" / "graph" / "yesterday"
SAVED = sorted(YESTERDAY.glob("*/*.json"))
SEED_CONTROLS = {"fixed", "increment", "decrement", "randomize"}


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    made = Sandbox(seconds=0.2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def larger_pack(pack_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the pack with a catalog that has one more model and more parameters."""
    copy = tmp_path_factory.mktemp("larger") / pack.NAME
    shutil.copytree(pack_copy, copy, symlinks=True)
    catalog = copy / "flux_nodes" / larger_catalog.CATALOG
    catalog.write_text(larger_catalog.larger(catalog.read_text("utf-8")), "utf-8")
    return copy


@pytest.fixture(scope="module", params=["paired", "newest"])
def host(
    request: pytest.FixtureRequest, start_comfyui: StartComfyui, larger_pack: Path, service: Sandbox
) -> Iterator[Comfyui]:
    """A ComfyUI with an older and one with the newest frontend, whose nodes come from the larger catalog."""
    age: FrontendAge = request.param
    with serving(service) as served:
        environment = {"APIFRAME_BASE_URL": served.url, "APIFRAME_API_KEY": "sandbox"}
        server = start_comfyui(environment, packs={pack.NAME: larger_pack}, frontend=age)
        shutil.copy(ROOT / "workflows" / "flux-nodes-meadow.jpg", server.input_folder / "meadow.jpg")
        shutil.copy(ROOT / "workflows" / "flux-nodes-meadow.jpg", server.input_folder)
        yield server
        server.stop()


@pytest.fixture(scope="module")
def frontend(host: Comfyui, browser: Browser) -> Iterator[Frontend]:
    """One visit, in which one workflow is opened after the other, as people do."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    yield Frontend(context.new_page(), host)
    context.close()


def read(path: Path) -> dict[str, Any]:
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


@pytest.mark.parametrize("path", SAVED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_workflow_of_an_earlier_version_opens_with_its_values(frontend: Frontend, path: Path) -> None:
    frontend.load_graph(read(path))
    assert frontend.missing_nodes() == []

    meant = frontend.prompt()
    for node_id, inputs in saved_inputs(read(path)).items():
        said = meant[node_id]["inputs"]
        assert {name: said.get(name) for name in inputs} == inputs
        if meant[node_id]["class_type"] in {"FluxImagine", "FluxSubmit"}:
            added = {"fresh": False, "count": 1, **larger_catalog.NEW}
            assert {name: value for name, value in said.items() if name not in inputs} == {
                name: value for name, value in added.items() if name not in inputs
            }


@pytest.mark.parametrize(
    "path", [path for path in SAVED if path.stem == "text_to_image"], ids=lambda path: path.parent.name
)
def test_a_workflow_of_an_earlier_version_asks_for_what_it_did(
    frontend: Frontend, service: Sandbox, path: Path
) -> None:
    frontend.load_graph(read(path))
    assert frontend.run(within=120) == "success"
    sent = [request.json for request in service.requests if request.path == "/flux-imagine"]
    assert sent[-1] == {
        "model": "flux-pro-1.1",
        "prompt": "a sunflower field in the wind",
        "prompt_upsampling": False,
        "width": 1024,
        "height": 768,
        "seed": 7,
        "safety_tolerance": 2,
    }


def test_a_saved_graph_in_api_format_runs_without_the_inputs_that_came_later(host: Comfyui, service: Sandbox) -> None:
    graph = read(YESTERDAY / "0.3.0" / "api" / "variations.json")
    asked = next(node["inputs"] for node in graph.values() if node["class_type"] == "FluxImagine")
    asked |= {"model": "flux-schnell", "width": 256, "height": 256, "seed": host.port}
    assert not set(larger_catalog.NEW) & set(asked)
    host.submit(graph)
    sent = [request.json for request in service.requests if request.path == "/flux-imagine"][-4:]
    assert sorted(each["seed"] for each in sent) == [host.port + at for at in range(4)]
    assert not set(larger_catalog.NEW) & {name for each in sent for name in each}
