"""The durable record: one row for each generation, one function for each transition of its life.

The functions block; doors reach them through `Generations`, which calls them off the event loop. Every one is committed
when it returns. Several processes may use one journal at once.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, or_, select, update

from .claims import hold_budget, holder
from .database import Database, Taken
from .errors import NotConfirmed, UnknownGeneration
from .generation import UNFINISHED as UNFINISHED
from .generation import claim_on
from .journal_reading import first, generation_of, newest, of_image, resends, successor
from .money import LOOK
from .process import is_gone, this_process
from .schema import GENERATIONS, is_ready, prepare
from .service_name import service_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import URL, Connection

    from .generation import Generation, Status
    from .images import ImageFacts
    from .request import ImagineRequest

_BEFORE: dict[Status, tuple[Status, ...]] = {
    "submitted": ("intent", "unconfirmed"),
    "running": ("submitted", "running"),
    "finished": ("submitted", "running", "finished"),
    "stored": ("submitted", "running", "finished", "stored"),
    "failed": ("submitted", "running"),
    "refused": ("intent", "unconfirmed"),
    "unconfirmed": ("intent",),
}
"""From which states a state may be entered. A late word of another process never turns a life back.

The sender's own word wins over what another process made of its silence: it may say of an unconfirmed generation that
it was accepted, or refused.
"""

_FREED: frozenset[Status] = frozenset({"failed", "refused"})
"""Statuses that give up the claim on a picture: asking for it again is a new generation.

An unconfirmed one keeps it: asking once more for what may be paid already takes more than asking.
"""

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_CUT_SHORT = (
    "The program that was sending this has ended, or runs on another machine: nobody knows here whether it was "
    f"accepted and charged. It was not sent again. {LOOK}"
)


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What is about to be sent, and on which terms.

    `fresh` pays even where the same picture is there already; `budget` is the most credits a day (UTC) in all doors;
    `retry_of` is what this sends again, which is done once unless `fresh`; `graph` is the digest of the graph that
    asks, in the store. `service` is kept as `service_name` gives it.
    """

    request: ImagineRequest
    door: str
    service: str
    credits: float
    budget: float | None = None
    fresh: bool = False
    retry_of: str | None = None
    graph: str | None = None

    def __post_init__(self) -> None:
        """Give the service its one name."""
        object.__setattr__(self, "service", service_name(self.service))  # the way of a frozen dataclass

    @property
    def claim(self) -> str | None:
        """Name the picture that this asks for; None without a seed, for then every request is another picture."""
        return next(iter(self.claims), None)

    @property
    def claims(self) -> tuple[str, ...]:
        """The names that this picture may be held under: the claim, and the one of versions before 0.3."""
        if self.request.seed is None:
            return ()
        return tuple(claim_on(self.service, fingerprint) for fingerprint in self.request.fingerprints)


@dataclass(frozen=True, kw_only=True)
class Spending:
    """What one door spent at one service on one day (UTC): accepted generations and their credits."""

    day: str
    door: str
    service: str
    generations: int
    credits: float


class Journal:
    """The journal in one database. Raises InvalidSettings or StorageError when that cannot be used."""

    def __init__(self, url: str | URL) -> None:
        self._database = Database(url)
        try:
            # A look is enough as a rule: whoever only reads must not wait for those who write.
            with self._database.reading() as connection:
                ready = is_ready(connection)
            if not ready:
                with self._database.writing(alone=True) as connection:
                    prepare(connection)
        except BaseException:
            self._database.close()
            raise

    @property
    def is_local(self) -> bool:
        """Whether only programs on one machine can use it."""
        return self._database.is_local

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def holder(self, intent: Intent) -> Generation | None:
        """Return who holds the same picture already (`reused`), if anyone does and it is not to be paid again."""
        with self._database.reading() as connection:
            return holder(connection, intent)

    def intend(self, intent: Intent) -> Generation:
        """Write down what is about to be sent; or return who holds the same picture already (`reused`).

        Raises BudgetReached.
        """
        try:
            with self._database.writing(alone=True) as connection:
                return self._intend(connection, intent)
        except Taken:
            # Another process was first with the same picture, in a database whose writers do not queue.
            with self._database.writing(alone=True) as connection:
                return self._intend(connection, intent)

    def _intend(self, connection: Connection, intent: Intent) -> Generation:
        found = holder(connection, intent)
        if found is not None:
            return found
        hold_budget(connection, intent)
        if intent.claim is not None:
            connection.execute(update(GENERATIONS).where(GENERATIONS.c.claim.in_(intent.claims)).values(claim=None))
        row = _row(intent)
        connection.execute(insert(GENERATIONS).values(row))
        return generation_of(row)

    def submitted(self, id_: str, task_id: str) -> Generation:
        """Record the task id under which the service took it: the word of its own answer.

        It wins over another id, which a webhook may have named before the answer came; what was followed under that
        one is forgotten.
        """
        known = self._enter(id_, "submitted", task_id=task_id, message=None)
        if known.task_id in {None, task_id} or known.status == "refused":
            return known
        forgotten: dict[str, None] = dict.fromkeys(("message", "percentage", "image_url", "sha256"))
        return self._enter(
            id_, "submitted", before=(*UNFINISHED, "stored", "failed"), **{**forgotten, "task_id": task_id}
        )

    def running(self, id_: str, percentage: int | None) -> Generation:
        """Record the progress that the service told, 0..100."""
        return self._enter(id_, "running", percentage=percentage)

    def finished(self, id_: str, image_url: str) -> Generation:
        """Record the address at which the image is ready."""
        return self._enter(id_, "finished", percentage=100, image_url=image_url)

    def stored(self, id_: str, sha256: str, size: int, facts: ImageFacts, message: str | None = None) -> Generation:
        """Record that the image is in the store, and what is to be said of it."""
        return self._enter(
            id_,
            "stored",
            percentage=100,
            message=message,
            sha256=sha256,
            size=size,
            media_type=facts.media_type,
            width=facts.width,
            height=facts.height,
        )

    def lost(self, id_: str) -> Generation:
        """Record that a stored image is damaged or no longer on the disk: it is to be collected again.

        Its digest and its facts are kept: the file may come back.
        """
        return self._enter(id_, "finished", before=("stored",), message=None)

    def gone(self, id_: str, message: str) -> Generation:
        """Record that an image which was lost from the disk cannot be had from the service any more either."""
        return self._enter(id_, "finished", before=("finished",), message=message)

    def found(self, id_: str, message: str | None = None) -> Generation:
        """Record that the image which was lost from the disk is there again, and what is to be said of it."""
        return self._enter(id_, "stored", before=("finished",), message=message)

    def failed(self, id_: str, message: str) -> Generation:
        """Record that the service gave it up."""
        return self._enter(id_, "failed", message=message)

    def refused(self, id_: str, message: str) -> Generation:
        """Record that it was not accepted: nothing was paid."""
        return self._enter(id_, "refused", message=message, credits=0.0)

    def unconfirmed(self, id_: str, message: str) -> Generation:
        """Record that it was sent and the answer was lost."""
        return self._enter(id_, "unconfirmed", message=message)

    def settle_abandoned(self) -> list[Generation]:
        """Turn intents whose sender has ended into unconfirmed ones, and return them."""
        with self._database.reading() as connection:
            rows = connection.execute(select(GENERATIONS).where(GENERATIONS.c.status == "intent")).mappings().all()
        local = self.is_local
        gone = [row["id"] for row in rows if is_gone(row["owner"], since=row["created_at"], local=local)]
        return [self.unconfirmed(id_, _CUT_SHORT) for id_ in gone]

    def confirm(self, id_: str, task_id: str) -> Generation:
        """Give a generation whose own answer was lost its task id; one that has an id keeps it.

        Raises UnknownGeneration, and NotConfirmed where the id is that of another generation of the same service.
        """
        columns = GENERATIONS.c
        with self._database.writing(alone=True) as connection:
            known = first(connection, columns.id == id_)
            if known is None:
                raise _unknown(id_)
            same = (columns.task_id == task_id) & (columns.service == known.service) & (columns.id != id_)
            other = first(connection, same)
            if other is not None:
                raise NotConfirmed(f"Task {task_id} is that of generation {other.id}. Nothing was changed.")
            is_lost = (columns.id == id_) & columns.task_id.is_(None) & columns.status.in_(_BEFORE["submitted"])
            facts = {"status": "submitted", "task_id": task_id, "message": None, "updated_at": _now()}
            connection.execute(update(GENERATIONS).where(is_lost).values(facts))
        return self.get(id_)

    def sent_again(self, id_: str) -> Generation | None:
        """Return the generation that a lost one was sent again as: the last of them, where that was done repeatedly.

        A generation of the same picture that was asked for later is as good. One that was refused does not count.
        """
        with self._database.reading() as connection:
            known = first(connection, GENERATIONS.c.id == id_)
            return None if known is None else successor(connection, known)

    def resends(self, id_: str) -> list[Generation]:
        """Return all that a lost generation was sent again as, the oldest first; `sent_again` gives the last of them.

        Those that were refused are left out: they cost nothing.
        """
        with self._database.reading() as connection:
            known = first(connection, GENERATIONS.c.id == id_)
            return [] if known is None else resends(connection, known)

    def get(self, id_: str) -> Generation:
        """Return the generation with this id, or with this task id. Raises UnknownGeneration."""
        columns = GENERATIONS.c
        with self._database.reading() as connection:
            found = first(connection, or_(columns.id == id_, columns.task_id == id_))
        if found is None:
            raise _unknown(id_)
        return found

    def of_image(self, sha256: str) -> list[Generation]:
        """Return the generations whose image has this digest, the newest first."""
        with self._database.reading() as connection:
            return of_image(connection, sha256)

    def recent(
        self,
        *,
        most: int | None = 50,
        statuses: Sequence[Status] = (),
        service: str | None = None,
        words: str = "",
    ) -> list[Generation]:
        """Return the newest generations first.

        Only those of these statuses and this service when any are named, and that have all the `words` in their
        prompt, model, door or ids, whatever their case.
        """
        name = None if service is None else service_name(service)
        with self._database.reading() as connection:
            return newest(connection, most=most, statuses=statuses, service=name, words=words)

    def spending(self, *, days: int = 30) -> list[Spending]:
        """Return what was spent, by day, door and service; the newest day first."""
        columns = GENERATIONS.c
        day = func.substr(columns.created_at, 1, 10).label("day")
        totals = (func.count().label("generations"), func.sum(columns.credits).label("credits"))
        groups = (day, columns.door, columns.service)
        query = select(*groups, *totals).where(columns.credits > 0).group_by(*groups).order_by(day.desc(), columns.door)
        with self._database.reading() as connection:
            found = [Spending(**row) for row in connection.execute(query).mappings()]
        kept = sorted({item.day for item in found}, reverse=True)[:days]
        return [item for item in found if item.day in kept]

    def _enter(
        self, id_: str, status: Status, *, before: tuple[Status, ...] | None = None, **facts: object
    ) -> Generation:
        """Move a generation on, unless it is past that point already; return how it stands."""
        freed = {"claim": None} if status in _FREED else {}
        statement = (
            update(GENERATIONS)
            .where(GENERATIONS.c.id == id_, GENERATIONS.c.status.in_(before or _BEFORE[status]))
            .values(status=status, updated_at=_now(), **facts, **freed)
        )
        with self._database.writing() as connection:
            connection.execute(statement)
        return self.get(id_)


def _unknown(id_: str) -> UnknownGeneration:
    return UnknownGeneration(f"There is no generation {id_!r} in the journal; see `flux-nodes list`.")


def _row(intent: Intent) -> dict[str, Any]:
    now = _now()
    return {
        "id": "g-" + "".join(secrets.choice(_ALPHABET) for _ in range(9)),
        "door": intent.door,
        "service": intent.service,
        "fingerprint": intent.request.fingerprints[0],
        "request": json.dumps(intent.request.record(), ensure_ascii=False),
        "status": "intent",
        "created_at": now,
        "updated_at": now,
        "credits": intent.credits,
        "claim": intent.claim,
        "owner": this_process(),
        "retry_of": intent.retry_of,
        "graph": intent.graph,
    }


def _now() -> str:
    return _moment(datetime.now(UTC))


def _moment(time: datetime) -> str:
    return time.isoformat(timespec="microseconds")
