"""`flux-nodes retry`: send again what failed, was refused, or of which nobody knows; it may be paid twice."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from ...core.errors import NothingSent
from ..delivery import prepare_folder
from ..explanation import risk
from ..options import delivery_options, json_option, timeout_option
from ..progress import progress
from ..report import report
from ..screen import is_terminal, say
from ..service import with_service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...core.generation import Generation
    from ...core.settings import Settings
    from ..collect import Outcome
    from ..delivery import Delivery
    from ..progress import Progress


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Send without asking: what may be paid twice is accepted.")
@delivery_options
@timeout_option
@json_option
@with_service
def retry(
    *, ids: tuple[str, ...], yes: bool, delivery: Delivery, timeout: float | None, as_json: bool, settings: Settings
) -> int:
    """Send generations again, after asking.

    For those that failed, were refused, or are unconfirmed. Tells first what may be paid twice; without a terminal to
    ask on, --yes is needed. The new generations are waited for, and their images copied to the output folder.
    """
    from ..ctrl_c import carry_out

    asked = carry_out(_known(settings, list(dict.fromkeys(ids))))
    _make_sure(asked, yes=yes)
    prepare_folder(delivery.folder)
    under_way: list[str] = []
    with progress(silent=as_json) as shown:
        work = _retry(settings, asked, under_way, shown, seconds=timeout, delivery=delivery)
        outcomes = carry_out(work, under_way=under_way)
    unsent = len(asked) - len(outcomes)
    if unsent:
        say(f"{unsent} more were not sent, after what follows.")
    return report(outcomes, as_json=as_json, several=len(asked) > 1)


async def _known(settings: Settings, ids: Sequence[str]) -> list[Generation]:
    """Look all of them up before any is sent. Raises NothingSent for one that is not to be sent, or not there."""
    from ...core.generations import Generations

    async with Generations.open(settings, door="terminal") as generations:
        known = [await generations.refresh(id_) for id_ in ids]
    for generation in known:
        generation.require_service(settings.service_name)
        if generation.status not in {"failed", "refused", "unconfirmed"}:
            raise NothingSent(
                f"Nothing was sent, nothing was paid: generation {generation.id} is {generation.status}. "
                f"`flux-nodes wait {generation.id}` collects it, free of charge."
            )
    return known


def _make_sure(asked: Sequence[Generation], *, yes: bool) -> None:
    """Tell what may be paid twice, and ask. Raises NothingSent unless the answer is yes."""
    for generation in asked:
        say(f"{generation.id}: {risk(generation)}")
    if yes:
        return
    if not is_terminal(sys.stdin):
        raise NothingSent("Nothing was sent, nothing was paid: there is no terminal to ask on. Accept it with --yes.")
    if not click.confirm("Send again?" if len(asked) == 1 else f"Send all {len(asked)} again?", err=True):
        raise NothingSent("Nothing was sent, nothing was paid.")


async def _retry(
    settings: Settings,
    asked: Sequence[Generation],
    under_way: list[str],
    shown: Progress,
    *,
    seconds: float | None,
    delivery: Delivery,
) -> list[Outcome]:
    from ...core.generations import Generations
    from ..collect import collect, start_each

    async with Generations.open(settings, door="terminal") as generations:
        starts = [partial(generations.again, generation.id) for generation in asked]
        started = [outcome async for outcome in start_each(starts, under_way)]
        ids = [outcome.id for outcome in started if outcome.id is not None]
        ended = await collect(generations, ids, seconds=seconds, delivery=delivery, progress=shown, under_way=under_way)
        return [*ended, *(outcome for outcome in started if outcome.id is None)]
