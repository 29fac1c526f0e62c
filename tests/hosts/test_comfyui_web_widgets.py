"""Widgets of parameters that the chosen model does not take are hidden, on the canvas and in Nodes 2.0."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from flux_nodes.core.catalog import MODELS, PARAMETERS
from flux_nodes.nodes import NODES
from tests.hosts.places import ROOT
from tests.hosts.web import ADD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hosts.comfyui import Comfyui
    from tests.hosts.conftest import StartComfyui
    from tests.hosts.frontend import Frontend

YESTERDAY = ROOT / "tests" / "graph" / "yesterday" / "0.2.0"
OFFERED = [item.name for item in PARAMETERS if NODES[0].input(item.name) is not None and item.kind != "image"]

_SHOWN = """() => {
  const node = window.app.graph.nodes.find(node => node.type === 'FluxImagine')
  return node.widgets.filter(widget => node.isWidgetVisible(widget)).map(widget => widget.name)
}"""
_SIZE = "() => { const node = window.app.graph.nodes[0]; return [...node.size, node.computeSize()[1]] }"
_CHOOSE = """model => {
  const node = window.app.graph.nodes.find(node => node.type === 'FluxImagine')
  const widget = node.widgets.find(widget => widget.name === 'model')
  widget.value = model
  widget.callback(model)
}"""
_LINK = """name => {
  const primitive = window.LiteGraph.createNode('PrimitiveNode')
  window.app.graph.add(primitive)
  const node = window.app.graph.nodes.find(node => node.type === 'FluxImagine')
  primitive.connect(0, node, node.inputs.findIndex(input => input.name === name))
}"""
_CUT = """name => {
  const node = window.app.graph.nodes.find(node => node.type === 'FluxImagine')
  node.disconnectInput(node.inputs.findIndex(input => input.name === name))
}"""
_NOTE_CHANGE = """() => {
  const tracker = window.app.extensionManager.workflow.activeWorkflow.changeTracker
  tracker.captureCanvasState ? tracker.captureCanvasState() : tracker.checkState()
}"""
_PASTE = """() => {
  window.app.canvas.selectItems([window.app.graph.nodes[0]])
  window.app.canvas.copyToClipboard()
  window.app.canvas.pasteFromClipboard()
}"""
_HIDDEN_IN_ALL = """() => [window.app.graph, ...window.app.graph.subgraphs.values()]
  .flatMap(graph => graph.nodes).filter(node => node.type === 'FluxImagine')
  .map(node => node.widgets.filter(widget => widget.options.hidden).map(widget => widget.name))"""
_INTO_SUBGRAPH = """() => {
  window.app.graph.convertToSubgraph(new Set(window.app.graph.nodes))
}"""


def untaken(model: str) -> set[str]:
    """The widgets of parameters that a model does not take."""
    return {item.name for item in PARAMETERS if item.name in OFFERED and not item.taken_by(model)}


@pytest.fixture(scope="module", params=["paired", "newest"])
def host(request: pytest.FixtureRequest, start_comfyui: StartComfyui) -> Comfyui:
    """A ComfyUI with the image that yesterday's workflows load."""
    started = start_comfyui({}, frontend=request.param)
    shutil.copy(ROOT / "workflows" / "flux-nodes-meadow.jpg", started.input_folder / "meadow.jpg")
    return started


@pytest.fixture(params=[False, True], ids=["canvas", "vue"])
def frontend(request: pytest.FixtureRequest, visit: Frontend) -> Iterator[Frontend]:
    """The frontend with one FLUX Imagine on its canvas."""
    visit.set("Comfy.VueNodes.Enabled", request.param)
    visit.load_graph({"version": 0.4, "nodes": [], "links": [], "last_node_id": 0, "last_link_id": 0})
    visit.console_errors.clear()
    visit.page.evaluate(ADD, "FluxImagine")
    if request.param:
        expect(visit.page.locator("[data-node-id]")).to_be_visible()
    yield visit
    assert visit.console_errors == []


def hidden(frontend: Frontend) -> set[str]:
    return set(OFFERED) - set(frontend.page.evaluate(_SHOWN))


def test_a_change_of_the_model_hides_and_shows_at_once_and_the_height_follows(frontend: Frontend) -> None:
    heights = {}
    for model in MODELS:
        frontend.page.evaluate(_CHOOSE, model.name)
        assert hidden(frontend) == untaken(model.name)
        drawn = frontend.page.locator("[data-node-id]").locator("visible=true")
        if frontend.page.evaluate("() => window.LiteGraph.vueNodesMode"):
            labels = {item.name: item.label for item in NODES[0].inputs}
            for name in OFFERED:
                text = frontend.page.get_by_text(labels[name], exact=True).or_(
                    frontend.page.get_by_text(name, exact=True)
                )
                if name not in {"prompt"}:
                    expect(drawn.locator(text)).to_have_count(0 if name in untaken(model.name) else 1)
        frontend.wait_for_frames()  # Nodes 2.0 measure what they have drawn
        heights[model.name] = frontend.page.evaluate(_SIZE)[1]
    assert heights["flux-schnell"] < heights["flux-dev"] < heights["flux-pro"]


def test_a_hidden_widget_keeps_its_value_and_its_place_in_the_file(frontend: Frontend) -> None:
    before = frontend.serialize()["nodes"][0]["widgets_values"]
    frontend.page.evaluate(_CHOOSE, "flux-pro-1.1-ultra")
    frontend.page.evaluate(_CHOOSE, before[0])
    assert frontend.serialize()["nodes"][0]["widgets_values"] == before
    assert set(OFFERED) <= set(next(iter(frontend.prompt().values()))["inputs"])


@pytest.mark.parametrize("frontend", [False], ids=["canvas"], indirect=True)
def test_width_and_height_that_a_person_gave_are_kept(frontend: Frontend) -> None:
    frontend.page.evaluate("() => { const [node] = app.graph.nodes; node.setSize([520, node.computeSize()[1] + 90]) }")
    frontend.page.evaluate(_CHOOSE, "flux-pro")
    width, height, needed = frontend.page.evaluate(_SIZE)
    assert (width, height - needed) == (520, 90)
    saved = frontend.serialize()
    frontend.load_graph(saved)
    assert frontend.page.evaluate(_SIZE)[:2] == [width, height]


def test_what_is_linked_stays_visible_and_a_linked_model_hides_nothing(frontend: Frontend) -> None:
    frontend.page.evaluate(_CHOOSE, "flux-schnell")
    frontend.page.evaluate(_LINK, "interval")
    assert "interval" not in frontend.page.evaluate(
        "() => window.app.graph.nodes[0].widgets.filter(widget => widget.options.hidden).map(widget => widget.name)"
    )
    frontend.page.evaluate(_CUT, "interval")
    assert hidden(frontend) == untaken("flux-schnell")
    frontend.page.evaluate(_LINK, "model")
    assert hidden(frontend) <= {"model"}  # the newest frontend has no control for what is linked
    frontend.page.evaluate(_CUT, "model")
    assert hidden(frontend) == untaken("flux-schnell")


def test_undoing_a_change_of_the_model_undoes_what_it_hid(frontend: Frontend) -> None:
    frontend.page.evaluate(_CHOOSE, "flux-schnell")
    frontend.load_graph(frontend.serialize())
    frontend.page.evaluate(_CHOOSE, "flux-pro")
    assert hidden(frontend) == untaken("flux-pro")
    frontend.page.evaluate(_NOTE_CHANGE)
    frontend.page.evaluate("() => window.app.extensionManager.workflow.activeWorkflow.changeTracker.undo()")
    frontend.page.wait_for_function(f"() => window.app.graph.nodes.length && !({_SHOWN})().includes('steps')")
    assert hidden(frontend) == untaken("flux-schnell")


def test_pasted_and_packed_into_a_subgraph_it_is_the_same(frontend: Frontend) -> None:
    frontend.page.evaluate(_CHOOSE, "flux-dev")
    frontend.page.evaluate(_PASTE)
    assert [set(names) for names in frontend.page.evaluate(_HIDDEN_IN_ALL)] == [untaken("flux-dev")] * 2
    frontend.page.evaluate(_INTO_SUBGRAPH)
    packed = frontend.serialize()
    frontend.load_graph(packed)
    assert [set(names) for names in frontend.page.evaluate(_HIDDEN_IN_ALL)] == [untaken("flux-dev")] * 2


@pytest.mark.parametrize("path", sorted(YESTERDAY.glob("*.json")), ids=lambda path: path.stem)
def test_a_file_from_before_any_widget_was_hidden_keeps_all_its_values(frontend: Frontend, path: Any) -> None:
    drawing = json.loads(path.read_text("utf-8"))
    frontend.load_graph(drawing)
    saved = {str(node["id"]): node.get("widgets_values", []) for node in frontend.serialize()["nodes"]}
    for node in drawing["nodes"]:
        values = node.get("widgets_values", [])
        assert saved[str(node["id"])][: len(values)] == values
