"""Which seed a workflow file took last, so that its next run takes the next one.

A row for each seed of each file, at each service: the sandbox has its own. A seed is taken again until a run with it
has ended well: what is paid for is then given from the journal, free, after a failure or an interruption. A run that is
still under way elsewhere does not hold the next one back.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from ..core.errors import StorageError
from ..core.process import is_gone, this_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from .seed_control import MovingSeed

FILE = "seeds.sqlite3"
"""The name of the database, in the home."""

_BUSY_SECONDS = 30
_TABLE = """
CREATE TABLE IF NOT EXISTS seeds (
    service TEXT, file TEXT, name TEXT,
    saved TEXT, -- the value in the file: another one there begins anew
    taken TEXT, -- the value of the last run; texts, for a seed may be larger than SQLite's integers
    owner TEXT, -- the process of a run that is under way
    since TEXT,
    ended_well INTEGER,
    PRIMARY KEY (service, file, name)
)
"""


@dataclass(frozen=True)
class TakenSeed:
    """The seed of a run, and why it is this one.

    It is `saved` in the file, the `next` one, or the last one `again`; or it moves nothing, for it is `kept` as the
    file has it (`--keep-seeds`), or `set` by hand (`--set`).
    """

    seed: MovingSeed
    value: int
    why: Literal["saved", "next", "again", "kept", "set"]


class SeedHistory:
    """The seeds that one workflow file took, at one service. Raises StorageError where they cannot be kept."""

    def __init__(self, home: Path, *, service: str, file: Path) -> None:
        self._home = home
        self._key = (service, str(file.resolve()))

    def take(self, seeds: Sequence[MovingSeed]) -> list[TakenSeed]:
        """Choose the seeds of a run, and write down that they are taken."""
        with self._writing() as database:
            taken = [self._choose(database, seed) for seed in seeds]
            database.executemany(
                "INSERT OR REPLACE INTO seeds VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                [
                    (*self._key, each.seed.name, str(each.seed.saved), str(each.value), this_process(), _now())
                    for each in taken
                ],
            )
        return taken

    def _choose(self, database: sqlite3.Connection, seed: MovingSeed) -> TakenSeed:
        row = database.execute(
            "SELECT saved, taken, owner, since, ended_well FROM seeds WHERE service = ? AND file = ? AND name = ?",
            (*self._key, seed.name),
        ).fetchone()
        if row is None or row[0] != str(seed.saved):
            return TakenSeed(seed, seed.saved, "saved")
        last, owner, since, ended_well = int(row[1]), row[2], row[3], row[4]
        if not ended_well and (not owner or is_gone(owner, since=since)):
            return TakenSeed(seed, last, "again")
        return TakenSeed(seed, seed.after(last), "next")

    def end(self, taken: Sequence[TakenSeed], *, well: bool) -> None:
        """Write down how a run with these seeds has ended."""
        with self._writing() as database:
            database.executemany(
                "UPDATE seeds SET owner = NULL, ended_well = ?"
                " WHERE service = ? AND file = ? AND name = ? AND taken = ? AND owner = ?",
                [(well, *self._key, each.seed.name, str(each.value), this_process()) for each in taken],
            )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Give a transaction that no other process writes beside."""
        try:
            self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
            with closing(sqlite3.connect(self._home / FILE, timeout=_BUSY_SECONDS, isolation_level=None)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.execute(_TABLE)
                yield database
                database.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"Which seed comes next cannot be kept in {self._home / FILE} ({error}). Set FLUX_NODES_HOME, or add "
                "--keep-seeds to take the seeds that the file holds."
            ) from error


def _now() -> str:
    return datetime.now(UTC).isoformat()
