"""`flux-nodes generate`: one or more images from words."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ..delivery import prepare_folder
from ..options import (
    SectionedCommand,
    catalog_options,
    catalog_values,
    delivery_options,
    json_option,
    timeout_option,
)
from ..progress import progress
from ..report import report
from ..screen import Column, is_terminal, say, write_rows
from ..service import with_service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...core.generation import Generation
    from ...core.request import ImagineRequest
    from ...core.settings import Settings
    from ..collect import Outcome
    from ..delivery import Delivery
    from ..progress import Progress

_MOST = 100
_STARTED = (Column("id"), Column("status", only="terminal"))


@click.command(cls=SectionedCommand)
@click.argument("prompt")
@click.option(
    "--count", type=click.IntRange(1, _MOST), default=1, help="How many images; each costs.", show_default=True
)
@delivery_options
@click.option(
    "--fresh",
    is_flag=True,
    help="Pay again even where the same picture, with its seed, is stored or under way already.",
)
@click.option("--no-wait", is_flag=True, help="Return as soon as they are accepted; `flux-nodes wait` collects them.")
@timeout_option
@json_option
@with_service
@catalog_options
def generate(
    *,
    prompt: str,
    count: int,
    delivery: Delivery,
    fresh: bool,
    no_wait: bool,
    timeout: float | None,
    as_json: bool,
    settings: Settings,
    **given: Any,
) -> int:
    """Generate images from words.

    PROMPT is a text in quotes; - reads it from standard input.

    With --seed and --count the seeds count up from the one given. A picture that was made before with this seed is
    taken from the journal, free of charge. Each image file carries its graph: ComfyUI opens it, and `flux-nodes run`
    runs it again. Nothing in the output folder is overwritten.
    """
    from ..ctrl_c import carry_out

    requests = _requests({**given, "prompt": _from_stdin() if prompt == "-" else prompt}, count)
    if not no_wait:
        prepare_folder(delivery.folder)
    under_way: list[str] = []
    with progress(silent=as_json or no_wait) as shown:
        work = _generate(
            settings, requests, under_way, shown, fresh=fresh, wait=not no_wait, seconds=timeout, delivery=delivery
        )
        outcomes = carry_out(work, under_way=under_way)
    if no_wait and not as_json:
        _show_started(outcomes)
    code = report(outcomes, as_json=as_json, several=count > 1)
    unsent = len(requests) - len(outcomes)
    if unsent:
        say(f"Not sent after that: {unsent} more.")
    return code


def _requests(given: dict[str, Any], count: int) -> list[ImagineRequest]:
    from ...core.request import ImagineRequest

    values = catalog_values(given)
    first = ImagineRequest(**values)
    if first.seed is None:
        return [first.seeded() for _ in range(count)]
    return [first, *(ImagineRequest(**{**values, "seed": first.seed + more}) for more in range(1, count))]


def _from_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise click.BadParameter("standard input is not UTF-8 text.", param_hint="PROMPT") from error
    except OSError as error:
        raise click.BadParameter(f"standard input cannot be read: {error.strerror}.", param_hint="PROMPT") from error


async def _generate(
    settings: Settings,
    requests: Sequence[ImagineRequest],
    under_way: list[str],
    shown: Progress,
    *,
    fresh: bool,
    wait: bool,
    seconds: float | None,
    delivery: Delivery,
) -> list[Outcome]:
    from ...core.generations import Generations
    from ..collect import collect, marked, start_each

    async with Generations.open(settings, door="terminal") as generations:
        started = []
        limit = settings.timeout if seconds is None else seconds
        until = time.monotonic() + limit
        starts = [partial(generations.start, request, fresh=fresh, seconds=limit) for request in requests]
        async for outcome in start_each(starts, under_way):
            started.append(outcome)
            if outcome.generation is not None:
                _show_start(outcome.generation, shown)
        if not wait:
            return started
        ids = [outcome.id for outcome in started if outcome.id is not None]
        left = max(until - time.monotonic(), 0.0)
        ended = await collect(generations, ids, seconds=left, delivery=delivery, progress=shown, under_way=under_way)
        reused = {found.id for outcome in started if (found := outcome.generation) and found.reused}
        return [*(marked(outcome, reused) for outcome in ended), *(one for one in started if one.id is None)]


def _show_start(generation: Generation, shown: Progress) -> None:
    if generation.reused:
        shown.note(_reused(generation))
    shown.show(generation)


def _reused(generation: Generation) -> str:
    return f"{generation.id}: answered from the journal, free (--fresh pays for a new one)"


def _show_started(outcomes: Sequence[Outcome]) -> None:
    accepted = [outcome.generation for outcome in outcomes if outcome.generation is not None]
    for generation in accepted:
        if generation.reused:
            say(_reused(generation))
    if accepted:
        write_rows(_STARTED, [(generation.id, generation.status) for generation in accepted])
    if accepted and is_terminal(sys.stdout):
        flag = " --sandbox" if click.get_current_context().obj.sandbox else ""
        say(f"Collect with: flux-nodes wait {' '.join(generation.id for generation in accepted)}{flag}")
