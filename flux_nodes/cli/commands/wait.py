"""`flux-nodes wait`: collect what was started before, by whichever door."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..delivery import prepare_folder
from ..options import json_option, output_option, timeout_option
from ..progress import progress
from ..report import report
from ..service import with_service

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ...core.settings import Settings
    from ..collect import Outcome
    from ..progress import Progress


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@output_option
@timeout_option
@json_option
@with_service
def wait(*, ids: tuple[str, ...], output: Path, timeout: float | None, as_json: bool, settings: Settings) -> int:
    """Collect the images of generations, waiting for them.

    This is free. The images are copied to the output folder. ID is that of a generation (`flux-nodes list` shows
    them) or of its task at the service.
    """
    from ..ctrl_c import carry_out

    prepare_folder(output)
    asked = list(dict.fromkeys(ids))
    under_way = list(asked)
    with progress(silent=as_json) as shown:
        outcomes = carry_out(
            _wait(settings, asked, under_way, shown, seconds=timeout, folder=output), under_way=under_way
        )
    return report(outcomes, as_json=as_json, several=len(asked) > 1)


async def _wait(
    settings: Settings,
    ids: Sequence[str],
    under_way: list[str],
    shown: Progress,
    *,
    seconds: float | None,
    folder: Path,
) -> list[Outcome]:
    from ...core.generations import Generations
    from ..collect import collect

    async with Generations.open(settings, door="terminal") as generations:
        return await collect(generations, ids, seconds=seconds, folder=folder, progress=shown, under_way=under_way)
