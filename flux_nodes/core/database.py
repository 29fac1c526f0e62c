"""The journal's database: one engine, transactions that cannot interleave, and errors that a person can read."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from .errors import InvalidSettings, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection, Engine

BUSY_SECONDS = 30
"""How long a writer waits for another process that writes."""

_AGAIN = 0.02
"""Seconds between two tries where SQLite itself does not wait."""


_QUEUEING = frozenset({"sqlite", "postgresql"})
"""Databases in which those who write alone wait for each other; in others the second one fails."""

_TURN = 0x666C7578
"""PostgreSQL's advisory lock of those who write alone: any number will do that nobody else is likely to use."""


class Taken(StorageError):
    """Another process has written the same meanwhile."""


class Database:
    """A database that holds a journal, by SQLAlchemy URL. Raises InvalidSettings or StorageError."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)

    @property
    def is_local(self) -> bool:
        """Whether only programs on one machine can use it. Source: sqlite.org/wal.html, "Disadvantages"."""
        return self._engine.dialect.name == "sqlite"

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    @contextmanager
    def writing(self, *, alone: bool = False) -> Iterator[Connection]:
        """Give a transaction that is committed at the end; `alone` keeps what it reads from changing meanwhile."""
        options: dict[str, Any] = {"flux_nodes_writes": True}
        if alone and self._engine.dialect.name not in _QUEUEING:
            options["isolation_level"] = "SERIALIZABLE"
        with (
            _as_storage_errors(),
            self._engine.connect() as connection,
            connection.execution_options(**options).begin(),
        ):
            if alone and self._engine.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_TURN)))
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection to read from."""
        with _as_storage_errors(), self._engine.connect() as connection:
            yield connection


@contextmanager
def _as_storage_errors() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise Taken("The journal cannot be used: another process was first.") from error
    except SQLAlchemyError as error:
        # The driver's own words only: SQLAlchemy's would repeat the statement with its values.
        cause = getattr(error, "orig", None) or type(error).__name__
        raise StorageError(f"The journal cannot be used: {cause}.") from error


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        engine = create_engine(parsed, hide_parameters=True, pool_pre_ping=not _is_sqlite(parsed))
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        raise InvalidSettings(
            f"The journal's database cannot be used ({type(error).__name__}). FLUX_NODES_JOURNAL takes an SQLAlchemy "
            "URL such as sqlite:////path/journal.sqlite3, and its driver must be installed."
        ) from None
    if _is_sqlite(parsed):
        _prepare_sqlite(engine, parsed)
    return engine


def _read_while_written(connection: Any) -> None:
    """Turn to WAL, in which others can read while one writes. Raises the driver's error after BUSY_SECONDS."""
    until = time.monotonic() + BUSY_SECONDS
    # SQLite does not wait by itself here: several that open a new file at once would turn each other away.
    while not _turned_to_wal(connection, last=time.monotonic() > until):
        time.sleep(_AGAIN)


def _turned_to_wal(connection: Any, *, last: bool) -> bool:
    try:
        connection.execute("PRAGMA journal_mode=WAL").close()
    except sqlite3.OperationalError as error:
        if last or "locked" not in str(error):
            raise
        return False
    return True


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _prepare_sqlite(engine: Engine, url: URL) -> None:
    if url.database and not url.database.startswith("file:"):  # a URI of SQLite's own is no path
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"The journal's folder cannot be made: {error.strerror or error}.") from error

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        # Transactions are begun below, and not where the driver guesses that one is needed.
        connection.isolation_level = None
        if "timeout" not in url.query:  # the URL may say for itself how long to wait
            connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}").close()
        _read_while_written(connection)
        connection.execute("PRAGMA synchronous=FULL").close()  # a commit survives a power cut

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes its lock first: taking it in mid-transaction can fail where waiting would have helped.
        writes = connection.get_execution_options().get("flux_nodes_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
