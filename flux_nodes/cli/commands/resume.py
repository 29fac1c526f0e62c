"""`flux-nodes resume`: carry on with everything unfinished, from whichever door."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from ...core.errors import named, way_to
from ...core.generation import UNFINISHED
from ..complaint import hint_sandbox
from ..delivery import prepare_folder
from ..options import delivery_options, json_option, timeout_option
from ..progress import progress
from ..report import report
from ..screen import say
from ..service import with_service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...core.generations import Generations
    from ...core.settings import Settings
    from ..collect import Outcome
    from ..delivery import Delivery
    from ..progress import Progress


@click.command()
@delivery_options
@timeout_option
@json_option
@with_service
def resume(*, delivery: Delivery, timeout: float | None, as_json: bool, settings: Settings) -> int:
    """Collect everything unfinished, from any door.

    After a crash, an interruption or a wait that ended early; and what was stored here and is damaged or missing now.
    This is free: nothing is sent again. The images are copied to the output folder.
    """
    from ..ctrl_c import carry_out

    prepare_folder(delivery.folder)
    under_way: list[str] = []
    with progress(silent=as_json) as shown:
        work = _resume(settings, under_way, shown, seconds=timeout, delivery=delivery)
        outcomes, unknown, elsewhere = carry_out(work, under_way=under_way)
    if not as_json:
        _say_what_else(outcomes, unknown, elsewhere, settings)
    return report(outcomes, as_json=as_json, several=True)


async def _resume(
    settings: Settings, under_way: list[str], shown: Progress, *, seconds: float | None, delivery: Delivery
) -> tuple[list[Outcome], list[str], Counter[str]]:
    from ...core.generations import Generations
    from ..collect import collect

    async with Generations.open(settings, door="terminal") as generations:
        ids = [generation.id for generation in await generations.owed()]
        under_way += ids
        unknown, elsewhere = await _unknown(generations, settings), await _elsewhere(generations, settings)
        outcomes = await collect(
            generations, ids, seconds=seconds, delivery=delivery, progress=shown, under_way=under_way
        )
        return outcomes, unknown, elsewhere


async def _unknown(generations: Generations, settings: Settings) -> list[str]:
    """Return the ids of which nobody knows whether they were paid, but for those that were sent again since."""
    known = await generations.recent(most=None, statuses=["unconfirmed"], service=settings.service_name)
    return [one.id for one in known if await generations.sent_again(one.id) is None]


async def _elsewhere(generations: Generations, settings: Settings) -> Counter[str]:
    """Count what is unfinished at other services, by service."""
    known = await generations.recent(most=None, statuses=UNFINISHED)
    owed = [one for one in known if not (one.was_lost and one.message)]
    return Counter(one.service for one in owed if one.service != settings.service_name)


def _say_what_else(
    outcomes: Sequence[Outcome], unknown: Sequence[str], elsewhere: Counter[str], settings: Settings
) -> None:
    if not outcomes:
        say(f"There is nothing to resume{f' at {named(settings.service_name)}' if elsewhere else ''}.")
    for service, count in elsewhere.items():
        are = "generation is" if count == 1 else "generations are"
        say(f"{count} {are} unfinished at {named(service)}: resume {way_to(service, settings.service_name)}.")
    told = [f"{id_} is unconfirmed, perhaps paid: `flux-nodes status {id_}` tells what can be done." for id_ in unknown]
    for line in told:
        say(line)
    hint_sandbox(told)
