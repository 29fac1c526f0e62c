"""A sandbox that remembers: its tasks are found again by the next one that keeps its state in the same folder."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .app import Sandbox
from .serve import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATE = "sandbox.sqlite3"


@contextmanager
def keeping(folder: Path) -> Iterator[str]:
    """Serve a sandbox that keeps its state in a folder, and give its address.

    Raises OSError or sqlite3.Error when it cannot be kept there.
    """
    sandbox = Sandbox(state=folder / STATE)
    try:
        with serving(sandbox) as server:
            yield server.url
    finally:
        sandbox.close()
