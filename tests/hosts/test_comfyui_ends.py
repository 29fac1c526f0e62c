"""What becomes of a generation when ComfyUI itself is ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flux_nodes.core.journal import Journal
from flux_nodes.sandbox import Fault, Sandbox, serving
from tests.hosts.running import BOUND, imagine, saved, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hosts.conftest import StartComfyui


def test_ctrl_c_while_a_request_is_unanswered_waits_for_its_task_id(
    start_comfyui: StartComfyui, tmp_path: Path
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
            host.press_ctrl_c(within=BOUND)
        (task,) = sandbox.tasks
    sandbox.close()
    journal = Journal(url)
    (known,) = journal.recent()
    journal.close()
    assert known.task_id == task.task_id
