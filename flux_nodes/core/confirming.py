"""Gives a generation whose own answer was lost the task id that a person has found, if the service knows that task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import KeyRefused, NotConfirmed, ServiceRefused, TooManyRequests
from .reply import usable_task_id
from .unbroken import blocking

if TYPE_CHECKING:
    from .client import ApiframeClient
    from .generation import Generation
    from .journal import Journal
    from .task import Task

_UNCHANGED = "Nothing was changed, nothing was paid."


async def confirm(
    known: Generation, task_id: str, *, client: ApiframeClient, journal: Journal, service: str
) -> Generation:
    """Do what `Generations.confirm_task` tells."""
    wanted = _checked(task_id)
    if known.status == "intent":
        await blocking(journal.settle_abandoned)
        known = await blocking(journal.get, known.id)
    if known.task_id == wanted:
        return known
    _require_lost(known)
    known.require_service(service)
    await _require_known(client, wanted)
    confirmed = await blocking(journal.confirm, known.id, wanted)
    if confirmed.task_id != wanted:  # its own answer, or a webhook, came meanwhile
        _require_lost(confirmed)
    return confirmed


def _checked(task_id: str) -> str:
    wanted = usable_task_id(task_id)
    if not wanted or any(character.isspace() for character in wanted):
        raise NotConfirmed(
            f"{task_id[:80]!a} is no task id. Allowed: 1 to 255 letters, digits and signs without spaces, as the "
            f"service tells it. {_UNCHANGED}"
        )
    return wanted


def _require_lost(known: Generation) -> None:
    """Raise NotConfirmed for a generation that needs no task id."""
    if known.task_id is not None:
        raise NotConfirmed(
            f"Generation {known.id} has a task id already, {known.task_id}, and keeps it. {_UNCHANGED} "
            f"`flux-nodes wait {known.id}` collects it, free of charge."
        )
    if known.status not in {"intent", "unconfirmed"}:
        raise NotConfirmed(
            f"Generation {known.id} is {known.status}: it was never accepted, so it has no task. {_UNCHANGED}"
        )


async def _require_known(client: ApiframeClient, task_id: str) -> None:
    """Raise NotConfirmed for a task that the service does not know, and what `fetch` raises otherwise."""
    try:
        task = await client.fetch(task_id)
    except (KeyRefused, TooManyRequests):
        raise
    except ServiceRefused as error:
        raise NotConfirmed(f"The service does not know the task {task_id}. {error} {_UNCHANGED}") from error
    if task.task_id != task_id or not _says_something(task):
        raise NotConfirmed(f"The service does not know the task {task_id}: its answer is of no such task. {_UNCHANGED}")


def _says_something(task: Task) -> bool:
    return bool(task.status or task.image_url or task.percentage is not None)
