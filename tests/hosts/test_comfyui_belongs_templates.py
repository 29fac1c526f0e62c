"""What the pack brings along, as an artist finds it: cards in the template dialog, blueprints in the node search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.hosts import pack
from tests.hosts.frontend import Frontend
from tests.hosts.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator

    from tests.hosts.comfyui import Comfyui, FrontendAge
    from tests.hosts.conftest import StartComfyui

TEMPLATES = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))
BLUEPRINTS = sorted(path.stem for path in (ROOT / "subgraphs").glob("*.json"))
EMPTY = {"last_node_id": 0, "last_link_id": 0, "nodes": [], "links": [], "version": 0.4}

_COMMAND = "name => window.app.extensionManager.command.execute(name)"
_HAS_OUR_NODES = "() => window.app.graph.nodes.some(node => node.type.startsWith('Flux'))"
_IS_ASKED_FOR_WORDS = "() => document.activeElement?.tagName === 'INPUT'"
_HAS_A_SUBGRAPH = "() => window.app.graph.nodes.some(node => node.isSubgraphNode?.())"


@pytest.fixture(scope="module", params=["paired", "newest"])
def host(request: pytest.FixtureRequest, start_comfyui: StartComfyui) -> Iterator[Comfyui]:
    age: FrontendAge = request.param
    server = start_comfyui({}, frontend=age)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def frontend(host: Comfyui, browser: Browser) -> Iterator[Frontend]:
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    yield Frontend(context.new_page(), host)
    context.close()


@pytest.fixture
def dialog(frontend: Frontend) -> Locator:
    """The template dialog at this pack's page."""
    found = frontend.page.get_by_role("dialog")
    if not found.is_visible():
        frontend.page.evaluate(_COMMAND, "Comfy.BrowseTemplates")
        found.get_by_text(pack.NAME, exact=True).click()
    return found


def card(dialog: Locator, name: str) -> Locator:
    return dialog.get_by_test_id(f"template-workflow-{name}")


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_workflow_is_a_card_with_its_own_picture(dialog: Locator, name: str) -> None:
    picture = card(dialog, name).locator("img").first
    picture.scroll_into_view_if_needed()
    with Image.open(ROOT / "workflows" / f"{name}.jpg") as drawn:
        width, height = drawn.size

    # Where a workflow has none, the frontend shows a picture of its own.
    expect(picture).to_have_js_property("naturalWidth", width, timeout=60_000)
    expect(picture).to_have_js_property("naturalHeight", height)


def test_a_click_on_a_card_opens_its_graph(frontend: Frontend, dialog: Locator) -> None:
    card(dialog, "text_to_image").click()
    frontend.page.wait_for_function(_HAS_OUR_NODES)
    expect(dialog).to_be_hidden()

    assert frontend.missing_nodes() == []
    assert "FluxImagine" in {node["class_type"] for node in frontend.prompt().values()}


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_a_blueprint_is_found_by_its_name_put_on_the_canvas_and_complete(frontend: Frontend, name: str) -> None:
    frontend.load_graph(EMPTY)
    frontend.page.evaluate(_COMMAND, "Workspace.SearchBox.Toggle")
    frontend.page.wait_for_function(_IS_ASKED_FOR_WORDS)
    frontend.page.keyboard.type(name)
    # The first is the one that the key takes; while the search goes on, it may be that of fewer letters.
    field = frontend.page.get_by_role("combobox")  # which 1.32.9 puts into an option of its own
    found = frontend.page.get_by_role("option").filter(has_not=field)
    expect(found.first).to_contain_text(name, timeout=60_000)
    frontend.page.keyboard.press("Enter")
    frontend.page.wait_for_function(_HAS_A_SUBGRAPH)

    assert frontend.missing_nodes() == []
    assert "FluxImagine" in {node["class_type"] for node in frontend.prompt().values()}
