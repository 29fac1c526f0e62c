"""Our extension of ComfyUI's frontend, in a real browser: the sidebar, the settings, what is dragged and dropped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import APIResponse, Route, expect

from flux_nodes.sandbox import Fault, Sandbox
from tests.cli.terminal import SMALL, Terminal
from tests.hosts import running
from tests.hosts.places import ROOT
from tests.hosts.web import ADD, BOUND, KEY, MARKUP, MIDDLE, card, generated, nodes, opened, settings_dialog, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hosts.comfyui import Comfyui
    from tests.hosts.conftest import OpenFrontend, StartComfyui
    from tests.hosts.frontend import Frontend
    from tests.hosts.running import Clock


_OFFERED = """() => window.app.graph.nodes[0].widgets.find(widget => widget.name === 'generation').options.values"""


@pytest.fixture(scope="module", params=["paired", "newest"])
def host(request: pytest.FixtureRequest, address: str, start_comfyui: StartComfyui) -> Comfyui:
    """A ComfyUI that knows no key, with the frontend that it came with, or the newest."""
    return start_comfyui({"APIFRAME_BASE_URL": address}, frontend=request.param)


@pytest.fixture
def with_key(host: Comfyui) -> Iterator[Comfyui]:
    """The host while a key is stored."""
    assert host.ask("POST", "/flux-nodes/key", {"key": KEY})[0] == 200
    yield host
    assert host.ask("DELETE", "/flux-nodes/key")[0] == 200


def test_a_generation_of_another_door_is_listed_found_and_harmless(frontend: Frontend, terminal: Terminal) -> None:
    first = generated(terminal, "a quiet harbour", "--seed", "1")
    second = generated(terminal, MARKUP, "--seed", "2")
    panel = opened(frontend)
    expect(card(panel, first)).to_contain_text("a quiet harbour")
    expect(card(panel, first)).to_contain_text("terminal")
    expect(card(panel, second)).to_contain_text(MARKUP)
    expect(card(panel, first).get_by_role("img", name="a quiet harbour")).to_have_js_property("naturalWidth", 256)
    assert frontend.page.evaluate("() => window.harmed") is None

    panel.get_by_role("searchbox").fill("HARBOUR")
    expect(panel.locator(f"[data-id='{second}']")).to_have_count(0, timeout=BOUND)
    expect(card(panel, first)).to_be_visible()
    panel.get_by_role("searchbox").fill("no such words")
    expect(panel).to_contain_text("no such words", timeout=BOUND)
    expect(panel.locator(".flux-nodes-card")).to_have_count(0)


def test_a_generation_opens_as_its_workflow_by_its_button_and_by_dragging_it(
    frontend: Frontend, terminal: Terminal
) -> None:
    first = generated(terminal, "a lighthouse", "--seed", "3", "--model", "flux-dev")
    second = generated(terminal, "a windmill", "--seed", "4")
    panel = opened(frontend)
    card(panel, first).hover()
    card(panel, first).get_by_role("button", name="Open workflow").click()
    until(frontend, "FluxImagine", "prompt", "a lighthouse")
    assert nodes(frontend, "FluxImagine")[0]["model"] == "flux-dev"
    frontend.drag(card(panel, second).get_by_role("img"), 900, 500)
    until(frontend, "FluxImagine", "prompt", "a windmill")
    assert frontend.missing_nodes() == []


def test_a_generation_is_used_as_an_image_by_its_button_by_its_handle_and_with_shift(
    frontend: Frontend, terminal: Terminal
) -> None:
    first = generated(terminal, "a red barn", "--seed", "5")
    second = generated(terminal, "a green barn", "--seed", "6")
    third = generated(terminal, "a blue barn", "--seed", "7")
    panel = opened(frontend)
    handle = card(panel, first).get_by_role("button", name="Use as image")
    card(panel, first).hover()
    handle.click()
    until(frontend, "LoadImage", "image", first)
    card(panel, second).hover()
    frontend.drag(card(panel, second).get_by_role("button", name="Use as image"), 1300, 680)
    until(frontend, "LoadImage", "image", second)
    frontend.drag(card(panel, third).get_by_role("img"), 1300, 150, key="Shift")
    until(frontend, "LoadImage", "image", third)
    assert [len(nodes(frontend, type_)) for type_ in ("LoadImage", "FluxImagine")] == [3, 0]
    name = nodes(frontend, "LoadImage")[0]["image"]
    assert (frontend.server.input_folder / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("vue", [False, True], ids=["canvas", "vue"])
def test_a_generation_dropped_on_a_loader_is_what_it_loads(frontend: Frontend, terminal: Terminal, vue: bool) -> None:
    seed = f"{8 + vue}"
    first = generated(terminal, "an orchard", "--seed", seed)
    second = generated(terminal, "a vineyard", "--seed", seed)
    frontend.set("Comfy.VueNodes.Enabled", vue)
    panel = opened(frontend)
    card(panel, first).hover()
    card(panel, first).get_by_role("button", name="Use as image").click()
    until(frontend, "LoadImage", "image", first)
    frontend.drag(card(panel, second).get_by_role("img"), *frontend.page.evaluate(MIDDLE, "LoadImage"))
    until(frontend, "LoadImage", "image", second)
    assert len(nodes(frontend, "LoadImage")) == 1


def test_an_image_dropped_on_the_canvas_becomes_its_graph(
    frontend: Frontend, terminal: Terminal, host: Comfyui
) -> None:
    id_ = generated(terminal, "a mill pond", "--seed", "9")
    frontend.drop_image("mill.png", host.get(f"/flux-nodes/generations/{id_}/image"))
    until(frontend, "FluxImagine", "prompt", "a mill pond")


@pytest.mark.usefixtures("with_key")
def test_what_is_unfinished_is_counted_and_collected_by_one_click(
    frontend: Frontend, terminal: Terminal, clock: Clock, service: Sandbox
) -> None:
    with clock.held():
        ended = terminal.run("generate", "a slow river", "--seed", "10", "--no-wait", "--json", *SMALL)
        assert ended.code == 0, ended.err
        charges = service.charges
        panel = opened(frontend)
        shown = card(panel, ended.document["id"])
        expect(shown).to_contain_text("waiting")
        expect(panel).to_contain_text("1 generation is unfinished")
        panel.get_by_role("button", name="Collect").click()
        expect(frontend.page.get_by_text("Collecting 1 generation").first).to_be_visible(timeout=BOUND)
    expect(shown.get_by_role("img")).to_be_visible(timeout=BOUND)
    expect(panel).not_to_contain_text("unfinished", timeout=BOUND)
    assert service.charges == charges


def test_a_key_given_in_the_settings_is_stored_by_the_server_and_nowhere_else(
    frontend: Frontend, host: Comfyui
) -> None:
    with settings_dialog(frontend) as dialog:
        field = dialog.locator("input[type=password]")
        expect(dialog).to_contain_text("No key is set", timeout=BOUND)
        field.fill(KEY)
        dialog.get_by_role("button", name="Store").click()
        expect(dialog).to_contain_text("A key is stored", timeout=BOUND)
        expect(field).to_have_value("")
        # Until the service has answered, a key that is forgotten would be an error in the browser's console.
        expect(dialog).to_contain_text("The key works", timeout=BOUND)

    assert json.loads(host.get("/flux-nodes/state"))["key"] == "stored"
    kept = "".join(file.read_text() for file in (host.base / "user").rglob("*.json"))
    assert KEY not in kept + frontend.page.content() + json.dumps(frontend.serialize()) + host.log.text()
    assert KEY not in str(frontend.page.evaluate("() => JSON.stringify({...localStorage, ...sessionStorage})"))

    with settings_dialog(frontend) as dialog:
        dialog.get_by_role("button", name="Forget").click()
        expect(dialog).to_contain_text("No key is set", timeout=BOUND)


def test_a_key_is_checked_once_it_is_stored_and_another_in_its_place_shows(
    frontend: Frontend, host: Comfyui, service: Sandbox
) -> None:
    def store(key: str) -> None:
        dialog.locator("input[type=password]").fill(key)
        dialog.get_by_role("button", name="Store").click()

    with settings_dialog(frontend) as dialog:
        store(KEY)
        expect(dialog).to_contain_text("The key works", timeout=BOUND)
        left = json.loads(host.get("/flux-nodes/account"))["credits"]
        expect(dialog).to_contain_text(f"The key works: {left:g} credits are left.")
        store("canary-of-a-mistyped-key")
        expect(dialog).to_contain_text("Stored, but the service does not know this key.", timeout=BOUND)
        expect(dialog).to_contain_text("A key is stored")
        service.inject(Fault(where="account", kind="not-json"))
        store(KEY)
        expect(dialog).to_contain_text("could not be checked: the service does not answer", timeout=BOUND)
        service.inject(Fault(where="account", kind="refuse", status=403, body="no <b>entry</b>"))
        store(KEY)
        expect(dialog).to_contain_text("could not be checked. The service refused", timeout=BOUND)
        expect(dialog).to_contain_text("A key is stored")
        store(KEY)
        expect(dialog).to_contain_text("The key works", timeout=BOUND)
        dialog.get_by_role("button", name="Forget").click()
        expect(dialog).to_contain_text("No key is set", timeout=BOUND)
        expect(dialog).not_to_contain_text("The key works")
    # A browser says so of each answer that is none.
    frontend.console_errors[:] = [said for said in frontend.console_errors if "/flux-nodes/account" not in said]
    assert KEY not in host.log.text()


def test_with_the_sandbox_switched_on_a_graph_runs_without_a_key_and_the_sidebar_says_so(
    frontend: Frontend, service: Sandbox
) -> None:
    charges = service.charges
    panel = opened(frontend)
    expect(panel).to_contain_text("No API key is set", timeout=BOUND)
    with settings_dialog(frontend) as dialog:
        dialog.get_by_role("switch", name="Sandbox").click()
        expect(dialog.get_by_role("switch", name="Sandbox")).to_be_checked(timeout=BOUND)
    expect(panel.locator(".flux-nodes-top .flux-nodes-sandbox")).to_be_visible()
    expect(panel).not_to_contain_text("No API key is set")

    frontend.load_graph(json.loads((ROOT / "workflows" / "text_to_image.json").read_text("utf-8")))
    assert frontend.run() == "success"
    made = panel.locator(".flux-nodes-card", has_text="ComfyUI").filter(has=frontend.page.get_by_role("img"))
    expect(made.first).to_be_visible(timeout=BOUND)
    assert service.charges == charges

    with settings_dialog(frontend) as dialog:
        dialog.get_by_role("switch", name="Sandbox").click()
        expect(dialog.get_by_role("switch", name="Sandbox")).not_to_be_checked(timeout=BOUND)
    expect(panel.locator(".flux-nodes-top .flux-nodes-sandbox")).to_be_hidden()


def test_an_older_answer_of_the_server_does_not_turn_the_sandbox_back(frontend: Frontend) -> None:
    held: list[tuple[Route, APIResponse]] = []
    frontend.page.route("**/flux-nodes/state", lambda route: held.append((route, route.fetch())))
    with settings_dialog(frontend) as dialog:
        toggle = dialog.get_by_role("switch", name="Sandbox")
        toggle.click()
        expect(toggle).to_be_checked(timeout=BOUND)
        assert held, "the dialog asks for the state when it opens"
        for route, answer in held:
            route.fulfill(response=answer)
        frontend.page.evaluate("() => fetch(location.href)")  # by then the page has heard what came before
        expect(toggle).to_be_checked(timeout=BOUND)
        frontend.page.unroute("**/flux-nodes/state")
        toggle.click()
        expect(toggle).not_to_be_checked(timeout=BOUND)


def test_an_interruption_says_what_goes_on(
    frontend: Frontend, with_key: Comfyui, clock: Clock, service: Sandbox
) -> None:
    text = (ROOT / "workflows" / "text_to_image.json").read_text("utf-8")
    frontend.load_graph(json.loads(text.replace("a sunflower field", "a field of poppies")))
    panel = opened(frontend)
    before = len(service.tasks)
    with clock.held():
        frontend.page.keyboard.press("Control+Enter")
        expect(panel.locator(".flux-nodes-moving")).to_be_visible(timeout=BOUND)
        running.until(lambda: len(service.tasks) > before)  # what is not sent by then would not be sent any more
        with_key.interrupt()
        expect(frontend.page.get_by_text("collected free").first).to_be_visible(timeout=BOUND)
    expect(panel.locator(".flux-nodes-moving")).to_have_count(0, timeout=BOUND)


def test_the_sidebar_speaks_the_language_that_comfyui_is_set_to(
    frontend: Frontend, open_frontend: OpenFrontend, host: Comfyui
) -> None:
    frontend.set("Comfy.Locale", "fr")
    words = json.loads((ROOT / "locales" / "fr" / "main.json").read_text("utf-8"))["fluxNodes"]
    visit = open_frontend(host)
    visit.page.get_by_role("button", name=words["tabTooltip"]).click()
    expect(visit.page.get_by_role("heading", name=words["heading"])).to_be_visible(timeout=BOUND)
    expect(visit.page.get_by_role("button", name=words["refresh"]).first).to_be_visible()
    frontend.set("Comfy.Locale", "en")
    assert visit.console_errors == []


def test_a_template_brings_its_picture_along(frontend: Frontend, host: Comfyui) -> None:
    sample = host.input_folder / "flux-nodes-meadow.jpg"
    sample.unlink(missing_ok=True)
    frontend.page.reload()  # the choices of the page are those from before there was such a picture
    frontend.wait_until_ready()
    frontend.load_graph(json.loads((ROOT / "workflows" / "image_to_image.json").read_text("utf-8")))
    frontend.page.wait_for_function(
        "() => window.app.graph.nodes.find(node => node.type === 'LoadImage')?.imgs?.[0]?.naturalWidth > 0",
        timeout=BOUND,
    )
    assert sample.read_bytes() == (ROOT / "workflows" / "flux-nodes-meadow.jpg").read_bytes()
    # Frontends that look for missing pictures say so now, and mark the node.
    expect(frontend.page.get_by_text("missing", exact=False).locator("visible=true")).to_have_count(0)
    assert not frontend.page.evaluate("() => window.app.graph.nodes.some(node => node.has_errors)")


@pytest.mark.usefixtures("with_key")
@pytest.mark.parametrize("vue", [False, True], ids=["canvas", "vue"])
def test_the_recent_generations_are_offered_and_a_saved_choice_is_kept(
    frontend: Frontend, terminal: Terminal, vue: bool
) -> None:
    seed = f"{11 + vue}"
    older = generated(terminal, "a stone bridge", "--seed", seed)
    newer = generated(terminal, "a wooden bridge", "--seed", seed)
    frontend.set("Comfy.VueNodes.Enabled", vue)
    frontend.page.evaluate(ADD, "FluxLoadGeneration")
    until(frontend, "FluxLoadGeneration", "generation", newer)
    assert any(choice.startswith(older) for choice in frontend.page.evaluate(_OFFERED))
    saved = frontend.serialize()
    (node,) = saved["nodes"]
    node["widgets_values"] = [f"{older} a stone bridge", *node["widgets_values"][1:]]
    frontend.load_graph(saved)
    newest = generated(terminal, "an iron bridge", "--seed", seed)
    frontend.page.evaluate("() => window.app.refreshComboInNodes()")
    frontend.page.wait_for_function(f"id => ({_OFFERED})().some(choice => choice.startsWith(id))", arg=newest)
    assert nodes(frontend, "FluxLoadGeneration")[0]["generation"] == f"{older} a stone bridge"
