"""What our nodes do to others in a genuine ComfyUI: to other windows, other packs' nodes, and scripts."""

from __future__ import annotations

import json
from contextlib import closing
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tests.hosts import pack
from tests.hosts.running import BOUND, Clock, Window, imagine, listed, node, saved, submitted, until, words_of
from tests.hosts.web import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from flux_nodes.sandbox import Sandbox
    from tests.hosts.comfyui import Comfyui
    from tests.hosts.conftest import StartComfyui

ROUNDS = '''
from comfy_execution.graph_utils import GraphBuilder

class Rounds:
    """Puts FLUX Imagines in its own place while a prompt runs, as other packs' loops do."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("IMAGE",), "expand", "tests"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"inputs": ("STRING", {}), "count": ("INT", {})}, "hidden": {"id": "UNIQUE_ID"}}

    def expand(self, inputs, count, id):
        import json
        graph, given = GraphBuilder(), json.loads(inputs)
        for at in range(count):
            made = graph.node("FluxImagine", f"round{at}", **given)
            made.set_override_display_id(id)
            given["image_prompt"] = made.out(0)
        return {"result": (made.out(0),), "expand": graph.finalize()}

NODE_CLASS_MAPPINGS = {"Rounds": Rounds}
'''
"""A pack whose node brings about others that no window knows."""


@pytest.fixture(scope="module")
def host(
    address: str, start_comfyui: StartComfyui, pack_copy: Path, tmp_path_factory: pytest.TempPathFactory
) -> Comfyui:
    """A ComfyUI with a pack whose node loops."""
    rounds = tmp_path_factory.mktemp("rounds")
    (rounds / "__init__.py").write_text(ROUNDS)
    environment = {"APIFRAME_BASE_URL": address, "APIFRAME_API_KEY": KEY}
    return start_comfyui(environment, packs={pack.NAME: pack_copy, "rounds": rounds})


def run_from(host: Comfyui, window: Window, name: str) -> list[tuple[str, Any]]:
    """Let a window run a prompt, and give all that it has heard by the end of that: also of what was before."""
    shape = {"1": node("FluxAspectRatio"), "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}}
    status, _ = host.ask("POST", "/prompt", {"prompt": shape, "client_id": name})
    assert status == 200
    return window.heard_until("execution_success")


def test_what_a_script_runs_without_naming_a_window_is_told_under_the_nodes_of_no_window(host: Comfyui) -> None:
    with closing(Window(host, "bystander")) as window:
        script = {"1": imagine("a lonely pine"), "2": saved("1")}
        _, body = host.ask("POST", "/prompt", {"prompt": script})
        until(lambda: json.loads(body)["prompt_id"] in json.loads(host.get("/history")))
        heard = run_from(host, window, "bystander")
    kinds = [kind for kind, _ in heard]
    assert "binary" not in kinds[: kinds.index("execution_start")]
    assert not any(b"stored" in data for kind, data in heard if kind == "binary")


def test_last_words_are_an_event_of_our_own_for_the_window_that_asked(host: Comfyui) -> None:
    with closing(Window(host, "another")) as another, closing(Window(host, "asking")) as asking:
        host.ask("POST", "/prompt", {"prompt": {"1": imagine("a shy birch"), "2": saved("1")}, "client_id": "asking"})
        heard = asking.heard_until("flux-nodes.words")
        after = [kind for kind, _ in heard][[kind for kind, _ in heard].index("execution_success") :]
        assert not {"binary", "executed"} & set(after), "of what does not happen nobody hears"
        assert "flux-nodes.words" not in [kind for kind, _ in run_from(host, another, "another")]


def test_words_of_nodes_that_a_loop_brings_about_stand_under_the_node_that_the_window_knows(host: Comfyui) -> None:
    inputs = json.dumps(imagine("a round tower")["inputs"])
    graph = {"2": {"class_type": "Rounds", "inputs": {"inputs": inputs, "count": 2}}, "3": saved("2")}
    with host.connect() as conversation:
        id_ = conversation.queue(graph, extra_data={"extra_pnginfo": {"workflow": {"nodes": [], "version": 0.4}}})
        outcome = conversation.wait(id_, within=BOUND)
    assert outcome.ended == "success", outcome.error
    assert {event.data["node"] for event in outcome.events if event.kind == "text"} == {"2"}
    assert "2 images" in words_of(outcome, "2")[-1]
    opened = Image.open(BytesIO(host.view(outcome.outputs["3"]["images"][0])))
    made = json.loads(str(opened.info["flux_nodes"]))["nodes"]
    assert sorted(len(facts) for facts in made.values()) == [1, 1], "each has its own facts"
    assert all("round" in each for each in made)


def test_what_an_interruption_leaves_behind_is_noticed_in_the_window_that_asked_and_in_no_other(
    host: Comfyui, clock: Clock, service: Sandbox
) -> None:
    with closing(Window(host, "uninvolved")) as another, closing(Window(host, "stopping")) as asking:
        graph = {"1": imagine("a slow glacier"), "2": saved("1")}
        with clock.held():
            host.ask("POST", "/prompt", {"prompt": graph, "client_id": "stopping"})
            until(lambda: submitted(service, "a slow glacier"))
            host.interrupt()
            assert "collected free" in asking.hear("flux-nodes.notice")["detail"]
        until(lambda: [each["status"] for each in listed(host, "glacier")] == ["stored"])
        kinds = [kind for kind, _ in run_from(host, another, "uninvolved")]
    assert "flux-nodes.notice" not in kinds
    assert "flux-nodes.generation" in kinds, "the sidebar is the server's"


def test_nodes_that_use_no_generation_run_where_nothing_can_be_kept_and_nothing_read(host: Comfyui) -> None:
    home = host.base / "home" / "flux-nodes"
    home.mkdir(exist_ok=True)
    aside = home.rename(home.with_name("aside"))
    home.write_text("no folder")
    try:
        shape = node("FluxAspectRatio")
        blank = {"width": ["1", 0], "height": ["1", 1], "batch_size": 1, "color": 0}
        sheet = node("FluxContactSheet", labels=["0", 0], image_1=["2", 0])
        graph = {"0": node("FluxPromptList", prompts="a label"), "1": shape, "3": sheet, "4": saved("3")}
        outcome = host.submit({**graph, "2": {"class_type": "EmptyImage", "inputs": blank}})
    finally:
        home.unlink()
        aside.rename(home)
    assert outcome.ended == "success", outcome.error
    assert len(outcome.outputs["4"]["images"]) == 1
