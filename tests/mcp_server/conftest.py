"""A client of the SDK on our server, in both of the protocol's eras, and a sandbox whose time stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mcp import Client

from flux_nodes.sandbox import Sandbox, serving
from mcp_server.server import build
from tests.mcp_server.clock import Clock
from tests.mcp_server.outside import surroundings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from flux_nodes.core import Settings
    from tests.delay import Delay


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    """The protocol of 2026 and the one with a handshake."""
    chosen: str = request.param
    return chosen


@pytest.fixture
def environment(url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a server in a process of its own."""
    return surroundings(url, tmp_path / "home")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder whose images may be used as image prompts."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


@pytest.fixture
async def client(settings: Settings, pictures: Path, mode: str) -> AsyncIterator[Client]:
    """A client on a server of its own, in this process."""
    async with Client(build(lambda: settings, image_folders=[pictures]), mode=mode) as connected:
        yield connected


@pytest.fixture
def clock() -> Clock:
    """The time of the sandbox that `slow` leads to."""
    return Clock()


@pytest.fixture
def slow(clock: Clock, delay: Delay) -> Iterator[Sandbox]:
    """A sandbox whose tasks take ten seconds of `clock`, to which `slow_client` leads."""
    made = Sandbox(seconds=10, clock=clock, sleep=delay)
    yield made
    made.close()


@pytest.fixture
def slow_settings(slow: Sandbox, settings: Settings) -> Iterator[Settings]:
    """Settings that lead to the slow sandbox."""
    with serving(slow) as server:
        yield settings.model_copy(update={"base_url": server.url})


@pytest.fixture
async def slow_client(slow_settings: Settings, mode: str) -> AsyncIterator[Client]:
    """A client on a server that uses the slow sandbox."""
    async with Client(build(lambda: slow_settings, patience=60), mode=mode) as connected:
        yield connected
