"""`flux-nodes wait`: collect what was started before, by whichever door."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..delivery import prepare_folder
from ..options import delivery_options, json_option, timeout_option
from ..progress import progress
from ..report import report
from ..service import with_service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...core.settings import Settings
    from ..collect import Outcome
    from ..delivery import Delivery
    from ..progress import Progress


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@delivery_options
@timeout_option
@json_option
@with_service
def wait(*, ids: tuple[str, ...], delivery: Delivery, timeout: float | None, as_json: bool, settings: Settings) -> int:
    """Collect the images of generations, waiting for them.

    This is free. The images are copied to the output folder. ID is that of a generation (`flux-nodes list` shows
    them) or of its task at the service.
    """
    from ..ctrl_c import carry_out

    prepare_folder(delivery.folder)
    asked = list(dict.fromkeys(ids))
    under_way = list(asked)
    with progress(silent=as_json) as shown:
        outcomes = carry_out(
            _wait(settings, asked, under_way, shown, seconds=timeout, delivery=delivery), under_way=under_way
        )
    return report(outcomes, as_json=as_json, several=len(asked) > 1)


async def _wait(
    settings: Settings,
    ids: Sequence[str],
    under_way: list[str],
    shown: Progress,
    *,
    seconds: float | None,
    delivery: Delivery,
) -> list[Outcome]:
    from ...core.generations import Generations
    from ..collect import collect

    async with Generations.open(settings, door="terminal") as generations:
        return await collect(generations, ids, seconds=seconds, delivery=delivery, progress=shown, under_way=under_way)
