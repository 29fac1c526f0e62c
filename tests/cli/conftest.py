"""Places to type commands in: with a key, without one, and beside a sandbox whose time stands still."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from flux_nodes.sandbox import Sandbox, serving
from tests.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Clock:
    """A time that stands still until it is told to go on; `asked` is set whenever the sandbox looks at it."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.asked = threading.Event()

    def __call__(self) -> float:
        self.asked.set()
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that commands are typed in."""
    made = tmp_path / "work"
    made.mkdir()
    return made


@pytest.fixture
def bare(folder: Path) -> Terminal:
    """A terminal without a key."""
    return Terminal(folder)


@pytest.fixture
def terminal(folder: Path, url: str) -> Terminal:
    """A terminal whose environment leads to the sandbox that is the fixture `sandbox`."""
    return Terminal(folder, {"APIFRAME_BASE_URL": url, "APIFRAME_API_KEY": "sandbox"})


@pytest.fixture
def clock() -> Clock:
    """The time of the sandbox that `slow` leads to."""
    return Clock()


@pytest.fixture
def slow_sandbox(clock: Clock) -> Iterator[Sandbox]:
    """A sandbox whose tasks take ten seconds of `clock`."""
    made = Sandbox(seconds=10, clock=clock)
    yield made
    made.close()


@pytest.fixture
def slow(folder: Path, slow_sandbox: Sandbox) -> Iterator[Terminal]:
    """A terminal whose environment leads to the slow sandbox."""
    with serving(slow_sandbox) as server:
        yield Terminal(folder, {"APIFRAME_BASE_URL": server.url, "APIFRAME_API_KEY": "sandbox"})
