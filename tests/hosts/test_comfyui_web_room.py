"""A node that runs: its prompt stays readable, its words are shown whole and harmless, and no old picture is left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from flux_nodes.sandbox import Fault, Sandbox
from tests.hosts.places import ROOT
from tests.hosts.web import ADD, BOUND, KEY, PROMPT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator

    from tests.hosts.comfyui import Comfyui
    from tests.hosts.conftest import StartComfyui
    from tests.hosts.frontend import Frontend

REASON = '<img src=x onerror="window.harmed = true"> is not what the moderators of this service like to see here'
LINES = 60  # pixels of the canvas that four lines of a prompt need

_ROOM = """() => {
  const node = window.app.graph.nodes.find(node => node.type === 'FluxImagine')
  const named = name => node.widgets.find(widget => widget.name === name)?.computedHeight ?? 0
  return {size: [...node.size], need: node.computeSize()[1], prompt: named('prompt')}
}"""
_PICTURED = """() => {
  const node = window.app.graph.nodes.find(node => node.type === 'FluxImagine')
  if (!window.LiteGraph.vueNodesMode) return (node.imgs?.length ?? 0) > 0
  return document.querySelector(`[data-node-id="${node.id}"] img`) !== null
}"""
_TOLD = """() => window.app.graph.nodes.find(node => node.type === 'FluxImagine').widgets
  .some(widget => widget.name === '$$node-text-preview' && String(widget.value).includes('stored in'))"""
_HAS_LINES = """([name, lines]) => [...document.querySelectorAll('[data-node-id]')]
  .some(node => node.textContent.includes(name) && node.querySelector('textarea')?.offsetHeight >= lines)"""
_SHOWS_ALL = "box => box.scrollHeight - box.clientHeight <= 1"
_WIDTH = "type => window.LiteGraph.createNode(type).size[0]"
_SHRINK = """() => {
  const node = window.app.graph.nodes.find(node => node.type === 'FluxImagine')
  node.setSize([360, node.computeSize()[1]])
}"""


@pytest.fixture(scope="module", params=["paired", "newest"])
def host(request: pytest.FixtureRequest, address: str, start_comfyui: StartComfyui) -> Comfyui:
    return start_comfyui({"APIFRAME_BASE_URL": address, "APIFRAME_API_KEY": KEY}, frontend=request.param)


@pytest.fixture(params=[False, True], ids=["canvas", "vue"])
def frontend(request: pytest.FixtureRequest, visit: Frontend) -> Iterator[Frontend]:
    """The frontend with the first template open."""
    visit.set("Comfy.VueNodes.Enabled", request.param)
    visit.load_graph(json.loads((ROOT / "workflows" / "text_to_image.json").read_text("utf-8")))
    visit.console_errors.clear()
    yield visit
    for _ in range(2):
        visit.page.keyboard.press("Escape")
    assert visit.console_errors == []


def ran(frontend: Frontend, words: str) -> dict[str, Any]:
    """Run the graph with a prompt that no other test has, and tell the room of its node."""
    frontend.page.evaluate(PROMPT, f"{words}, seen by {frontend.server.port} {is_vue(frontend)}")
    assert frontend.run() == "success"
    frontend.page.wait_for_function(_PICTURED, timeout=BOUND)
    if not is_vue(frontend):
        frontend.page.wait_for_function(_TOLD, timeout=BOUND)
    frontend.wait_for_frames()
    return room(frontend)


def room(frontend: Frontend) -> dict[str, Any]:
    found: dict[str, Any] = frontend.page.evaluate(_ROOM)
    return found


def is_vue(frontend: Frontend) -> bool:
    return bool(frontend.page.evaluate("() => window.LiteGraph.vueNodesMode"))


def drawn_prompt(frontend: Frontend) -> Locator:
    return frontend.page.locator("[data-node-id]", has_text="FLUX Imagine").locator("textarea").first


def until_its_lines_are_there(frontend: Frontend) -> None:
    """Wait for the lines of the prompt in Nodes 2.0: when each of its parts is drawn anew is the frontend's to say."""
    frontend.page.wait_for_function(_HAS_LINES, arg=["FLUX Imagine", LINES], timeout=BOUND)


def test_the_prompt_keeps_some_lines_when_a_picture_arrives(frontend: Frontend) -> None:
    after = ran(frontend, "a paper boat")
    if is_vue(frontend):
        expect(drawn_prompt(frontend)).to_be_visible()
        until_its_lines_are_there(frontend)
    else:
        assert after["prompt"] >= LINES


@pytest.mark.parametrize("frontend", [True], ids=["vue"], indirect=True)
def test_a_prompt_that_is_squeezed_when_the_words_come_gets_its_lines_back(frontend: Frontend) -> None:
    drawn_prompt(frontend).evaluate("field => { field.style.maxHeight = '20px' }")
    ran(frontend, "a paper kite")
    until_its_lines_are_there(frontend)


@pytest.mark.parametrize("frontend", [False], ids=["canvas"], indirect=True)
def test_a_size_that_a_person_gave_is_kept_through_the_next_run_and_in_the_file(frontend: Frontend) -> None:
    ran(frontend, "a paper plane")
    frontend.page.evaluate(_SHRINK)
    size = room(frontend)["size"]
    assert ran(frontend, "a paper crane")["size"] == size
    frontend.load_graph(frontend.serialize())
    assert room(frontend)["size"] == size
    assert ran(frontend, "a paper hat")["size"] == size


@pytest.mark.parametrize("frontend", [False], ids=["canvas"], indirect=True)
def test_a_small_node_is_wide_enough_for_its_title_and_its_words(frontend: Frontend) -> None:
    frontend.page.evaluate(ADD, "FluxAccount")
    width = "() => window.app.graph.nodes.find(node => node.type === 'FluxAccount').size[0]"
    assert frontend.page.evaluate(width) >= 250


@pytest.mark.parametrize("frontend", [False], ids=["canvas"], indirect=True)
def test_a_node_of_comfyui_whose_name_begins_like_ours_is_left_as_it_is(frontend: Frontend) -> None:
    assert frontend.page.evaluate(_WIDTH, "FluxDisableGuidance") < 250 <= frontend.page.evaluate(_WIDTH, "FluxAccount")


def with_the_same_number_inside(words: str) -> dict[str, Any]:
    """A graph whose FLUX Imagine has the number of one inside a subgraph, which has these words for a prompt."""
    drawing: dict[str, Any] = json.loads((ROOT / "workflows" / "text_to_image.json").read_text("utf-8"))
    packed = json.loads((ROOT / "subgraphs" / "FLUX Sketch and Refine.json").read_text("utf-8"))
    (box,) = packed["nodes"]
    box["widgets_values"][0] = words
    (imagine,) = (node for node in drawing["nodes"] if node["type"] == "FluxImagine")
    inside = packed["definitions"]["subgraphs"][0]["nodes"]
    imagine["id"] = drawing["links"][0][1] = min(node["id"] for node in inside if node["type"] == "FluxImagine")
    shown = {"id": 20, "type": "PreviewImage", "pos": [1400, 400], "size": [200, 200], "mode": 0}
    shown["inputs"] = [{"name": "images", "type": "IMAGE", "link": 30}]
    box |= {"pos": [900, 700]}
    box["outputs"][1]["links"] = [30]  # the sketch, which is made first
    drawing["nodes"] += [box, shown]
    drawing["links"].append([30, box["id"], 1, shown["id"], 0, "IMAGE"])
    return drawing | {"definitions": packed["definitions"], "last_node_id": 40, "last_link_id": 40}


@pytest.mark.parametrize("frontend", [False], ids=["canvas"], indirect=True)
def test_a_failure_inside_a_subgraph_leaves_a_picture_of_the_same_number_outside(
    frontend: Frontend, service: Sandbox
) -> None:
    words = f"a paper fox, seen by {frontend.server.port}"
    service.inject(Fault(where="submit", kind="fail", message=REASON, match=words))
    frontend.load_graph(with_the_same_number_inside(words))
    frontend.page.evaluate(PROMPT, f"a paper hen, seen by {frontend.server.port}")
    assert frontend.run() == "error"
    frontend.page.wait_for_function(_PICTURED, timeout=BOUND)
    frontend.wait_for_frames()
    assert frontend.page.evaluate(_PICTURED)


def test_a_failure_is_told_whole_harmless_and_without_an_old_picture(frontend: Frontend, service: Sandbox) -> None:
    ran(frontend, "a paper lantern")
    service.inject(Fault(where="submit", kind="fail", message=REASON, match="a paper tiger"))
    frontend.page.evaluate(PROMPT, f"a paper tiger, seen by {frontend.server.port} {is_vue(frontend)}")
    assert frontend.run() == "error"
    frontend.page.wait_for_function(f"() => !({_PICTURED})()", timeout=BOUND)
    frontend.wait_for_frames()
    told = frontend.page.locator("span", has_text="moderators of this service").last
    if not is_vue(frontend):
        box = told.locator("xpath=ancestor::div[contains(@class, 'overflow')][1]")
        frontend.page.wait_for_function(_SHOWS_ALL, arg=box.element_handle(), timeout=BOUND)
    assert frontend.page.evaluate("() => window.harmed") is None
