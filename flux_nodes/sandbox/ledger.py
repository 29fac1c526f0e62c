"""What the sandbox remembers: credits and tasks, in SQLite, so that two processes see the same."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .lifecycle import SandboxTask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    owner TEXT PRIMARY KEY, credits INTEGER NOT NULL, charged INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS tasks (
    place INTEGER PRIMARY KEY, task_id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, body TEXT NOT NULL,
    submitted_at REAL NOT NULL, seconds REAL NOT NULL, failure TEXT, stuck INTEGER NOT NULL,
    refunded INTEGER NOT NULL DEFAULT 0);
"""
_TASK = "task_id, owner, body, submitted_at, seconds, failure, stuck"


@dataclass(frozen=True)
class Account:
    """One key's credits left, and how many of its images are finished."""

    credits: int
    images: int


def owner_of(key: str) -> str:
    """Return the name under which a key's account is kept; the key itself is never written."""
    return hashlib.sha256(key.encode()).hexdigest()


class Ledger:
    """Accounts and tasks. Every method is one transaction, safe from any thread and beside other processes."""

    def __init__(self, state: Path | None, keys: Mapping[str, int]) -> None:
        if state is not None:
            state.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        # "": a temporary file of SQLite's own, in memory until it is large, as tasks with image prompts make it
        self._database = sqlite3.connect(state or "", timeout=30, isolation_level=None, check_same_thread=False)
        # an unclosed connection warns when it is collected, and nobody should have to close a sandbox in memory
        weakref.finalize(self, self._database.close)
        self._database.executescript(_SCHEMA)
        with self._transaction() as database:
            opening = [(owner_of(key), credits) for key, credits in keys.items()]
            database.executemany("INSERT OR IGNORE INTO accounts (owner, credits) VALUES (?, ?)", opening)

    def close(self) -> None:
        """Close the database; a state without a file of its own is gone then."""
        self._database.close()

    def accept(self, task: SandboxTask) -> bool:
        """Charge one credit and keep the task; False, with nothing done, when no credit is left."""
        with self._transaction() as database:
            paid = database.execute(
                "UPDATE accounts SET credits = credits - 1, charged = charged + 1 WHERE owner = ? AND credits >= 1",
                (task.owner,),
            )
            if paid.rowcount == 0:
                return False
            database.execute(
                f"INSERT INTO tasks ({_TASK}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # our own column names
                _row(task),
            )
        return True

    def refund_failed(self, now: float) -> None:
        """Give the credit of every task back that has failed by now."""
        due = "failure IS NOT NULL AND NOT refunded AND submitted_at + seconds <= ?"
        with self._transaction() as database:
            owners = database.execute(f"SELECT owner FROM tasks WHERE {due}", (now,)).fetchall()  # noqa: S608  # our own condition
            database.execute(f"UPDATE tasks SET refunded = 1 WHERE {due}", (now,))  # noqa: S608  # our own condition
            database.executemany("UPDATE accounts SET credits = credits + 1 WHERE owner = ?", owners)

    def account(self, owner: str, now: float) -> Account:
        """Return an account that exists."""
        with self._transaction() as database:
            (credits,) = database.execute("SELECT credits FROM accounts WHERE owner = ?", (owner,)).fetchone()
            (images,) = database.execute(
                "SELECT COUNT(*) FROM tasks WHERE owner = ? AND failure IS NULL AND NOT stuck"
                " AND submitted_at + seconds <= ?",
                (owner, now),
            ).fetchone()
        return Account(credits, images)

    @property
    def charges(self) -> int:
        """How many credits were charged so far, on all keys, before refunds."""
        with self._transaction() as database:
            (charged,) = database.execute("SELECT COALESCE(SUM(charged), 0) FROM accounts").fetchone()
        return int(charged)

    def task(self, task_id: str) -> SandboxTask | None:
        """Find a task by its id."""
        if not task_id.isascii():
            return None
        with self._transaction() as database:
            row = database.execute(
                f"SELECT {_TASK} FROM tasks WHERE task_id = ?",  # noqa: S608  # our own column names
                (task_id,),
            ).fetchone()
        return None if row is None else _task(*row)

    def tasks(self) -> list[SandboxTask]:
        """Return all tasks, oldest first."""
        with self._transaction() as database:
            rows = database.execute(f"SELECT {_TASK} FROM tasks ORDER BY place").fetchall()  # noqa: S608  # our own column names
        return [_task(*row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.rollback()
                raise
            self._database.commit()


def _row(task: SandboxTask) -> tuple[object, ...]:
    body = json.dumps(task.body)
    return (task.task_id, task.owner, body, task.submitted_at, task.seconds, task.failure, task.stuck)


def _task(
    task_id: str, owner: str, body: str, submitted_at: float, seconds: float, failure: str | None, stuck: int
) -> SandboxTask:
    return SandboxTask(
        task_id=task_id,
        owner=owner,
        body=json.loads(body),
        submitted_at=submitted_at,
        seconds=seconds,
        failure=failure,
        stuck=bool(stuck),
    )
