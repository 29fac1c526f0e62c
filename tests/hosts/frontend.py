"""ComfyUI's own frontend, as a user has it before them, in a real browser."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route, expect, sync_playwright

from tests.hosts import places
from tests.hosts.conversation import ENDINGS, Ending

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.hosts.comfyui import Comfyui

_PATIENCE = 60_000
"""Milliseconds that anything may take which a test waits for, on a machine with much to do."""

_CHROMIUM_FLAGS = [
    "--no-sandbox",  # a root user, as in a container, has no other way
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

# What frontends complain of by themselves. 1.32.9 asks its vendor's service about nodes, which is out of
# reach here, and should be; and at this place it sets a setting that it has yet to register. 1.58.1 asks the server
# for lists of jobs, which 0.3.75 does not have, and looks for the models of the graph that it opens with.
_ITS_OWN_ERRORS = (
    "https://api.comfy.org/",
    "/assets/GraphView-DVNkY3oT.js:8:222161",
    "/api/jobs?",
    "JobsApiError",
    "https://huggingface.co/",
)

_NO_BANNER = "localStorage.setItem('vueNodesBannerDismissed', 'true')"
_IS_READY = """() => window.app?.extensionManager && window.app.graph
  && window.LiteGraph?.registered_node_types.KSampler"""

# Graphs cross into and out of the page as text: as objects, their undefined members would come back as null,
# which the frontend then refuses to open.
_LOAD = "text => window.app.loadGraphData(JSON.parse(text))"
_SERIALIZE = "() => JSON.stringify(window.app.graph.serialize())"
_TO_PROMPT = "async () => JSON.stringify((await window.app.graphToPrompt()).output)"
_AWAIT_END = """kinds => {
  window.ended = undefined
  for (const kind of kinds) {
    window.app.api.addEventListener(kind, () => { window.ended ??= kind }, {once: true})
  }
}"""
_SET = "([name, value]) => window.app.extensionManager.setting.set(name, value)"
_DROP = """([name, base64, x, y]) => {
  const bytes = Uint8Array.from(atob(base64), character => character.charCodeAt(0))
  const dataTransfer = new DataTransfer()
  dataTransfer.items.add(new File([bytes], name, {type: 'image/png'}))
  const happening = {bubbles: true, cancelable: true, clientX: x, clientY: y, dataTransfer}
  window.app.canvas.canvas.dispatchEvent(new DragEvent('drop', happening))
}"""
_FRAMES = """async () => {
  for (let frame = 0; frame < 20; frame++) await new Promise(requestAnimationFrame)
}"""
_MISSING = """() => {
  const known = window.LiteGraph.registered_node_types
  const graphs = [window.app.graph, ...(window.app.graph.subgraphs?.values() ?? [])]
  return graphs.flatMap(graph => graph.nodes).map(node => node.type).filter(type => !(type in known))
}"""


@contextmanager
def started_browser() -> Iterator[Browser]:
    """Start Chromium without a window.

    While it runs, this thread's event loop counts as running: no async test can run until it has ended.
    """
    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=places.chromium(), args=_CHROMIUM_FLAGS)
        yield browser
        browser.close()


class Frontend:
    """One visit to a ComfyUI. `page` is Playwright's, for all that has no method here."""

    def __init__(self, page: Page, server: Comfyui) -> None:
        self.page = page
        self.server = server
        self.console_errors: list[str] = []
        page.set_default_timeout(_PATIENCE)
        page.add_init_script(_NO_BANNER)
        page.route("**/user.css", lambda route: route.fulfill(content_type="text/css", body=""))
        page.route(lambda url: urlsplit(url).hostname != "127.0.0.1", _refuse)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.console_errors.append(str(error)))
        page.goto(server.url)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait for the nodes that the server has, after the page was opened or read anew."""
        self.page.wait_for_function(_IS_READY)

    def wait_for_frames(self) -> None:
        """Wait for some frames, in which the canvas lays its widgets out."""
        self.page.evaluate(_FRAMES)

    def load_graph(self, workflow: Mapping[str, Any]) -> None:
        """Open a saved workflow."""
        self.page.evaluate(_LOAD, json.dumps(workflow))

    def missing_nodes(self) -> list[str]:
        """Give the type of each node on the canvas that the server does not have."""
        return cast("list[str]", self.page.evaluate(_MISSING))

    def prompt(self) -> dict[str, Any]:
        """Give what the frontend would send to run the graph, in API format."""
        return self._json(_TO_PROMPT)

    def serialize(self) -> dict[str, Any]:
        """Give the graph as the frontend would save it."""
        return self._json(_SERIALIZE)

    def run(self, *, within: float = 60) -> Ending:
        """Press the keys that run the graph and wait for its end. Buttons may lie under a notice; keys do not."""
        self.page.evaluate(_AWAIT_END, list(ENDINGS))
        self.page.keyboard.press("Control+Enter")
        ended = self.page.wait_for_function("() => window.ended", timeout=within * 1000)
        return ENDINGS[ended.json_value()]

    def set(self, setting: str, value: object) -> None:
        """Change one of ComfyUI's settings, as its dialog does."""
        self.page.evaluate(_SET, [setting, value])

    def drag(self, what: Locator, x: float, y: float, *, key: str | None = None) -> None:
        """Drag something with the mouse to a place of the window, with a key held if one is named."""
        what.scroll_into_view_if_needed()
        box = what.bounding_box()
        assert box is not None, "what is dragged must be on the screen"
        mouse, keyboard = self.page.mouse, self.page.keyboard
        mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        if key is not None:
            keyboard.down(key)
        mouse.down()
        mouse.move(x - 20, y - 20, steps=5)
        mouse.move(x, y, steps=3)
        mouse.up()
        if key is not None:
            keyboard.up(key)

    def drop_image(self, name: str, data: bytes, x: float = 900, y: float = 500) -> None:
        """Drop an image file from the desktop onto the canvas."""
        self.page.evaluate(_DROP, [name, b64encode(data).decode(), x, y])

    def screenshot(self, file: Path) -> Path:
        """Take a picture of the page, as PNG."""
        self.page.screenshot(path=file)
        return file

    def _json(self, script: str) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.page.evaluate(script)))

    def _note(self, message: ConsoleMessage) -> None:
        said = f"{message.text} ({message.location.get('url')})"
        if message.type == "error" and not any(sign in said for sign in _ITS_OWN_ERRORS):
            self.console_errors.append(said)


def _refuse(route: Route) -> None:
    route.abort()
