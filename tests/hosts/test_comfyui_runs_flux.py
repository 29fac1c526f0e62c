"""Our nodes inside a genuine ComfyUI, against the sandbox over real HTTP."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flux_nodes.core.images import decode
from flux_nodes.graph import Folders, Registry, read_workflow, stock_nodes
from flux_nodes.nodes import NODES
from flux_nodes.sandbox import Fault, Sandbox, serving
from tests.hosts.conversation import PromptRefusedError
from tests.hosts.places import ROOT
from tests.hosts.running import submitted, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.hosts.comfyui import Comfyui
    from tests.hosts.conftest import OpenFrontend, StartComfyui

WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(seconds=0.5)
    yield made
    made.close()


@pytest.fixture(scope="module")
def host(sandbox: Sandbox, start_comfyui: StartComfyui) -> Iterator[Comfyui]:
    """A ComfyUI whose FLUX nodes reach the sandbox, with the image that the workflows load."""
    with serving(sandbox) as server:
        started = start_comfyui({"APIFRAME_BASE_URL": server.url, "APIFRAME_API_KEY": "sandbox"})
        shutil.copy(ROOT / "workflows" / "flux-nodes-meadow.jpg", started.input_folder)
        yield started


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    folders = Folders(input=ROOT / "workflows", output=tmp_path, temp=tmp_path)
    return Registry([*NODES, *stock_nodes(folders)])


def imagine(**inputs: Any) -> dict[str, Any]:
    """A prompt in API format: one FLUX Imagine and its saved image."""
    given = {"model": "flux-schnell", "prompt": "a sunflower field in the wind", "seed": 7, **inputs}
    return {
        "1": {"class_type": "FluxImagine", "inputs": DEFAULTS | given},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "flux"}},
    }


DEFAULTS = {item.name: item.default for item in NODES[0].inputs if item.is_widget} | {"width": 320, "height": 256}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_saved_workflow_opens_in_the_frontend_and_means_there_what_it_means_to_our_runner(
    host: Comfyui, open_frontend: OpenFrontend, registry: Registry, path: Path
) -> None:
    frontend = open_frontend(host)
    frontend.load_graph(json.loads(path.read_text("utf-8")))
    assert frontend.missing_nodes() == []
    theirs = frontend.prompt()
    ours = read_workflow(path, registry).to_api()
    assert ours == theirs
    assert frontend.console_errors == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_saved_workflow_runs_in_comfyui(host: Comfyui, registry: Registry, path: Path) -> None:
    outcome = host.submit(read_workflow(path, registry).to_api(), within=120)
    assert outcome.ended == "success", outcome.error
    assert decode(host.view(outcome.images[-1])).shape[-1] == 3


def test_the_picture_in_comfyui_is_the_one_that_the_service_made(host: Comfyui, sandbox: Sandbox) -> None:
    import httpx2

    outcome = host.submit(imagine(seed=21))
    seen = decode(host.view(outcome.images[0]))
    task = sandbox.tasks[-1]
    reply = httpx2.post(
        f"{_base(host)}/fetch", json={"task_id": task.task_id}, headers={"Authorization": "sandbox"}
    ).json()
    assert np.array_equal(seen, decode(httpx2.get(reply["image_url"]).content))


def _base(host: Comfyui) -> str:
    return host.environment["APIFRAME_BASE_URL"]


def test_progress_shows_on_the_node(host: Comfyui) -> None:
    outcome = host.submit(imagine(seed=22))
    states = [event.data["nodes"].get("1", {}) for event in outcome.events if event.kind == "progress_state"]
    assert any(state.get("max") == 100 for state in states)
    words = [event.data["text"] for event in outcome.events if event.kind == "text"]
    assert "320×256" in words[-1]
    assert "g-" in words[-1]


def test_running_an_unchanged_graph_again_pays_nothing(host: Comfyui, sandbox: Sandbox) -> None:
    host.submit(imagine(seed=23))
    charges = sandbox.charges
    host.submit(imagine(seed=23))
    assert sandbox.charges == charges


def test_a_parameter_that_the_model_does_not_take_is_not_sent(host: Comfyui, sandbox: Sandbox) -> None:
    host.submit(imagine(seed=24, steps=30, raw=True))
    sent = [request.json for request in sandbox.requests if request.path == "/flux-imagine"][-1]
    assert {"steps", "raw", "aspect_ratio", "interval"}.isdisjoint(sent)
    assert sent["seed"] == 24


def test_a_failed_generation_is_an_error_with_the_services_own_words(host: Comfyui, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="fail", match="thistle"))
    outcome = host.submit(imagine(prompt="a thistle"))
    assert outcome.ended == "error"
    assert outcome.error is not None
    assert "Request Moderated" in outcome.error


def test_a_value_that_the_page_rules_out_is_refused_before_anything_is_paid(host: Comfyui, sandbox: Sandbox) -> None:
    charges = sandbox.charges
    outcome = host.submit(imagine(model="flux-pro-1.1-ultra", aspect_ratio="wide"))
    assert outcome.ended == "error"
    assert outcome.error is not None
    assert "aspect_ratio" in outcome.error
    assert sandbox.charges == charges


def test_a_graph_with_an_empty_prompt_is_refused_at_that_node_before_any_other_is_paid(
    host: Comfyui, sandbox: Sandbox
) -> None:
    charges = sandbox.charges
    graph = imagine(prompt="a draft", seed=31)
    graph["3"] = {"class_type": "FluxImagine", "inputs": DEFAULTS | {"prompt": "  ", "image_prompt": ["1", 0]}}
    graph["4"] = {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "flux"}}
    del graph["2"]
    with host.connect() as conversation, pytest.raises(PromptRefusedError) as refused:
        conversation.queue(graph)
    (error,) = refused.value.node_errors["3"]["errors"]
    assert error["extra_info"] == {"input_name": "prompt"}
    assert "is empty" in error["details"]
    assert "Nothing was paid" in error["details"]
    assert sandbox.charges == charges


def test_a_prompt_that_comes_along_a_link_is_not_judged_before_the_run(host: Comfyui, sandbox: Sandbox) -> None:
    charges = sandbox.charges
    graph = imagine(prompt=["3", 0], seed=32)
    graph["3"] = {"class_type": "PrimitiveString", "inputs": {"value": " "}}
    outcome = host.submit(graph)
    assert "is empty" in outcome.error
    assert "Nothing was paid" in outcome.error
    assert sandbox.charges == charges


def test_an_interruption_ends_the_wait_soon_and_the_generation_can_be_collected(
    host: Comfyui, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="stuck", match="river"))
    with host.connect() as conversation:
        id_ = conversation.queue(imagine(prompt="a slow river"))
        until(lambda: submitted(sandbox, "a slow river"))
        host.interrupt()
        # Ends, although the service never will: it is stuck.
        assert conversation.wait(id_).ended == "interrupted"
    assert host.history(id_)["status"]["messages"][-1][0] == "execution_interrupted"


def test_without_a_key_the_node_says_how_to_set_one_and_comfyui_does_not_ask_to_sign_in(comfyui: Comfyui) -> None:
    outcome = comfyui.submit(imagine())
    assert outcome.ended == "error"
    assert outcome.error is not None
    assert "APIFRAME_API_KEY" in outcome.error
    assert "Please login" not in outcome.error
    assert "Payment Required" not in outcome.error
