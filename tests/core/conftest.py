"""A journal of a test's own, in SQLite."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from flux_nodes.core.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the journal is kept."""
    return tmp_path / "journal.sqlite3"


@pytest.fixture
def journal(file: Path) -> Iterator[Journal]:
    """Open it."""
    with closing(Journal(f"sqlite:///{file}")) as opened:
        yield opened
