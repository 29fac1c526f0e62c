from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from mcp import Client

from flux_nodes.sandbox import Sandbox
from tests.mcp_server.answers import facts
from tests.mcp_server.outside import KEY
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"prompt": "a sunflower field", "width": 256, "height": 256}
SERVE = """
import sys
from flux_nodes.core import Settings
from mcp_server.server import serve
serve(Settings.load(), http=True, port=int(sys.argv[1]))
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(seconds=0, keys={KEY: 10})
    yield made
    made.close()


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[str]
    url: str

    def interrupt(self) -> tuple[int, str]:
        """End it; return its status and all that it said on stderr."""
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator[Server]:
    """Our server over HTTP, in a process of its own."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(port)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(port)
        yield Server(process, f"http://127.0.0.1:{port}/mcp")
        process.kill()


async def test_http_serves_clients_of_this_machine(server: Server, sandbox: Sandbox, mode: str) -> None:
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        assert total, message
        heard.append(progress)

    async with Client(server.url, mode=mode) as client:
        told = facts(await client.call_tool("generate_image", SMALL, progress_callback=hear))
    status, said = server.interrupt()

    assert told["status"] == "stored"
    assert heard[-1] == 100
    assert sandbox.charges == 1
    assert status == 0, said
    assert "Traceback" not in said
    assert KEY not in said


def test_a_terminal_that_closes_ends_it_as_sigterm_does(server: Server) -> None:
    server.process.send_signal(signal.SIGHUP)
    _, said = server.process.communicate(timeout=60)
    assert server.process.returncode == -signal.SIGTERM
    assert "Traceback" not in said


@pytest.mark.parametrize("headers", [{"Host": "example.com"}, {"Origin": "https://example.com"}])
def test_a_page_of_another_host_gets_no_answer(server: Server, headers: dict[str, str]) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}

    answer = httpx2.post(server.url, headers={"Accept": "application/json, text/event-stream", **headers}, json=ping)

    assert answer.status_code in {403, 421}


def wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
    raise AssertionError("the server did not come up")
