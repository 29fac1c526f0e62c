from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from flux_nodes.core import Generations, Settings
from flux_nodes.sandbox import Fault, Sandbox, serving
from mcp_server.carriage import LAST_WORDS
from tests.mcp_server.answers import facts, refusal
from tests.mcp_server.outside import KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.delay import Delay

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"prompt": "a sunflower field", "width": 256, "height": 256}


@pytest.fixture(autouse=True)
def a_patient_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK's client end no server by force: on a busy machine its two seconds are soon over."""
    monkeypatch.setattr("mcp.client.stdio.PROCESS_TERMINATION_TIMEOUT", 60)


@pytest.fixture
def sandbox(delay: Delay) -> Iterator[Sandbox]:
    made = Sandbox(seconds=0, keys={KEY: 10}, sleep=delay)
    yield made
    made.close()


@pytest.fixture
def stderr(tmp_path: Path) -> Iterator[TextIO]:
    """Where a server's stderr is kept."""
    with (tmp_path / "stderr").open("w+") as file:
        yield file


@contextlib.asynccontextmanager
async def started(
    environment: dict[str, str], stderr: TextIO, *, mode: str = "auto", cwd: Path = ROOT, module: str = "mcp_server"
) -> AsyncIterator[Client]:
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", *module.split()], env={**environment, "PYTHONPATH": str(ROOT)}, cwd=cwd
    )
    async with Client(stdio_client(parameters, errlog=stderr), mode=mode) as client:
        yield client


async def test_a_server_in_its_own_process_generates_shows_and_leaks_no_key(
    environment: dict[str, str], stderr: TextIO, sandbox: Sandbox, mode: str
) -> None:
    answers = []
    async with started(environment, stderr, mode=mode) as client:
        made = await client.call_tool("generate_image", SMALL)
        id_ = facts(made)["generation_id"]
        answers += [made, await client.call_tool("view_image", {"generation_id": id_})]
        answers += [await client.call_tool(name) for name in ("list_generations", "list_models", "get_account")]
        sandbox.inject(Fault(where="submit", kind="refuse", status=401))
        answers.append(await client.call_tool("generate_image", SMALL))

    stderr.seek(0)
    assert answers[-1].is_error
    assert not any(KEY in answer.model_dump_json() for answer in answers)
    assert KEY not in stderr.read()
    assert contents(facts(made)["file"]).startswith(b"\x89PNG")
    assert sandbox.charges == 1


def contents(file: str) -> bytes:
    return Path(file).read_bytes()


async def test_the_working_folder_holds_image_prompts(
    environment: dict[str, str], stderr: TextIO, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with started(environment, stderr) as client:
        file = facts(await client.call_tool("generate_image", SMALL))["file"]
    work = tmp_path / "work"
    work.mkdir()
    (work / "mine.png").write_bytes(contents(file))

    async with started(environment, stderr, cwd=work) as client:
        facts(await client.call_tool("generate_image", {**SMALL, "image_prompt": str(work / "mine.png")}))

    assert sandbox.charges == 2


@pytest.mark.parametrize("folder", ["/", "home"])
async def test_a_whole_disk_or_home_is_no_working_folder(
    environment: dict[str, str], stderr: TextIO, sandbox: Sandbox, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "mine.png").write_bytes(b"")
    cwd = tmp_path if folder == "home" else Path("/")

    async with started({**environment, "HOME": str(tmp_path)}, stderr, cwd=cwd) as client:
        given = {**SMALL, "image_prompt": str(tmp_path / "mine.png")}
        words = refusal(await client.call_tool("generate_image", given), "invalid_request")

    assert "no file that may be read" in words
    assert sandbox.charges == 0


async def test_the_server_starts_without_a_key(environment: dict[str, str], stderr: TextIO) -> None:
    del environment["APIFRAME_API_KEY"]

    async with started(environment, stderr) as client:
        listed = (await client.list_tools()).tools
        words = refusal(await client.call_tool("generate_image", SMALL), "missing_key")

    assert listed
    assert "APIFRAME_API_KEY" in words


async def test_the_command_line_starts_it_with_the_service_pretended(
    environment: dict[str, str], stderr: TextIO, sandbox: Sandbox
) -> None:
    del environment["APIFRAME_API_KEY"]

    async with started(environment, stderr, module="flux_nodes mcp --sandbox") as client:
        told = facts(await client.call_tool("generate_image", SMALL))

    assert told["status"] == "stored"
    assert sandbox.requests == []


async def test_a_client_that_leaves_finds_its_generation_again(environment: dict[str, str], stderr: TextIO) -> None:
    never = Sandbox(seconds=3600, keys={KEY: 10})
    with serving(never) as server:
        environment["APIFRAME_BASE_URL"] = server.url
        async with started(environment, stderr) as client:
            early = facts(await client.call_tool("generate_image", {**SMALL, "wait_seconds": 0}))
            left = anyio.current_time()
        gone = anyio.current_time() - left
        async with Generations.open(Settings.load(environment), door="test") as generations:
            found = await generations.get(early["generation_id"])
    never.close()

    assert gone < LAST_WORDS, "there was nothing to wait for"
    assert found.task_id == early["task_id"]
    assert not found.settled
    stderr.seek(0)
    assert "Traceback" not in stderr.read()


async def test_a_submit_under_way_when_the_client_leaves_is_heard_out(
    environment: dict[str, str], stderr: TextIO, sandbox: Sandbox, delay: Delay
) -> None:
    sandbox.inject(Fault(where="submit", kind="slow", seconds=1))

    async with started(environment, stderr) as client, anyio.create_task_group() as calls:
        facts(await client.call_tool("list_generations"))
        with delay.held(), anyio.fail_after(60):
            calls.start_soon(client.call_tool, "generate_image", SMALL)
            while not sandbox.tasks:
                facts(await client.call_tool("list_models"))
        calls.cancel_scope.cancel()

    async with Generations.open(Settings.load(environment), door="test") as generations:
        (found,) = await generations.recent()
    assert [found.task_id] == [task.task_id for task in sandbox.tasks]


def test_stdout_carries_nothing_but_the_protocol(environment: dict[str, str]) -> None:
    asked: list[dict[str, Any]] = [
        {
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            },
        },
        {"method": "tools/call", "params": {"name": "generate_image", "arguments": {**SMALL, "wait_seconds": 50}}},
        {"method": "tools/call", "params": {"name": "get_account", "arguments": {}}},
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "mcp_server"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    said = []
    for number, message in enumerate(asked):
        process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, **message}) + "\n")
        process.stdin.flush()
        said.append(json.loads(process.stdout.readline()))
        if number == 0:
            process.stdin.write('{"jsonrpc": "2.0", "method": "notifications/initialized"}\n')
    process.stdin.close()
    rest = process.stdout.read()
    process.stdout.close()

    assert process.wait(60) == 0
    assert [answer["id"] for answer in said] == [0, 1, 2]
    assert said[1]["result"]["structuredContent"]["status"] == "stored"
    assert rest == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_an_interrupt_ends_a_server_whose_client_is_silent(environment: dict[str, str]) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    with subprocess.Popen(
        [sys.executable, "-m", "mcp_server"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(json.dumps(ping) + "\n")
        process.stdin.flush()
        process.stdout.readline()

        process.send_signal(signal.SIGINT)

        assert process.wait(60) == -signal.SIGINT
        assert "Traceback" not in process.stderr.read()
