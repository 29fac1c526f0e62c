"""The journal's database: one engine, transactions that cannot interleave, and errors that a person can read."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import contextmanager, suppress
from functools import partial
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

    def __init__(self, url: str | URL) -> None:
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


def _engine(url: str | URL) -> Engine:
    try:
        parsed = make_url(url)
        reading = _read_only_file(parsed)
        options: dict[str, Any] = {} if reading is None else {"creator": partial(_connect_to_read, reading)}
        engine = create_engine(parsed, hide_parameters=True, pool_pre_ping=not _is_sqlite(parsed), **options)
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        raise InvalidSettings(
            f"The journal's database cannot be used ({type(error).__name__}). FLUX_NODES_JOURNAL takes an SQLAlchemy "
            "URL such as sqlite:////path/journal.sqlite3, and its driver must be installed."
        ) from None
    if _is_sqlite(parsed):
        _prepare_sqlite(engine, parsed, writes=reading is None)
    return engine


def _read_only_file(url: URL) -> Path | None:
    """Return the file of a journal that is there and cannot be written here; what is in it can still be looked up."""
    if not _is_sqlite(url) or not url.database or url.database.startswith((":", "file:")):
        return None
    file = Path(url.database)
    # SQLite writes beside the file as well, unless those of another process are there to be shared.
    beside = [file.with_name(f"{file.name}{ending}") for ending in ("-wal", "-shm")]
    shared = all(_is_writable(each) for each in beside)
    if not file.is_file() or (_is_writable(file) and (shared or _is_writable(file.parent))):
        return None
    return file


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _connect_to_read(file: Path) -> sqlite3.Connection:
    """Open a journal without writing anything, also beside it. Raises sqlite3.Error."""
    address = f"{file.absolute().as_uri()}?mode=ro"
    with suppress(sqlite3.OperationalError):
        return _opened(address)
    wal = file.with_name(f"{file.name}-wal")
    if wal.is_file() and wal.stat().st_size:
        raise sqlite3.OperationalError("its folder cannot be written, and its last changes are not merged into it yet")
    # In WAL, SQLite reads from where it cannot write only what is promised not to change meanwhile.
    return _opened(f"{address}&immutable=1")


def _opened(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").close()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


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


def _prepare_sqlite(engine: Engine, url: URL, *, writes: bool) -> None:
    if writes and url.database and not url.database.startswith("file:"):  # a URI of SQLite's own is no path
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
        if not writes:
            return
        _read_while_written(connection)
        connection.execute("PRAGMA synchronous=FULL").close()  # a commit survives a power cut

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes its lock first: taking it in mid-transaction can fail where waiting would have helped.
        writes = connection.get_execution_options().get("flux_nodes_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
