"""Our extension of ComfyUI's frontend as tests see it: the sidebar's tab, our settings, and a service to speak to."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.cli.terminal import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator

    from tests.cli.terminal import Terminal
    from tests.hosts.frontend import Frontend

BOUND = 60_000
"""Milliseconds that anything may take, on a machine with much to do."""

KEY = "canary-5d21-of-a-key"
"""A key that the service knows, and that must be found nowhere."""

MARKUP = '<img src=x onerror="window.harmed = true"> a lake'
"""A prompt that must be shown as it is."""

MIDDLE = """type => {
  const node = window.app.graph.nodes.find(node => node.type === type)
  const {left, top} = window.app.canvas.canvas.getBoundingClientRect()
  const {scale, offset} = window.app.canvas.ds
  const middle = axis => (node.pos[axis] + node.size[axis] / 2 + offset[axis]) * scale
  return [left + middle(0), top + middle(1)]
}"""
"""Gives the place of the first node of a type in the window."""

ADD = """type => {
  const node = window.LiteGraph.createNode(type)
  const [x, y, width, height] = window.app.canvas.visible_area
  node.pos = [x + width / 2, y + height / 3]
  window.app.graph.add(node)
}"""
"""Adds a node of a type where it can be seen."""

PROMPT = """text => {
  const node = window.app.graph.nodes.find(node => node.type === 'FluxImagine')
  const widget = node.widgets.find(widget => widget.name === 'prompt')
  widget.value = text
  widget.callback?.(text)
  const tracker = window.app.extensionManager.workflow.activeWorkflow.changeTracker
  tracker.captureCanvasState ? tracker.captureCanvasState() : tracker.checkState()
}"""
"""Writes a prompt into FLUX Imagine, as a person would."""

_NODES = """type => window.app.graph.nodes.filter(node => node.type === type)
  .map(node => Object.fromEntries(node.widgets.map(widget => [widget.name, widget.value])))"""


def generated(terminal: Terminal, prompt: str, *words: str) -> str:
    """The id of a generation that a terminal has made."""
    ended = terminal.run("generate", prompt, "--json", *SMALL, *words)
    assert ended.code == 0, ended.err
    return str(ended.document["id"])


def opened(frontend: Frontend) -> Locator:
    """Our tab of the sidebar, open and read anew."""
    panel = frontend.page.locator(".flux-nodes-panel")
    if not panel.is_visible():
        frontend.page.get_by_role("button", name="FLUX", exact=False).first.click()
    panel.get_by_role("searchbox").fill("")
    panel.get_by_role("button", name="Refresh").click()
    return panel


def card(panel: Locator, id_: str) -> Locator:
    found = panel.locator(f"[data-id='{id_}']")
    expect(found).to_be_visible(timeout=BOUND)
    return found


@contextmanager
def settings_dialog(frontend: Frontend) -> Iterator[Locator]:
    """Our page of ComfyUI's settings, until it is closed again."""
    frontend.page.evaluate("() => { window.app.extensionManager.command.execute('Comfy.ShowSettingsDialog') }")
    dialog = frontend.page.get_by_role("dialog")
    try:
        dialog.get_by_text("Flux Nodes", exact=True).first.click()
        yield dialog
    finally:
        frontend.page.keyboard.press("Escape")
        expect(dialog).to_have_count(0, timeout=BOUND)


def nodes(frontend: Frontend, type_: str) -> list[dict[str, Any]]:
    """The widgets' values of each node of a type."""
    found: list[dict[str, Any]] = frontend.page.evaluate(_NODES, type_)
    return found


def until(frontend: Frontend, type_: str, name: str, words: str) -> None:
    """Wait for a node of this type whose widget of this name has these words in it."""
    frontend.page.wait_for_function(
        """([type, name, words]) => window.app.graph.nodes.some(node => node.type === type
            && String(node.widgets.find(widget => widget.name === name)?.value).includes(words))""",
        arg=[type_, name, words],
        timeout=BOUND,
    )
