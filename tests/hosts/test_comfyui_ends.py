"""What becomes of a generation when ComfyUI itself is ended, or the time that it may take is."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from flux_nodes.core.journal import Journal
from flux_nodes.sandbox import Fault, Sandbox, serving
from tests.hosts.running import BOUND, Clock, imagine, listed, saved, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hosts.conftest import StartComfyui


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_request_is_unanswered_waits_for_its_task_id(
    start_comfyui: StartComfyui, tmp_path: Path, number: signal.Signals
) -> None:
    sandbox = Sandbox()
    sandbox.inject(Fault(where="submit", kind="slow", seconds=3))
    url = f"sqlite:///{tmp_path / 'journal.sqlite3'}"
    with serving(sandbox) as server:
        environment = {"APIFRAME_BASE_URL": server.url, "APIFRAME_API_KEY": "sandbox", "FLUX_NODES_JOURNAL": url}
        host = start_comfyui(environment)
        with host.connect() as conversation:
            conversation.queue({"1": imagine("a ferry"), "2": saved("1")})
            until(lambda: any(request.path == "/flux-imagine" for request in sandbox.requests))
            host.end_by(number, within=BOUND)
        (task,) = sandbox.tasks
    sandbox.close()
    journal = Journal(url)
    (known,) = journal.recent()
    journal.close()
    assert known.task_id == task.task_id


def test_what_outlasts_the_time_allowed_is_collected_without_anybody_asking(start_comfyui: StartComfyui) -> None:
    clock = Clock()
    sandbox = Sandbox(seconds=0.5, clock=clock)
    with serving(sandbox) as server:
        environment = {"APIFRAME_BASE_URL": server.url, "APIFRAME_API_KEY": "sandbox", "FLUX_NODES_TIMEOUT": "10"}
        host = start_comfyui(environment)
        with clock.held():
            outcome = host.submit({"1": imagine("a slow barge"), "2": saved("1")})
        assert outcome.error.startswith("Still running")
        until(lambda: listed(host, "barge")[0]["status"] == "stored")
    sandbox.close()
