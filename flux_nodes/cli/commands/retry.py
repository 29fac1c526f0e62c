"""`flux-nodes retry`: send again, once, what failed, was refused, or of which nobody knows; it may be paid twice."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from ...core.errors import NothingSent
from ...core.generation import SENT_AGAIN
from ..complaint import hint_sandbox
from ..delivery import prepare_folder
from ..explanation import risk, risk_of_another, sent_again
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

    Asked = tuple[Generation, Sequence[Generation]]


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Send without asking: what may be paid twice is accepted.")
@click.option("--fresh", is_flag=True, help="Send and pay once more what was sent again before.")
@delivery_options
@timeout_option
@json_option
@with_service
def retry(
    *,
    ids: tuple[str, ...],
    yes: bool,
    fresh: bool,
    delivery: Delivery,
    timeout: float | None,
    as_json: bool,
    settings: Settings,
) -> int:
    """Send generations again, after asking.

    For those that failed, were refused, or are unconfirmed. Tells first what may be paid twice; without a terminal to
    ask on, --yes is needed. The new generations are waited for, and their images copied to the output folder. What
    was sent again before is not sent once more: that resend is collected, free of charge.
    """
    from ..ctrl_c import carry_out

    asked = carry_out(_known(settings, list(dict.fromkeys(ids))))
    _make_sure(asked, yes=yes, fresh=fresh)
    prepare_folder(delivery.folder)
    under_way: list[str] = []
    with progress(silent=as_json) as shown:
        work = _retry(settings, asked, under_way, shown, fresh=fresh, seconds=timeout, delivery=delivery)
        outcomes = carry_out(work, under_way=under_way)
    unsent = len(asked) - len(outcomes)
    if unsent:
        say(f"{unsent} more were not sent, after what follows.")
    return report(outcomes, as_json=as_json, several=len(asked) > 1)


async def _known(settings: Settings, ids: Sequence[str]) -> list[Asked]:
    """Look all of them up before any is sent, with all that each was sent again as before.

    Raises NothingSent for one that is not to be sent, or not there.
    """
    from ...core.generations import Generations

    async with Generations.open(settings, door="terminal") as generations:
        known = [await generations.refresh(id_) for id_ in ids]
        before = [await generations.resends(generation.id) for generation in known]
    for generation in known:
        generation.require_service(settings.service_name)
        if generation.status not in SENT_AGAIN:
            raise NothingSent(
                f"Nothing was sent, nothing was paid: generation {generation.id} is {generation.status}. "
                f"`flux-nodes wait {generation.id}` collects it, free of charge."
            )
    return list(zip(known, before, strict=True))


def _make_sure(asked: Sequence[Asked], *, yes: bool, fresh: bool) -> None:
    """Tell what may be paid twice, and ask. Raises NothingSent unless the answer is yes."""
    told = [f"{generation.id}: {_told(generation, before, fresh=fresh)}" for generation, before in asked]
    for line in told:
        say(line)
    hint_sandbox(told)
    if yes or not (fresh or any(not before for _, before in asked)):
        return
    if not is_terminal(sys.stdin):
        raise NothingSent("Nothing was sent, nothing was paid: there is no terminal to ask on. Accept it with --yes.")
    if not click.confirm("Send again?" if len(asked) == 1 else f"Send all {len(asked)} again?", err=True):
        raise NothingSent("Nothing was sent, nothing was paid.")


def _told(generation: Generation, before: Sequence[Generation], *, fresh: bool) -> str:
    if not before:
        return risk(generation)
    return risk_of_another(generation, before) if fresh else sent_again(before)


async def _retry(
    settings: Settings,
    asked: Sequence[Asked],
    under_way: list[str],
    shown: Progress,
    *,
    fresh: bool,
    seconds: float | None,
    delivery: Delivery,
) -> list[Outcome]:
    from ...core.generations import Generations
    from ..collect import collect, marked, start_each

    async with Generations.open(settings, door="terminal") as generations:
        starts = [partial(generations.again, generation.id, fresh=fresh) for generation, _ in asked]
        started = [outcome async for outcome in start_each(starts, under_way)]
        ids = list(dict.fromkeys(outcome.id for outcome in started if outcome.id is not None))
        reused = {found.id for outcome in started if (found := outcome.generation) and found.reused}
        ended = await collect(generations, ids, seconds=seconds, delivery=delivery, progress=shown, under_way=under_way)
        by_id = {outcome.id: marked(outcome, reused) for outcome in ended}
        return [outcome if outcome.id is None else by_id[outcome.id] for outcome in started]
