"""Errors in ComfyUI's terms: what happened and what it means for money, in few words, and then what to do here.

There is room for two lines under a node; all of it stands in ComfyUI's own dialog. What the core's sentences say for
a terminal is left out. No wording of ours may hold the phrases that make ComfyUI's frontend ask to sign in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import singledispatch
from http import HTTPStatus
from typing import TYPE_CHECKING

from ..core.errors import (
    BudgetReached,
    Faulty,
    FluxNodesError,
    GenerationFailed,
    ImageUnavailable,
    KeyRefused,
    MissingKey,
    NothingSent,
    OtherService,
    PartlyFailed,
    ServiceError,
    ServiceRefused,
    ServiceUnreachable,
    StillRunning,
    SubmitUnconfirmed,
    TooManyRequests,
    UnknownGeneration,
)
from ..core.money import UNPAID, money, price, says_unpaid
from ..nodes.words import is_pretended
from .words import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..core.generation import Generation

SETTINGS = "Settings → Flux Nodes"

_LONGEST = 300
"""Characters of the service's own words. The journal has all of them; what follows, money and way out, is not cut."""

_OF_THE_TERMINAL = re.compile(r"\s*[^.;]*`flux-nodes[^`]*`[^.;]*[.;]?")
"""A clause that names one of our commands."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """The run of a node that came to nothing, and its generations as they were last seen.

    It `sends` what may be paid; `fresh` says that it does so again at each run, whatever is there already. What
    collects `alone`, in the background, is no node that a person could run again.
    """

    sends: bool = False
    fresh: bool = False
    alone: bool = False
    generations: Sequence[Generation] = ()


def guided(error: BaseException, run: Run) -> BaseException:
    """Return the error to raise in ComfyUI, which says what it means there and what to do there."""
    if isinstance(error, FluxNodesError):
        happened, way = _told(error, run)
        error.args = (re.sub(" +", " ", f"{happened} {way}").strip(),)
        # Its sentence says all; ComfyUI shows the way it took through our code to a person, and in the console.
        return error.with_traceback(None)
    return error


@singledispatch
def _told(error: FluxNodesError, run: Run) -> tuple[str, str]:
    """Return what happened, money included, and what to do."""
    del run
    return _plain(error), ""


@_told.register
def _(error: NothingSent, run: Run) -> tuple[str, str]:
    return _with_unpaid(_plain(error), run), ""


@_told.register
def _(error: Faulty, run: Run) -> tuple[str, str]:
    return _with_unpaid(" ".join(str(fault) for fault in error.faults), run), ""


@_told.register
def _(error: MissingKey, run: Run) -> tuple[str, str]:
    del error
    way = (
        f"Store one in {SETTINGS}, or switch the sandbox on there: it draws pictures without a key, free. "
        "(APIFRAME_API_KEY in the environment of ComfyUI does as well.)"
    )
    return _with_unpaid("No API key is set.", run), way


@_told.register
def _(error: BudgetReached, run: Run) -> tuple[str, str]:
    happened = (
        f"The day's budget is reached: {price(error.budget)} a day (UTC), {error.spent:g} are spent or under way, "
        f"and this costs {error.cost:g}."
    )
    way = "Run it tomorrow, or start ComfyUI with a higher FLUX_NODES_BUDGET (or budget in the settings file)."
    return _with_unpaid(happened, run), way


@_told.register
def _(error: UnknownGeneration, run: Run) -> tuple[str, str]:
    del run
    return _plain(error), "Copy an id from the FLUX sidebar, or choose one in FLUX Load Generation."


@_told.register
def _(error: OtherService, run: Run) -> tuple[str, str]:
    again = "collect again" if run.alone else "run again"
    if is_pretended(error.service):
        return f"{error.id} was made on the sandbox, which is off.", f"Switch it on in {SETTINGS}, and {again}."
    if is_pretended(error.set_to):
        return f"{error.id} was not made on the sandbox, which is on.", f"Switch it off in {SETTINGS}, and {again}."
    way = f"Start ComfyUI with APIFRAME_BASE_URL={error.service} to collect it."
    return f"{error.id} belongs to {error.service}, and ComfyUI speaks to {error.set_to}.", way


@_told.register
def _(error: ServiceError, run: Run) -> tuple[str, str]:
    return _with_money(_of_the_service(error), error), _collecting(run)


@_told.register
def _(error: ServiceRefused, run: Run) -> tuple[str, str]:
    words = "; ".join(error.messages)
    said = shortened(words, _LONGEST)
    happened = f'The service refused it ({error.status}): "{said}".' if words else _of_the_service(error)
    if not error.unpaid:
        return happened, _collecting(run)
    if error.status == HTTPStatus.PAYMENT_REQUIRED or "credit" in words.lower():
        return _with_money(happened, error), f"Get credits at APIFRAME, or switch the sandbox on in {SETTINGS}: free."
    return _with_money(happened, error), "Change what it names, and run again." if words else ""


@_told.register
def _(error: KeyRefused, run: Run) -> tuple[str, str]:
    happened = f"The service does not know the API key ({error.status})."
    return _with_money(happened, error), f"Store another in {SETTINGS}, and run again. {_collecting(run)}".strip()


@_told.register
def _(error: TooManyRequests, run: Run) -> tuple[str, str]:
    return _with_money(_of_the_service(error), error), f"Wait a minute, and run again. {_collecting(run)}".strip()


@_told.register
def _(error: ServiceUnreachable, run: Run) -> tuple[str, str]:
    way = "Check the internet connection (and the proxy, if there is one), and run again."
    return _with_money("The service does not answer.", error), f"{way} {_collecting(run)} {_plain(error)}"


@_told.register
def _(error: SubmitUnconfirmed, run: Run) -> tuple[str, str]:
    sent = _known(error.generation_id, run)
    if sent is None and run.sends:
        before = f"The same was sent before ({error.generation_id}), and the answer was lost: it may be paid already."
        return f"{before} Nothing was sent now.", _SENDING_AGAIN
    happened = f"The service's answer was lost: this may have cost {_price(sent)}, or nothing."
    if not run.sends:
        return happened, f"FLUX Account tells what is left. {_plain(error)}"
    again = "Running this graph again sends it again, since Pay again is on." if run.fresh else _SENDING_AGAIN
    return happened, f"{again} {_plain(error)}"


_SENDING_AGAIN = (
    "FLUX Account tells what is left. Running this graph again does not send it again: change the seed, or switch "
    "Pay again on for one run (which may pay a second time)."
)


@_told.register
def _(error: GenerationFailed, run: Run) -> tuple[str, str]:
    failed = _known(error.generation_id, run)
    if failed is None:
        return _plain(error), ""
    said = f'The service says "{shortened(failed.message or "failed", _LONGEST)}".'
    again = f"Running the same again sends it and pays again: change the prompt first. ({failed.id})"
    return (
        f"{said} {money(replace(failed, status='failed'))}",
        again if run.sends else f"Change the prompt, and generate anew. ({failed.id})",
    )


@_told.register
def _(error: ImageUnavailable, run: Run) -> tuple[str, str]:
    return f"{_plain(error)} It is made and paid.", _collecting(run)


@_told.register
def _(error: StillRunning, run: Run) -> tuple[str, str]:
    return "Still running at the service.", f"{_collecting(run)} ({' '.join(error.generation_ids)})"


@_told.register
def _(error: PartlyFailed, run: Run) -> tuple[str, str]:
    parts = {name: _told(part, run) for name, part in error.parts.items()}
    named: dict[str, list[str]] = {}
    for name, (happened, _) in parts.items():
        named.setdefault(happened, []).append(name)
    reasons = "\n".join(f"{', '.join(names)}: {happened}" for happened, names in named.items())
    ways = _apart(way for name, (_, way) in parts.items() if not isinstance(error.parts[name], GenerationFailed))
    count = len(error.errors) + len(error.stored)
    return f"{len(error.errors)} of {count} failed · {reasons}", "\n".join([*ways, _of_the_others(error, run)])


def _of_the_others(error: PartlyFailed, run: Run) -> str:
    """Say what becomes of those that did not fail, and of those that did, when the graph is run again."""
    kept = f"The others are kept: {' '.join(error.stored)}. " if error.stored else ""
    if run.fresh:
        return f"{kept}Pay again is on: running this graph again pays for all of them; the FLUX sidebar has them."
    if not run.sends:
        return kept.strip()
    free = "gives the others free, and " if error.stored else ""
    return f"{kept}Running this graph again {free}sends and pays only what is missing."


def _collecting(run: Run) -> str:
    """Say how what goes on at the service is had."""
    if not any(generation.task_id is not None and not generation.settled for generation in run.generations):
        return ""
    if run.fresh:
        return "What was started is not lost: Collect in the FLUX sidebar fetches it, free (running pays again)."
    if run.alone:
        return "It is not lost: Collect in the FLUX sidebar fetches it, free."
    return "What was started is not lost: run again, or Collect in the FLUX sidebar; both are free."


def _with_unpaid(happened: str, run: Run) -> str:
    return f"{happened} {UNPAID}" if run.sends and not says_unpaid(happened) else happened


def _with_money(happened: str, error: ServiceError) -> str:
    return f"{happened} {UNPAID}" if error.unpaid and not says_unpaid(happened) else happened


def _plain(error: FluxNodesError) -> str:
    """Return an error's own sentence, without what is for a terminal."""
    text = _OF_THE_TERMINAL.sub("", str(error)).strip(" ;")
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _of_the_service(error: ServiceError) -> str:
    """Return an error's own sentence, which may quote the service at length."""
    return shortened(_plain(error), _LONGEST)


def _known(id_: str | None, run: Run) -> Generation | None:
    return next((generation for generation in run.generations if generation.id == id_), None)


def _price(generation: Generation | None) -> str:
    return price(None if generation is None else generation.credits)


def _apart(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]
