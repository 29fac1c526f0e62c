"""What the web extension leaves alone: ComfyUI's page and keys, other packs' nodes and tabs, and the input folder."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.hosts import pack
from tests.hosts.frontend import Frontend
from tests.hosts.places import ROOT
from tests.hosts.web import ADD, BOUND, KEY, PROMPT, card, generated, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Route

    from tests.cli.terminal import Terminal
    from tests.hosts.comfyui import Comfyui
    from tests.hosts.conftest import StartComfyui

SAMPLE = "flux-nodes-meadow.jpg"

# Another pack: a node whose widget has no name, and two tabs, of which one empties the place that it gets.
NODE = '''
class Another:
    """Does nothing."""

    INPUT_TYPES = classmethod(lambda cls: {"required": {"text": ("STRING", {"default": ""})}})
    RETURN_TYPES, FUNCTION, CATEGORY = ("STRING",), "go", "another"

    def go(self, text):
        return (text,)


NODE_CLASS_MAPPINGS = {"Another": Another}
WEB_DIRECTORY = "./js"
'''
SCRIPT = """
import { app } from "../../scripts/app.js";

function add(container) {
  if (container.querySelector(".another")) return;
  container.append(Object.assign(document.createElement("p"), { className: "another", textContent: "theirs" }));
}

function write(container) {
  window.given = container.className;
  container.innerHTML = "<p class='another'>theirs</p>";
}

const tab = { icon: "pi pi-star", type: "custom" };
app.registerExtension({
  name: "Another.Pack",
  nodeCreated(node) {
    if (node.comfyClass !== "Another") return;
    node.addCustomWidget({ type: "combo", value: "mine", options: { values: ["mine", "yours"] }, draw() {} });
  },
  setup() {
    app.extensionManager.registerSidebarTab({ ...tab, id: "adds", title: "Adds", render: add });
    app.extensionManager.registerSidebarTab({ ...tab, id: "writes", title: "Writes", render: write });
  },
});
"""

_ENDS_IN_TIME = """refresh => Promise.race([
  window.app.refreshComboInNodes().then(() => true),
  new Promise(resolve => setTimeout(() => resolve(false), 30_000)),
])"""
_NAMELESS = """() => {
  const { value, options } = window.app.graph.nodes[0].widgets.find(widget => !widget.name)
  return [value, options.values]
}"""
_TELL = "told => { window.app.api.dispatchCustomEvent('flux-nodes.words', told) }"
_HEAR = """() => {
  window.told = []
  window.app.api.addEventListener('flux-nodes.words', ({detail}) => { window.told.push(detail) })
}"""
_KEEP_THE_SEED = """() => {
  const node = window.app.graph.nodes.find(node => node.type === 'FluxImagine')
  node.widgets.find(widget => widget.name === 'control_after_generate').value = 'fixed'
  return node.id
}"""
_MOVE_UNSEEN = """id => new Promise(resolve => {
  window.app.api.dispatchCustomEvent('flux-nodes.generation', {id, unfinished: false})
  setTimeout(resolve, 1000)  // a later timer than ours, which would look at the list
})"""
_SHOWN = """id => {
  const node = window.app.graph.getNodeById(id)
  const words = node.widgets.find(widget => widget.name === '$$node-text-preview')
  return {words: words?.value ?? null, pictures: node.imgs?.length ?? 0}
}"""
_TOGGLE = "tab => window.app.extensionManager.command.execute(`Workspace.ToggleSidebarTab.${tab}`)"


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs") / "another"
    (folder / "js").mkdir(parents=True)
    (folder / "__init__.py").write_text(NODE)
    (folder / "js" / "another.js").write_text(SCRIPT)
    return folder


@pytest.fixture(scope="module", params=["paired", "newest"])
def host(
    request: pytest.FixtureRequest, address: str, start_comfyui: StartComfyui, pack_copy: Path, another: Path
) -> Comfyui:
    environment = {"APIFRAME_BASE_URL": address, "APIFRAME_API_KEY": KEY}
    packs = {pack.NAME: pack_copy, "another": another}
    return start_comfyui(environment, packs=packs, frontend=request.param)


def hold(_route: Route) -> None:
    """Leave a request without an answer."""


@contextmanager
def visit_without(browser: Browser, host: Comfyui, *routes: str) -> Iterator[Frontend]:
    """A visit in which these routes of ours are never answered."""
    with browser.new_context(viewport={"width": 1600, "height": 1000}) as context:
        for route in routes:
            context.route(f"**/flux-nodes/{route}", hold)
        yield Frontend(context.new_page(), host)


def drawing(*nodes: tuple[str, list[Any]]) -> dict[str, Any]:
    """A graph of nodes with these widgets' values, numbered from 1."""
    rest = {"size": [300, 200], "flags": {}, "order": 0, "mode": 0, "inputs": [], "outputs": [], "properties": {}}
    drawn = [
        {"id": at, "type": type_, "pos": [100 + 400 * at, 150], "widgets_values": values, **rest}
        for at, (type_, values) in enumerate(nodes, 1)
    ]
    return {"version": 0.4, "nodes": drawn, "links": [], "last_node_id": len(drawn), "last_link_id": 0}


def toggle(frontend: Frontend, tab: str) -> None:
    """Open a tab of the sidebar, or close it if it is open."""
    frontend.page.evaluate(_TOGGLE, tab)


def shown(frontend: Frontend, node: int) -> dict[str, Any]:
    found: dict[str, Any] = frontend.page.evaluate(_SHOWN, node)
    return found


def test_the_page_shows_and_is_refreshed_while_nothing_can_be_read_from_the_journal(
    browser: Browser, host: Comfyui
) -> None:
    with visit_without(browser, host, "state", "recent") as frontend:
        expect(frontend.page.get_by_role("button", name="FLUX", exact=False).first).to_be_visible(timeout=BOUND)
        assert frontend.page.evaluate(_ENDS_IN_TIME)


@pytest.mark.parametrize("host", ["newest"], indirect=True)  # one is enough for what takes ten seconds
def test_the_page_shows_where_the_models_are_not_told(browser: Browser, host: Comfyui) -> None:
    with visit_without(browser, host, "catalog") as frontend:
        expect(frontend.page.get_by_role("button", name="FLUX", exact=False).first).to_be_visible(timeout=BOUND)


def test_a_widget_without_a_name_keeps_its_choices(frontend: Frontend, terminal: Terminal) -> None:
    generated(terminal, "a round window", "--seed", "1")
    frontend.page.evaluate(ADD, "Another")
    assert frontend.page.evaluate(_NAMELESS) == ["mine", ["mine", "yours"]]


def test_last_words_and_pictures_are_shown_on_our_nodes_only(frontend: Frontend, host: Comfyui) -> None:
    Image.new("RGB", (64, 64), "teal").save(host.input_folder / "teal.png")
    frontend.load_graph(drawing(("KSampler", []), ("FluxImagine", [])))
    picture = {"filename": "teal.png", "subfolder": "", "type": "input"}
    for node in ("1", "2", "7", "9:1"):
        told = {"prompt_id": "some-prompt", "node": node, "text": f"stored for {node}", "images": [picture]}
        frontend.page.evaluate(_TELL, told)
    frontend.page.wait_for_function(f"() => ({_SHOWN})(2).pictures === 1", timeout=BOUND)
    assert shown(frontend, 2)["words"] == "stored for 2"
    assert shown(frontend, 1) == {"words": None, "pictures": 0}


def test_last_words_without_a_picture_leave_the_one_that_is_there(frontend: Frontend, host: Comfyui) -> None:
    Image.new("RGB", (64, 64), "teal").save(host.input_folder / "teal.png")
    frontend.load_graph(drawing(("FluxImagine", [])))
    picture = {"filename": "teal.png", "subfolder": "", "type": "input"}
    told = {"prompt_id": "some-prompt", "node": "1", "text": "stored"}
    frontend.page.evaluate(_TELL, told | {"images": [picture]})
    frontend.page.wait_for_function(f"() => ({_SHOWN})(1).pictures === 1", timeout=BOUND)
    frontend.page.evaluate(_TELL, told | {"text": "reused, free"})
    assert shown(frontend, 1) == {"words": "reused, free", "pictures": 1}


def test_words_that_come_when_another_graph_is_open_are_not_shown_there_and_come_back_in_their_own(
    frontend: Frontend,
) -> None:
    frontend.load_graph(json.loads((ROOT / "workflows" / "text_to_image.json").read_text("utf-8")))
    frontend.page.evaluate(PROMPT, f"a kite on a string, seen by {frontend.server.port}")
    own = frontend.page.evaluate(_KEEP_THE_SEED)
    frontend.page.evaluate(_HEAR)
    assert frontend.run() == "success"
    saved = frontend.serialize()
    other = drawing(("KSampler", []))
    other["nodes"][0]["id"] = own
    frontend.load_graph(other)
    frontend.page.wait_for_function("() => window.told.length > 0", timeout=BOUND)
    assert shown(frontend, own) == {"words": None, "pictures": 0}

    frontend.load_graph(saved)
    assert shown(frontend, own)["words"] is None
    assert frontend.run() == "success"  # ComfyUI has its result, and does not run it
    frontend.page.wait_for_function(f"id => ({_SHOWN})(id).words && ({_SHOWN})(id).pictures", arg=own, timeout=BOUND)
    assert shown(frontend, own)["words"] == frontend.page.evaluate("() => window.told.at(-1).text")


def test_no_picture_of_ours_is_brought_for_a_graph_without_a_node_of_ours(frontend: Frontend, host: Comfyui) -> None:
    before = sorted(path.name for path in host.input_folder.iterdir())
    # ComfyUI looks for the pictures that are missing, and its complaints come at any time.
    frontend.page.route("**/view?*meadow.jpg*", lambda route: route.fulfill(path=ROOT / "workflows" / SAMPLE))
    frontend.load_graph(drawing(("LoadImage", [SAMPLE, "image"]), ("LoadImage", ["meadow.jpg", "image"])))
    frontend.load_graph(drawing(("LoadImage", ["meadow.jpg", "image"]), ("FluxImagine", [])))
    assert sorted(path.name for path in host.input_folder.iterdir()) == before
    frontend.load_graph(drawing(("LoadImage", [SAMPLE, "image"]), ("FluxImagine", [])))
    assert (host.input_folder / SAMPLE).is_file()


@pytest.mark.parametrize("tab", ["adds", "writes"])
def test_a_tab_of_another_pack_and_ours_take_their_turns_in_the_sidebar(
    frontend: Frontend, terminal: Terminal, tab: str
) -> None:
    first = generated(terminal, f"a tent beside {tab}", "--seed", "2")
    panel, theirs = opened(frontend), frontend.page.locator(".another")
    card(panel, first)
    toggle(frontend, tab)
    expect(theirs).to_be_visible(timeout=BOUND)
    expect(panel).to_have_count(0, timeout=BOUND)
    if tab == "writes":
        assert frontend.page.evaluate("() => window.given") == ""

    asked: list[str] = []
    frontend.page.on("request", lambda request: asked.append(request.url))
    second = generated(terminal, f"a hut beside {tab}", "--seed", "3")
    frontend.page.evaluate(_MOVE_UNSEEN, second)
    assert [url for url in asked if "/flux-nodes/" in url] == []

    toggle(frontend, "flux-nodes")
    card(panel, second)
    expect(theirs).to_have_count(0, timeout=BOUND)
    room = panel.evaluate("panel => panel.parentElement.parentElement.clientHeight - panel.clientHeight")
    assert abs(room) <= 1
    toggle(frontend, "flux-nodes")
    expect(panel).to_have_count(0, timeout=BOUND)


def test_the_list_is_not_read_while_a_tab_of_comfyui_is_open(frontend: Frontend, terminal: Terminal) -> None:
    panel = opened(frontend)
    toggle(frontend, "node-library")
    expect(panel).to_have_count(0, timeout=BOUND)
    asked: list[str] = []
    frontend.page.on("request", lambda request: asked.append(request.url))
    made = generated(terminal, "a lamp in a workflow", "--seed", "4")
    frontend.page.evaluate(_MOVE_UNSEEN, made)
    assert [url for url in asked if "/flux-nodes/" in url] == []
    toggle(frontend, "flux-nodes")
    card(panel, made)
    toggle(frontend, "flux-nodes")


def test_letters_choose_in_our_list_and_do_nothing_else(frontend: Frontend) -> None:
    panel = opened(frontend)
    kinds = panel.get_by_role("combobox")
    kinds.focus()
    frontend.page.keyboard.press("w")  # ComfyUI's key for its own workflows
    expect(kinds).to_have_value("images")
    frontend.wait_for_frames()
    expect(panel).to_be_visible()
    kinds.select_option("all")
    toggle(frontend, "flux-nodes")
