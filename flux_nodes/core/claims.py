"""What keeps an intent from being sent: who holds its picture, its resend, and the day's budget.

All of it is asked in the transaction that writes the intent down, so it holds however many programs ask at once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from .errors import BudgetReached
from .generation import SENT_AGAIN, UNFINISHED
from .journal_reading import first, successor
from .process import LONGEST_SEND
from .schema import GENERATIONS
from .service_name import service_name

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .generation import Generation
    from .journal import Intent


def holder(connection: Connection, intent: Intent) -> Generation | None:
    """Return who makes sending this needless, or forbids it (`reused`); None when it may be sent."""
    if intent.retry_of is not None:
        return _sent_again(connection, intent)
    if intent.claim is None or intent.fresh:
        return None
    columns = GENERATIONS.c
    found = first(connection, columns.claim.in_(intent.claims))
    if found is None:
        # What was asked for last came to nothing: an earlier one of the same picture is as good.
        same = (columns.service == intent.service) & columns.fingerprint.in_(intent.request.fingerprints)
        found = first(connection, same & columns.status.in_((*UNFINISHED, "stored")))
        # Or one that may be paid already: that what followed it was refused does not change that.
        found = found or first(connection, same & (columns.status == "unconfirmed"))
    return None if found is None else replace(found, reused=True)


def _sent_again(connection: Connection, intent: Intent) -> Generation | None:
    """Return what makes sending a generation again needless: it is lost no more, or it was sent again already."""
    known = first(connection, GENERATIONS.c.id == intent.retry_of)
    if known is None:
        return None
    if known.status not in SENT_AGAIN:
        return replace(known, reused=True)
    found = None if intent.fresh else successor(connection, known)
    return None if found is None else replace(found, reused=True)


def hold_budget(connection: Connection, intent: Intent) -> None:
    """Raise BudgetReached unless the day's budget leaves enough.

    Counted is what was asked for today, unless it was refused: also what is under way, and what nobody knows of. And
    what is being sent right now, though it was written down yesterday.
    """
    if intent.budget is None:
        return
    columns = GENERATIONS.c
    now = datetime.now(UTC)
    # By its two ends, and not as the beginning of a text: only so does the index by time help.
    first_moment, end = f"{now.date()}", f"{now.date() + timedelta(days=1)}"
    begin = min(first_moment, (now - LONGEST_SEND).isoformat(timespec="microseconds"))
    is_recent = (columns.created_at >= begin) & (columns.created_at < end)
    counts = (columns.created_at >= first_moment) | (columns.status == "intent")
    by_service = select(columns.service, func.sum(columns.credits)).where(is_recent, counts)
    sums = connection.execute(by_service.group_by(columns.service)).all()
    spent = sum(float(credits_ or 0) for service, credits_ in sums if service_name(service) == intent.service)
    if spent + intent.credits > intent.budget:
        raise BudgetReached(spent=spent, cost=intent.credits, budget=intent.budget)
