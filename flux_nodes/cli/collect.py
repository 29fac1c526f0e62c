"""Starting and collecting several generations: one of them ending badly keeps none of the others from ending well."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..core.errors import FluxNodesError, UnreadableImage
from ..core.unbroken import to_the_end
from ..graph.provenance import file_name, file_stem, picture
from .delivery import deliver
from .screen import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from ..core.generation import Generation
    from ..core.generations import Generations
    from .delivery import Delivery
    from .progress import Progress


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one generation ended.

    The id it was asked for by, how the journal has it, the file that was delivered, the service's own, and what went
    wrong.
    """

    id: str | None = None
    generation: Generation | None = None
    file: Path | None = None
    original: Path | None = None
    error: FluxNodesError | None = None


async def start_each(
    starts: Iterable[Callable[[], Awaitable[Generation]]], under_way: list[str]
) -> AsyncIterator[Outcome]:
    """Start one after the other, and yield each; the first that is refused is the last that is tried.

    What the service refuses once, for lack of credits or of a key, it would refuse again; and an answer that was lost
    may have been paid for.
    """
    for start in starts:
        try:
            # To the end: a request on its way must have its id when the person is told what goes on.
            generation = await to_the_end(_noted(start(), under_way))
        except FluxNodesError as error:
            yield Outcome(error=error)
            return
        yield Outcome(id=generation.id, generation=generation)


async def _noted(starting: Awaitable[Generation], under_way: list[str]) -> Generation:
    generation = await starting
    if not generation.settled:
        under_way.append(generation.id)
    return generation


def marked(outcome: Outcome, reused: Collection[str]) -> Outcome:
    """Say of an outcome, which was looked up since, that it was there when it was asked for."""
    if outcome.generation is None or outcome.id not in reused:
        return outcome
    return replace(outcome, generation=replace(outcome.generation, reused=True))


async def collect(
    generations: Generations,
    ids: Sequence[str],
    *,
    seconds: float | None,
    delivery: Delivery,
    progress: Progress,
    under_way: list[str],
) -> list[Outcome]:
    """Follow all to their end, deliver each image as soon as it is there, and return every outcome."""
    from ..core.merge import merge

    outcomes: dict[str, Outcome] = {}

    async def one(id_: str) -> AsyncIterator[Generation]:
        known: Generation | None = None
        try:
            known = await generations.get(id_)
            async for known in generations.follow(id_, seconds=seconds):
                yield known
            file = await delivered(generations, generations.require_image(known), delivery, note=progress.note)
            outcomes[id_] = Outcome(id=id_, generation=known, file=file, original=generations.file(known))
        except FluxNodesError as error:
            outcomes[id_] = Outcome(id=id_, generation=known, error=error)
        if id_ in under_way and (known is None or known.settled):
            under_way.remove(id_)

    async with aclosing(merge([one(id_) for id_ in ids])) as moves:
        async for moved in moves:
            progress.show(moved)
    return [outcomes[id_] for id_ in ids]


async def delivered(
    generations: Generations, generation: Generation, delivery: Delivery, *, note: Callable[[str], None] = say
) -> Path:
    """Write the image of a stored generation into the folder, and return its file.

    Of one that cannot be opened here that is the original, which `note` is told.
    """
    stored = generations.file(generation)
    name, data = file_name(generation), None
    if not delivery.original:
        try:
            data = await picture(generations, generation)
        except UnreadableImage as error:
            note(f"{error} It is delivered as it is.")
    if data is None:
        name = f"{file_stem(generation)}{'' if stored is None else stored.suffix}"
        data = await generations.data(generation)
    return await asyncio.to_thread(deliver, generation, data, folder=delivery.folder, name=name)
