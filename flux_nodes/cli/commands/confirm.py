"""`flux-nodes confirm`: give a generation whose answer was lost the task id that a person has found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..exits import DONE
from ..options import json_option
from ..service import with_service
from .journal import known_of, show

if TYPE_CHECKING:
    from ...core.settings import Settings
    from .journal import Known


@click.command()
@click.argument("id_", metavar="ID")
@click.argument("task_id", metavar="TASK")
@json_option
@with_service
def confirm(*, id_: str, task_id: str, as_json: bool, settings: Settings) -> int:
    """Tell the task id of a generation whose answer was lost.

    For one that is unconfirmed, when its task id is found: in an error of this program, at the service, in a log. The
    service is asked whether it knows TASK; then ID has it, and its image is collected when it is ready. This is free:
    nothing is sent again. A task id that is there is never replaced.
    """
    from ..ctrl_c import carry_out

    show(carry_out(_confirm(settings, id_, task_id)), settings, as_json=as_json)
    return DONE


async def _confirm(settings: Settings, id_: str, task_id: str) -> Known:
    from ...core.generations import Generations

    async with Generations.open(settings, door="terminal") as generations:
        confirmed = await generations.confirm_task(id_, task_id)
        return await known_of(generations, await generations.refresh(confirmed.id))
