"""A host that ends the server by signals while a request is on its way: its answer, which may be paid, is heard out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from flux_nodes.core import Generations, Settings
from flux_nodes.sandbox import Fault, Sandbox
from tests.mcp_server.outside import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.delay import Delay

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals for another process")

ROOT = Path(__file__).resolve().parents[2]
_CALL = {"name": "generate_image", "arguments": {"prompt": "a sunflower field", "width": 256, "height": 256}}
_HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


@pytest.fixture
def sandbox(delay: Delay) -> Iterator[Sandbox]:
    made = Sandbox(seconds=0, keys={KEY: 10}, sleep=delay)
    yield made
    made.close()


@contextmanager
def started(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A server, ready for calls."""
    with subprocess.Popen(
        [sys.executable, "-m", "mcp_server"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        say(process, {"id": 0, "method": "initialize", "params": _HELLO})
        assert process.stdout is not None
        process.stdout.readline()
        say(process, {"method": "notifications/initialized"})
        yield process


def generate(process: subprocess.Popen[str], sandbox: Sandbox) -> None:
    """Have it send a request, which the service has accepted when this returns."""
    sandbox.inject(Fault(where="submit", kind="slow", seconds=0))
    say(process, {"id": 1, "method": "tools/call", "params": _CALL})
    while not sandbox.tasks:
        assert goes_on(process, 0.02)


def say(process: subprocess.Popen[str], message: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    process.stdin.flush()


def goes_on(process: subprocess.Popen[str], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


async def known(environment: dict[str, str]) -> list[str | None]:
    """The tasks in the journal."""
    async with Generations.open(Settings.load(environment), door="test") as generations:
        return [generation.task_id for generation in await generations.recent()]


@pytest.mark.parametrize("sent", [[signal.SIGHUP], [signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]])
async def test_the_answer_is_heard_out_before_a_signal_ends_the_server(
    environment: dict[str, str], sandbox: Sandbox, delay: Delay, sent: list[signal.Signals]
) -> None:
    with started(environment) as process:
        with delay.held():
            generate(process, sandbox)
            for each in sent:
                process.send_signal(each)
                assert goes_on(process, 1)
        assert -process.wait(60) in sent
    assert await known(environment) == [task.task_id for task in sandbox.tasks]


async def test_a_client_that_leaves_and_then_loses_its_patience_does_not_keep_the_server_from_the_answer(
    environment: dict[str, str], sandbox: Sandbox, delay: Delay
) -> None:
    with started(environment) as process:
        assert process.stdin is not None
        with delay.held():
            generate(process, sandbox)
            process.stdin.close()
            assert goes_on(process, 1)
            process.send_signal(signal.SIGTERM)
            assert goes_on(process, 1)
        process.wait(60)
    assert await known(environment) == [task.task_id for task in sandbox.tasks]


def test_the_same_signal_again_ends_the_server_at_once(
    environment: dict[str, str], sandbox: Sandbox, delay: Delay
) -> None:
    with started(environment) as process, delay.held():
        generate(process, sandbox)
        process.send_signal(signal.SIGTERM)
        assert goes_on(process, 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM


def greeted(environment: dict[str, str], stdout: BinaryIO, *module: str) -> subprocess.CompletedProcess[str]:
    """Run a server whose host says hello and leaves, and writes where `stdout` leads."""
    hello = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": _HELLO})
    return subprocess.run(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env={**os.environ, **environment},
        input=f"{hello}\n",
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("module", ["mcp_server", "flux_nodes mcp"])
def test_a_host_that_reads_no_answers_any_more_ends_the_server_as_the_end_of_its_stdin_does(
    environment: dict[str, str], module: str
) -> None:
    gone, written = os.pipe()
    os.close(gone)
    with os.fdopen(written, "wb") as nobody:
        done = greeted(environment, nobody, *module.split())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="written for its /dev/full")
def test_a_server_whose_answers_cannot_be_written_says_so_in_one_sentence(environment: dict[str, str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = greeted(environment, full, "mcp_server")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: The MCP server cannot write its standard output (No space left on device).")
    assert done.stderr.count("\n") == 1
