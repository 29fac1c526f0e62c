"""The durable record: one table, one row for each generation, one function for each transition of its life.

The functions block; doors reach them through `Generations`, which calls them off the event loop. SQLite by default,
any database that SQLAlchemy knows by URL. This is the only module that imports SQLAlchemy.
"""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from .errors import InvalidSettings, StorageError, UnknownGeneration
from .generation import SETTLED, Generation, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import URL, Connection, Engine

    from .images import ImageFacts
    from .request import ImagineRequest

_METADATA = MetaData()
_GENERATIONS = Table(
    "generations",
    _METADATA,
    Column("id", String(16), primary_key=True),
    Column("door", String(32), nullable=False),
    Column("service", String(255), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("request", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Column("task_id", String(255)),
    Column("percentage", Integer),
    Column("message", Text),
    Column("image_url", Text),
    Column("sha256", String(64)),
    Column("media_type", String(64)),
    Column("size", Integer),
    Column("width", Integer),
    Column("height", Integer),
)
_INDEXES = (
    Index("generations_by_time", _GENERATIONS.c.created_at),
    Index("generations_by_task", _GENERATIONS.c.task_id),
)

_BEFORE: dict[Status, tuple[Status, ...]] = {
    "submitted": ("intent", "unconfirmed"),
    "running": ("submitted", "running"),
    "finished": ("submitted", "running", "finished"),
    "stored": ("submitted", "running", "finished", "stored"),
    "failed": ("submitted", "running"),
    "refused": ("intent",),
    "unconfirmed": ("intent",),
}
"""From which states a state may be entered. A late word of another process never turns a life back."""

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_BUSY_SECONDS = 30


class Journal:
    """The journal in one database. Safe to use from several threads and processes."""

    def __init__(self, url: str) -> None:
        """Open the database, and make the table when it is new. Raises InvalidSettings or StorageError."""
        self._engine = _engine(url)
        with self._writing() as connection:
            connection.execute(CreateTable(_GENERATIONS, if_not_exists=True))
            for index in _INDEXES:
                connection.execute(CreateIndex(index, if_not_exists=True))

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def intend(self, request: ImagineRequest, *, door: str, service: str) -> Generation:
        """Write down what is about to be sent."""
        now = _now()
        row = {
            "id": "g-" + "".join(secrets.choice(_ALPHABET) for _ in range(9)),
            "door": door,
            "service": service,
            "fingerprint": request.fingerprint(),
            "request": json.dumps(request.record(), ensure_ascii=False),
            "status": "intent",
            "created_at": now,
            "updated_at": now,
        }
        with self._writing() as connection:
            connection.execute(insert(_GENERATIONS).values(row))
        return self.get(row["id"])

    def submitted(self, id_: str, task_id: str) -> Generation:
        """Record the task id under which the service took it."""
        return self._enter(id_, "submitted", task_id=task_id, message=None)

    def running(self, id_: str, percentage: int | None) -> Generation:
        """Record the progress that the service told, 0..100."""
        return self._enter(id_, "running", percentage=percentage)

    def finished(self, id_: str, image_url: str) -> Generation:
        """Record the address at which the image is ready."""
        return self._enter(id_, "finished", percentage=100, image_url=image_url)

    def stored(self, id_: str, sha256: str, size: int, facts: ImageFacts) -> Generation:
        """Record that the image is in the store."""
        return self._enter(
            id_,
            "stored",
            percentage=100,
            sha256=sha256,
            size=size,
            media_type=facts.media_type,
            width=facts.width,
            height=facts.height,
        )

    def failed(self, id_: str, message: str) -> Generation:
        """Record that the service gave it up."""
        return self._enter(id_, "failed", message=message)

    def refused(self, id_: str, message: str) -> Generation:
        """Record that it was not accepted: nothing was paid."""
        return self._enter(id_, "refused", message=message)

    def unconfirmed(self, id_: str, message: str) -> Generation:
        """Record that it was sent and the answer was lost."""
        return self._enter(id_, "unconfirmed", message=message)

    def get(self, id_: str) -> Generation:
        """Return the generation with this id, or with this task id. Raises UnknownGeneration."""
        columns = _GENERATIONS.c
        query = select(_GENERATIONS).where(or_(columns.id == id_, columns.task_id == id_))
        with self._reading() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise UnknownGeneration(f"There is no generation {id_!r} in the journal; see `flux-nodes list`.")
        return _generation(dict(row))

    def recent(self, *, most: int = 50, statuses: Sequence[Status] = ()) -> list[Generation]:
        """Return the newest generations first, of these statuses only when any are named."""
        query = select(_GENERATIONS).order_by(_GENERATIONS.c.created_at.desc(), _GENERATIONS.c.id).limit(most)
        if statuses:
            query = query.where(_GENERATIONS.c.status.in_(statuses))
        with self._reading() as connection:
            return [_generation(dict(row)) for row in connection.execute(query).mappings()]

    def _enter(self, id_: str, status: Status, **facts: object) -> Generation:
        """Move a generation on, unless it is past that point already; return how it stands."""
        statement = (
            update(_GENERATIONS)
            .where(_GENERATIONS.c.id == id_, _GENERATIONS.c.status.in_(_BEFORE[status]))
            .values(status=status, updated_at=_now(), **facts)
        )
        with self._writing() as connection:
            connection.execute(statement)
        return self.get(id_)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with _as_storage_errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _as_storage_errors(), self._engine.connect() as connection:
            yield connection


@contextmanager
def _as_storage_errors() -> Iterator[None]:
    try:
        yield
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


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _prepare_sqlite(engine: Engine, url: URL) -> None:
    if url.database:
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"The journal's folder cannot be made: {error.strerror or error}.") from error

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        # WAL lets other processes read while one writes; FULL makes a commit survive a power cut.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={_BUSY_SECONDS * 1000}"):
            connection.execute(f"PRAGMA {pragma}").close()


_FIELDS = frozenset(field.name for field in fields(Generation))


def _generation(row: dict[str, Any]) -> Generation:
    known = {name: value for name, value in row.items() if name in _FIELDS}
    return Generation(
        **{
            **known,
            "request": json.loads(row["request"]),
            "created_at": datetime.fromisoformat(row["created_at"]),
            "updated_at": datetime.fromisoformat(row["updated_at"]),
        }
    )


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


UNFINISHED: tuple[Status, ...] = tuple(status for status in _BEFORE if status not in SETTLED)
"""Statuses from which following goes on."""
