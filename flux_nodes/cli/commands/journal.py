"""`flux-nodes status` and `flux-nodes list`: what the journal knows."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import TYPE_CHECKING, get_args

import click

from ...core.generation import SENT_AGAIN, Generation, Status
from ...core.money import price
from ..complaint import hint_sandbox
from ..documents import generation_document, spending_documents
from ..exits import DONE
from ..explanation import explanation, named
from ..options import json_option
from ..screen import Column, is_terminal, say, write_json, write_pairs, write_rows
from ..service import service, with_service

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ...core.generations import Generations
    from ...core.journal import Spending
    from ...core.settings import Settings

    Known = tuple[Generation, Path | None, Sequence[Generation]]

_LIST = (
    Column("id"),
    Column("when", spare=True),
    Column("door", spare=True),
    Column("service", spare=True),
    Column("model"),
    Column("status"),
    Column("cost"),
    Column("pixels", spare=True, only="terminal"),
    Column("prompt", wide=True, cut=True, least=8),
    Column("file", only="pipe"),
)


@click.command()
@click.argument("id_", metavar="ID")
@json_option
@with_service
def status(*, id_: str, as_json: bool, settings: Settings) -> int:
    """Ask once how a generation stands.

    This is free. If its image is ready at the service, it is collected. Of one whose answer was lost it tells what
    happened, what may be paid, and what can be done.
    """
    from ..ctrl_c import carry_out

    show(carry_out(_status(settings, id_)), settings, as_json=as_json)
    return DONE


def show(known: Known, settings: Settings, *, as_json: bool) -> None:
    """Show how a generation stands."""
    generation, file, resends = known
    if as_json:
        write_json(generation_document(generation, file, file, resends=resends))
    else:
        told = explanation(generation, settings, resends=resends)
        write_pairs([*_facts(generation, file, resends), *told])
        hint_sandbox(words for _, words in told)


async def _status(settings: Settings, id_: str) -> Known:
    from ...core.generations import Generations

    async with Generations.open(settings, door="terminal") as generations:
        return await known_of(generations, await generations.refresh(id_))


async def known_of(generations: Generations, generation: Generation) -> Known:
    """Return a generation with its file, and with all that it was sent again as."""
    resends = await generations.resends(generation.id) if generation.status in SENT_AGAIN else []
    return generation, generations.file(generation), resends


def _facts(generation: Generation, file: Path | None, resends: Sequence[Generation]) -> list[tuple[str, str]]:
    parameters = ", ".join(f"{name} {value}" for name, value in generation.request.items() if name != "prompt")
    facts = [
        ("id", generation.id),
        ("task", generation.task_id),
        ("status", generation.status),
        ("progress", None if generation.percentage is None else f"{generation.percentage} %"),
        ("message", generation.message),
        ("prompt", generation.prompt),
        ("request", parameters),
        ("door", generation.door),
        ("service", generation.service),
        ("started", _when(generation)),
        ("retry of", generation.retry_of),
        ("sent again", named(resends)),
        ("credits", _credits(generation)),
        ("pixels", generation.pixels),
        ("file", None if file is None else str(file)),
    ]
    return [(name, value) for name, value in facts if value]


@click.command("list")
@click.option("--most", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@click.option(
    "--status",
    "statuses",
    type=click.Choice(get_args(Status)),
    multiple=True,
    metavar="STATUS",
    help=f"Only those of this status; may be repeated. One of {', '.join(get_args(Status))}.",
)
@json_option
def list_(*, most: int, statuses: tuple[Status, ...], as_json: bool) -> int:
    """List the newest generations.

    Those of every door: terminal, nodes and assistants. Then what was spent on each day (UTC), and by which door. Asks
    nobody but the journal.
    """
    from ..ctrl_c import carry_out

    with service(sandbox=False, asks=False) as settings:
        known, spending = carry_out(_recent(settings, most, statuses))
    if as_json:
        write_json(
            {
                "generations": [generation_document(one, file, file, resends=resends) for one, file, resends in known],
                "spending": spending_documents(spending),
            }
        )
        return DONE
    write_rows(_LIST, [_row(generation, file) for generation, file, _ in known])
    if not known:
        say("No generations yet." if not statuses else "No generations of this status.")
    elif is_terminal(sys.stdout):
        say(f"The images are kept in {settings.images}; `flux-nodes wait ID` copies one here.")
    for line in _spent(spending):
        say(line)
    return DONE


def _spent(spending: Sequence[Spending]) -> Iterator[str]:
    """Yield a line for each day and service: how many credits, and how many of them each door spent."""
    for (day, place), items in groupby(spending, key=lambda item: (item.day, item.service)):
        doors = {item.door: item.credits for item in items}
        shares = ", ".join(f"{door} {credits_:g}" for door, credits_ in doors.items())
        yield f"Spent on {day} at {place.removeprefix('https://')}: {price(sum(doors.values()))} ({shares})"


async def _recent(settings: Settings, most: int, statuses: tuple[Status, ...]) -> tuple[list[Known], list[Spending]]:
    from ...core.generations import Generations

    async with Generations.open(settings, door="terminal") as generations:
        newest = await generations.recent(most=most, statuses=statuses)
        spending = sorted(await generations.spending(), key=lambda item: (item.day, item.service), reverse=True)
        return [await known_of(generations, generation) for generation in newest], spending


def _row(generation: Generation, file: Path | None) -> tuple[str, ...]:
    return (
        generation.id,
        _when(generation),
        generation.door,
        generation.service.removeprefix("https://"),
        generation.model,
        generation.status,
        _credits(generation) or "",
        generation.pixels or "",
        generation.prompt,
        "" if file is None else str(file),
    )


def _when(generation: Generation) -> str:
    return generation.created_at.astimezone().strftime("%Y-%m-%d %H:%M")


def _credits(generation: Generation) -> str | None:
    return None if generation.credits is None else f"{generation.credits:g}"
