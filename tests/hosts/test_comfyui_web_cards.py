"""What a card of the sidebar says and does: money and trouble in words, a large view, and no edit lost."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from flux_nodes.sandbox import Fault, Sandbox
from tests.cli.terminal import SMALL, Terminal
from tests.hosts.places import ROOT
from tests.hosts.web import BOUND, KEY, MARKUP, PROMPT, card, generated, nodes, opened, until

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.hosts.comfyui import Comfyui
    from tests.hosts.conftest import StartComfyui
    from tests.hosts.frontend import Frontend
    from tests.hosts.running import Clock

FAILED = "the moderators said <b>no</b>"

_TABS = "() => window.app.extensionManager.workflow.openWorkflows.map(tab => tab.path)"
_PROMPTS = """() => window.app.extensionManager.workflow.openWorkflows
  .flatMap(tab => (tab.changeTracker?.activeState ?? tab.activeState)?.nodes ?? [])
  .filter(node => node.type === 'FluxImagine').map(node => node.widgets_values[1])"""
_AREAS = "() => window.app.graph.nodes.map(({pos, size}) => [pos[0], pos[1] - 30, pos[0] + size[0], pos[1] + size[1]])"
_LOADED = "count => window.app.graph.nodes.filter(node => node.imgs?.[0]?.naturalWidth).length === count"


@pytest.fixture(scope="module", params=["paired", "newest"])
def host(request: pytest.FixtureRequest, address: str, start_comfyui: StartComfyui) -> Comfyui:
    environment = {"APIFRAME_BASE_URL": address, "APIFRAME_API_KEY": KEY}
    return start_comfyui(environment, frontend=request.param)


def came_to_nothing(terminal: Terminal, prompt: str, *words: str) -> None:
    assert terminal.run("generate", prompt, "--json", *SMALL, *words).code != 0


def card_of(panel: Locator, words: str) -> Locator:
    found = panel.locator(".flux-nodes-card", has_text=words)
    expect(found).to_be_visible(timeout=BOUND)
    return found


def press(shown: Locator, name: str) -> None:
    shown.hover()
    shown.get_by_role("button", name=name).click()


def test_opening_a_workflow_again_leaves_what_was_changed_in_its_tab(frontend: Frontend, terminal: Terminal) -> None:
    id_ = generated(terminal, "a water tower", "--seed", "1")
    shown = card(opened(frontend), id_)
    before = len(frontend.page.evaluate(_TABS))
    press(shown, "Open workflow")
    until(frontend, "FluxImagine", "prompt", "a water tower")
    frontend.page.evaluate(PROMPT, "an edit that nobody saved")
    press(shown, "Open workflow")
    frontend.page.wait_for_function(f"count => ({_TABS})().length === count", arg=before + 2, timeout=BOUND)
    until(frontend, "FluxImagine", "prompt", "a water tower")
    for words in ("an edit that nobody saved", "a water tower"):
        frontend.page.wait_for_function(f"words => ({_PROMPTS})().includes(words)", arg=words, timeout=BOUND)


def test_what_the_service_gave_up_is_told_in_its_words_and_what_that_may_cost(
    frontend: Frontend, terminal: Terminal, service: Sandbox
) -> None:
    service.inject(Fault(where="submit", kind="fail", message=FAILED, match="a thistle"))
    came_to_nothing(terminal, "a thistle", "--seed", "2")
    shown = card_of(opened(frontend), "a thistle")
    expect(shown).to_contain_text(FAILED)
    expect(shown).to_contain_text("1 credit was sent with it")
    expect(shown).to_contain_text("unknown")
    expect(shown).not_to_contain_text("nothing paid")


def test_what_was_not_accepted_says_that_nothing_was_paid(
    frontend: Frontend, terminal: Terminal, service: Sandbox
) -> None:
    service.inject(Fault(where="submit", kind="refuse", status=400, match="a burdock"))
    came_to_nothing(terminal, "a burdock", "--seed", "3")
    panel = opened(frontend)
    shown = card_of(panel, "a burdock")
    expect(shown).to_contain_text("not accepted · nothing paid")


def test_what_may_have_been_charged_is_not_said_to_have_cost_anything(
    frontend: Frontend, terminal: Terminal, service: Sandbox
) -> None:
    service.inject(Fault(where="submit", kind="lost-after", match="a teasel"))
    came_to_nothing(terminal, "a teasel", "--seed", "4")
    shown = card_of(opened(frontend), "a teasel")
    expect(shown).to_contain_text("unconfirmed: it may have been charged")
    expect(shown).not_to_contain_text(re.compile(r"\d credit"))


def test_what_the_sandbox_made_says_so_where_others_have_their_credits(frontend: Frontend, terminal: Terminal) -> None:
    pretended = generated(terminal, "a poplar", "--seed", "5", "--sandbox")
    real = generated(terminal, "a willow", "--seed", "5")
    panel = opened(frontend)
    expect(card(panel, pretended).locator(".flux-nodes-line")).to_contain_text("Sandbox")
    expect(card(panel, pretended)).not_to_contain_text("credit")
    expect(card(panel, real).locator(".flux-nodes-line")).to_contain_text("1 credit")
    expect(card(panel, real)).not_to_contain_text("Sandbox")


def test_only_those_of_one_kind_are_shown(frontend: Frontend, terminal: Terminal, service: Sandbox) -> None:
    done = generated(terminal, "a beech", "--seed", "6")
    service.inject(Fault(where="submit", kind="fail", match="a nettle"))
    came_to_nothing(terminal, "a nettle", "--seed", "6")
    panel = opened(frontend)
    kind = panel.get_by_label("Show", exact=True)
    kind.select_option("Failed")
    expect(panel.locator(f"[data-id='{done}']")).to_have_count(0, timeout=BOUND)
    card_of(panel, "a nettle")
    kind.select_option("With picture")
    expect(panel.locator(".flux-nodes-card", has_text="a nettle")).to_have_count(0, timeout=BOUND)
    card(panel, done)
    kind.select_option("Unfinished")
    expect(panel).to_contain_text("none of these", timeout=BOUND)
    kind.select_option("All")
    card(panel, done)


def test_a_card_opens_in_large_with_its_facts_and_escape_closes_it(frontend: Frontend, terminal: Terminal) -> None:
    id_ = generated(terminal, MARKUP, "--seed", "7")
    shown = card(opened(frontend), id_)
    shown.locator(".flux-nodes-picture").click()
    dialog = frontend.page.locator("dialog.flux-nodes-view")
    expect(dialog.get_by_role("img")).to_have_js_property("naturalWidth", 256, timeout=BOUND)
    for fact in (MARKUP, id_, "256×256", "1 credit", "terminal"):
        expect(dialog).to_contain_text(fact)
    with frontend.page.expect_download(timeout=BOUND) as download:
        dialog.get_by_role("link", name="Download original").click()
    kept = terminal.run("status", id_, "--json").document["original"]
    assert download.value.path().read_bytes() == Path(kept).read_bytes()
    frontend.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    shown.locator(".flux-nodes-prompt").click()
    expect(dialog).to_contain_text(id_)
    frontend.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    viewing = shown.get_by_role("button", name="View large")
    viewing.focus()
    frontend.page.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Open workflow")).to_be_focused()
    frontend.page.keyboard.press("Escape")
    expect(viewing).to_be_focused()
    frontend.page.keyboard.press("Enter")
    frontend.page.keyboard.press("Enter")
    until(frontend, "FluxImagine", "prompt", MARKUP)
    expect(dialog).to_have_count(0)
    assert frontend.page.evaluate("() => window.harmed") is None


def test_collecting_what_does_not_end_says_that_it_goes_on(
    frontend: Frontend, terminal: Terminal, clock: Clock
) -> None:
    with clock.held():
        ended = terminal.run("generate", "a slow glacier", "--seed", "8", "--no-wait", "--json", *SMALL)
        assert ended.code == 0, ended.err
        panel = opened(frontend)
        card(panel, ended.document["id"])
        panel.get_by_role("button", name="Collect").click()
        expect(panel).to_contain_text("still running at the service. ComfyUI goes on looking", timeout=BOUND)
        press(card(panel, ended.document["id"]), "View large")
        frontend.page.locator("dialog.flux-nodes-view").get_by_role("button", name="Collect").click()
        expect(frontend.page.get_by_text("Still running at the service", exact=True)).to_be_visible(timeout=BOUND)
    expect(panel).not_to_contain_text("still running", timeout=BOUND)


def test_the_sidebar_says_when_comfyui_has_stopped_looking(
    frontend: Frontend, terminal: Terminal, host: Comfyui, clock: Clock
) -> None:
    settings = host.base / "home" / "flux-nodes" / "settings.json"
    with clock.held():
        ended = terminal.run("generate", "a slow moraine", "--seed", "8", "--no-wait", "--json", *SMALL)
        assert ended.code == 0, ended.err
        panel = opened(frontend)
        shown = card(panel, ended.document["id"])
        settings.write_text('{"timeout": 3}')
        panel.get_by_role("button", name="Collect").click()
        told = frontend.page.get_by_role("alert").filter(has_text=ended.document["id"]).last
        expect(told).to_contain_text("Collect in the FLUX sidebar", timeout=BOUND)  # not there for long
        expect(panel).to_contain_text("has stopped looking for 1 unfinished generation", timeout=BOUND)
        settings.unlink()
        panel.get_by_role("button", name="Collect").click()
        expect(panel).to_contain_text("ComfyUI goes on looking", timeout=BOUND)
    expect(shown.get_by_role("img")).to_be_visible(timeout=BOUND)
    expect(panel).not_to_contain_text("unfinished", timeout=BOUND)


def test_pictures_that_are_used_cover_nothing(frontend: Frontend, terminal: Terminal) -> None:
    id_ = generated(terminal, "a tram", "--seed", "9")
    frontend.load_graph(json.loads((ROOT / "workflows" / "text_to_image.json").read_text("utf-8")))
    shown = card(opened(frontend), id_)
    for count in (1, 2, 3):
        press(shown, "Use as image")
        frontend.page.wait_for_function(_LOADED, arg=count, timeout=BOUND)
    areas = frontend.page.evaluate(_AREAS)
    covered = [(one, other) for at, one in enumerate(areas) for other in areas[at + 1 :] if overlap(one, other)]
    assert covered == []
    assert len(nodes(frontend, "LoadImage")) == 3


def overlap(one: list[Any], other: list[Any]) -> bool:
    return bool(one[0] < other[2] and one[2] > other[0] and one[1] < other[3] and one[3] > other[1])
