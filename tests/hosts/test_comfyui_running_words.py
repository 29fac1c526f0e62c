"""The words under our nodes as a frontend shows them: after the end, after a run that ComfyUI answers by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from flux_nodes.sandbox import Sandbox, serving
from tests.hosts.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hosts.comfyui import Comfyui, FrontendAge
    from tests.hosts.conftest import OpenFrontend, StartComfyui
    from tests.hosts.frontend import Frontend

BOUND = 60_000

SHOWN = """([type, words]) => window.app.graph.nodes.some(node => node.type === type
  && node.widgets.some(widget => widget.name === "$$node-text-preview" && String(widget.value).includes(words)))"""
PICTURED = """type => window.app.graph.nodes.some(node => node.type === type
  && window.app.nodeOutputs[node.id]?.images?.every(image => image.type === "temp"))"""
LISTEN = """words => {
  window.told = []
  window.app.api.addEventListener("progress_text", ({detail}) => {
    if (detail.text.includes(words)) window.told.push(detail.text)
  })
}"""
KEEP_SEED = """() => {
  for (const node of window.app.graph.nodes)
    for (const widget of node.widgets ?? [])
      if (widget.name === "control_after_generate") widget.value = "fixed"
}"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(seconds=0.5)
    yield made
    made.close()


@pytest.fixture(scope="module", params=["paired", "newest"])
def host(request: pytest.FixtureRequest, sandbox: Sandbox, start_comfyui: StartComfyui) -> Iterator[Comfyui]:
    age: FrontendAge = request.param
    with serving(sandbox) as server:
        environment = {"APIFRAME_BASE_URL": server.url, "APIFRAME_API_KEY": "sandbox"}
        yield start_comfyui(environment, frontend=age)


def opened(frontend: Frontend) -> None:
    frontend.load_graph(json.loads((ROOT / "workflows" / "text_to_image.json").read_text("utf-8")))
    frontend.page.evaluate(KEEP_SEED)


def until_told(frontend: Frontend, times: int) -> None:
    frontend.page.wait_for_function("times => window.told.length >= times", arg=times, timeout=BOUND)


def test_the_words_of_a_picture_are_there_again_after_a_run_that_comfyui_answers_from_its_cache(
    host: Comfyui, open_frontend: OpenFrontend, sandbox: Sandbox
) -> None:
    frontend = open_frontend(host)
    opened(frontend)
    frontend.page.evaluate(LISTEN, "1 credit")
    assert frontend.run() == "success"
    until_told(frontend, 2)  # at the end of the node, and after that of the prompt
    charges = sandbox.charges
    assert frontend.run() == "success"
    until_told(frontend, 3)
    frontend.page.wait_for_function(SHOWN, arg=["FluxImagine", "1 credit"], timeout=BOUND)
    assert sandbox.charges == charges


def test_a_graph_that_is_opened_again_shows_picture_and_words_of_what_comfyui_answers_from_its_cache(
    host: Comfyui, open_frontend: OpenFrontend, sandbox: Sandbox
) -> None:
    frontend = open_frontend(host)
    opened(frontend)
    assert frontend.run() == "success"
    charges = sandbox.charges
    frontend.page.reload()
    frontend.wait_until_ready()
    opened(frontend)
    assert not frontend.page.evaluate(PICTURED, "FluxImagine")
    assert frontend.run() == "success"
    frontend.page.wait_for_function(PICTURED, arg="FluxImagine", timeout=BOUND)
    frontend.page.wait_for_function(SHOWN, arg=["FluxImagine", "1 credit"], timeout=BOUND)
    assert sandbox.charges == charges
