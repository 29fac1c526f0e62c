"""The journal's tables, and how a journal of an older version becomes one of this version.

| version | since | what changed |
|---|---|---|
| 1 | 0.1.0 | one table, one row for each generation |
| 2 | 0.2.0 | credits, the claim on a picture, the process that sends, what a generation repeats |
| 3 | 0.3.0 | the graph that asked for it |
| 4 | 0.3.0 | indexes by status and by fingerprint |
| 5 | 0.4.0 | one name for each service, however its address was spelled; an index by what a generation repeats |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, Float, Index, Integer, MetaData, String, Table, Text, insert, inspect, select, update
from sqlalchemy.schema import CreateIndex, CreateTable

from .errors import StorageError
from .generation import claim_on
from .service_name import service_name

if TYPE_CHECKING:
    from sqlalchemy import Connection

VERSION = 5

METADATA = MetaData()
GENERATIONS = Table(
    "generations",
    METADATA,
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
    Column("credits", Float),
    Column("claim", String(64)),
    Column("owner", String(255)),
    Column("retry_of", String(16)),
    Column("graph", String(64)),
)
_SINCE_2 = ("credits", "claim", "owner", "retry_of")
_BY_TIME = Index("generations_by_time", GENERATIONS.c.created_at)
_BY_TASK = Index("generations_by_task", GENERATIONS.c.task_id)
_BY_CLAIM = Index("generations_by_claim", GENERATIONS.c.claim, unique=True)
"""One picture has one holder: two doors that ask for the same at once cannot both insert."""

_BY_STATUS = Index("generations_by_status", GENERATIONS.c.status, GENERATIONS.c.created_at)
_BY_FINGERPRINT = Index("generations_by_fingerprint", GENERATIONS.c.fingerprint)
_BY_RETRY = Index("generations_by_retry", GENERATIONS.c.retry_of)

_SCHEMA = Table("flux_nodes_schema", METADATA, Column("version", Integer, nullable=False))


def is_ready(connection: Connection) -> bool:
    """Tell whether the tables are those of this version: there is nothing to prepare."""
    return _version(connection) == VERSION


def prepare(connection: Connection) -> None:
    """Make the tables, or bring those of an older version up to this one, in the caller's transaction.

    Raises StorageError for a journal that a newer version has written.
    """
    found = _version(connection)
    if found > VERSION:
        raise StorageError(
            f"The journal was written by a newer Flux Nodes (its version is {found}, this one knows {VERSION}). "
            "Update flux-nodes, or let FLUX_NODES_JOURNAL or FLUX_NODES_HOME point elsewhere. Nothing was changed."
        )
    if found == 0:
        _create(connection)
    if found == 1:
        _to_2(connection)
    if found in (1, 2):
        _add(connection, "graph")
    if found < VERSION:
        _index(connection, _BY_STATUS, _BY_FINGERPRINT, _BY_RETRY)
        _unite_services(connection)
        _stamp(connection)


def _version(connection: Connection) -> int:
    tables = inspect(connection)
    if tables.has_table(_SCHEMA.name):
        return connection.execute(select(_SCHEMA.c.version)).scalar() or VERSION
    return 1 if tables.has_table(GENERATIONS.name) else 0


def _create(connection: Connection) -> None:
    connection.execute(CreateTable(GENERATIONS, if_not_exists=True))
    _index(connection, _BY_TIME, _BY_TASK, _BY_CLAIM)


def _to_2(connection: Connection) -> None:
    _add(connection, *_SINCE_2)
    _index(connection, _BY_CLAIM)
    # What was accepted before the journal counted cost one credit each: version 1 knew no other price.
    taken = GENERATIONS.c.status.not_in(("intent", "refused"))
    connection.execute(update(GENERATIONS).where(taken).values(credits=1.0))


_HOLDS_BEST = ("stored", "finished", "running", "submitted", "intent", "unconfirmed")
"""Whose claim on a picture is kept, where two spellings of one service each had one."""


def _unite_services(connection: Connection) -> None:
    """Give the rows of one service one name: before version 5, each spelling of its address was another service."""
    columns = GENERATIONS.c
    for spelled in connection.execute(select(columns.service).distinct()).scalars().all():
        name = service_name(spelled)
        if name == spelled:
            continue
        theirs = columns.service == spelled
        claimed = connection.execute(
            select(columns.id, columns.fingerprint, columns.status).where(theirs, columns.claim.is_not(None))
        ).all()
        # All at once: as they are exchanged, two rows must never hold the same.
        connection.execute(update(GENERATIONS).where(theirs).values(service=name, claim=None))
        for id_, fingerprint, status in sorted(claimed, key=lambda row: _rank(row.status)):
            _claim(connection, id_, claim_on(name, fingerprint), status)


def _claim(connection: Connection, id_: str, claim: str, status: str) -> None:
    """Let a generation hold its picture, unless another has a better right to it."""
    columns = GENERATIONS.c
    holder = connection.execute(select(columns.id, columns.status).where(columns.claim == claim)).first()
    if holder is not None and _rank(holder.status) <= _rank(status):
        return
    connection.execute(update(GENERATIONS).where(columns.claim == claim).values(claim=None))
    connection.execute(update(GENERATIONS).where(columns.id == id_).values(claim=claim))


def _rank(status: str) -> int:
    return _HOLDS_BEST.index(status) if status in _HOLDS_BEST else len(_HOLDS_BEST)


def _add(connection: Connection, *names: str) -> None:
    from alembic.migration import MigrationContext  # only an old journal pays for loading it
    from alembic.operations import Operations

    change = Operations(MigrationContext.configure(connection))
    for name in names:
        change.add_column(GENERATIONS.name, Column(name, GENERATIONS.c[name].type))


def _index(connection: Connection, *indexes: Index) -> None:
    for index in indexes:
        connection.execute(CreateIndex(index, if_not_exists=True))


def _stamp(connection: Connection) -> None:
    connection.execute(CreateTable(_SCHEMA, if_not_exists=True))
    if connection.execute(update(_SCHEMA).values(version=VERSION)).rowcount == 0:
        connection.execute(insert(_SCHEMA).values(version=VERSION))
