"""The MCP Inspector, a client built on the TypeScript SDK, on our server."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flux_nodes.sandbox import Fault

if TYPE_CHECKING:
    from flux_nodes.sandbox import Sandbox
    from tests.hosts.inspector import Inspector

SERVER = (sys.executable, "-m", "mcp_server")
ERAS = ("legacy", "modern")


@pytest.fixture
def environment(url: str, tmp_path: Path) -> dict[str, str]:
    return {"APIFRAME_API_KEY": "sandbox", "APIFRAME_BASE_URL": url, "FLUX_NODES_HOME": str(tmp_path / "home")}


def arguments(**values: object) -> list[str]:
    return [part for name, value in values.items() for part in ("--tool-arg", f"{name}={value}")]


@pytest.mark.parametrize("era", ERAS)
def test_every_schema_is_one_that_all_clients_can_read(
    inspector: Inspector, environment: dict[str, str], era: str
) -> None:
    listed = inspector(SERVER, "--protocol-era", era, "--method", "tools/list", "--strict", environment=environment)

    assert "generate_image" in {tool["name"] for tool in listed["tools"]}


@pytest.mark.parametrize("era", ERAS)
def test_an_image_is_generated(inspector: Inspector, environment: dict[str, str], sandbox: Sandbox, era: str) -> None:
    given = arguments(prompt="a sunflower field", width=256, height=256)
    call = ("--protocol-era", era, "--method", "tools/call", "--tool-name", "generate_image")

    result = inspector(SERVER, *call, *given, environment=environment)

    told = result["structuredContent"]
    assert json.loads(result["content"][0]["text"]) == told
    assert hashlib.sha256(Path(told["original"]).read_bytes()).hexdigest() == told["sha256"]
    assert sandbox.charges == 1


def test_a_failed_generation_is_an_error_to_it(
    inspector: Inspector, environment: dict[str, str], sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="fail", message="Request Moderated"))
    call = ("--method", "tools/call", "--tool-name", "generate_image")

    result = inspector(SERVER, *call, *arguments(prompt="a"), environment=environment, statuses=(5,))

    assert result["isError"] is True
    assert "Request Moderated" in result["content"][0]["text"]
