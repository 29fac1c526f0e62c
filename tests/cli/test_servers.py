from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.cli.terminal import LONGEST

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_the_sandbox_command_serves_what_it_says_until_ctrl_c(bare: Terminal) -> None:
    process = bare.start("sandbox", "--port", "0", "--credits", "3", "--pace", "0", "--fault", "submit:429:times=1")
    assert process.stdout is not None
    said = b""
    while b"APIFRAME_BASE_URL=" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    assert b"curl " in said
    url = re.findall(r"http://127\.0\.0\.1:\d+", said.decode())[0]
    with httpx2.Client(base_url=url, headers={"Authorization": "sandbox"}) as client:
        assert client.get("/account").json()["credits"] == 3
        body = {"model": "flux-schnell", "prompt": "a fox"}
        assert client.post("/flux-imagine", json=body).status_code == 429
        assert client.post("/flux-imagine", json=body).status_code == 200
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LONGEST)
    assert (process.returncode, err) == (0, b"")


def test_a_fault_that_cannot_be_is_bad_input(bare: Terminal) -> None:
    ended = bare.type("sandbox", "--fault", "submit:nonsense")
    assert ended.code == 2
    assert "nonsense" in ended.err


def test_a_port_that_is_taken_is_told_of_in_a_sentence(terminal: Terminal) -> None:
    port = terminal.environ["APIFRAME_BASE_URL"].rpartition(":")[2]
    ended = terminal.type("sandbox", "--port", port)
    assert ended.code == 2
    assert port in ended.err


async def test_the_mcp_command_serves_an_assistant_over_stdio(bare: Terminal) -> None:
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "flux_nodes", "mcp", "--sandbox"],
        env=bare.environment({"PYTHONWARNINGS": "default"}),
        cwd=bare.folder,
    )
    async with Client(stdio_client(parameters)) as client:
        tools = await client.list_tools()
        assert "generate_image" in {tool.name for tool in tools.tools}
        account = await client.call_tool("get_account", {})
        assert not account.is_error
        assert account.structured_content is not None
        assert account.structured_content["credits"] == 1000


def test_without_the_package_mcp_the_install_command_is_named(bare: Terminal) -> None:
    program = "import sys; sys.modules['mcp'] = None; from flux_nodes.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "mcp", "--sandbox"],
        env=bare.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert 'pip install "flux-nodes[mcp]"' in done.stderr
    assert "Traceback" not in done.stderr
