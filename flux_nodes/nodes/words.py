"""What stands on a node: how far its generations are, and what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.money import price as price

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..core.generation import Generation, Status

_STATES: dict[Status, str] = {
    "intent": "sending",
    "submitted": "waiting",
    "running": "running",
    "finished": "fetching",
    "stored": "stored",
    "failed": "failed",
    "refused": "failed",
    "unconfirmed": "unconfirmed",
}
_FREE = "reused, free"
_UNOPENED = "stored, cannot be opened here"
_PRETENDED = "sandbox, free"


def is_pretended(service: str) -> bool:
    """Tell whether a service is the sandbox, whose credits are nobody's."""
    from ..core.settings import PRETENDED  # where there is a generation, what this loads is loaded

    return service == PRETENDED


def in_words(generations: Sequence[Generation]) -> str:
    """Say how far generations are: of one "40 %", of several "2 of 4 stored · 40 %" (the mean of those that run)."""
    if len(generations) == 1:
        return _state(generations[0])
    done = [generation for generation in generations if generation.status == "stored"]
    lost = sum(generation.settled for generation in generations) - len(done)
    told = [
        f"{len(done)} of {len(generations)} stored",
        f"{lost} failed" if lost else "",
        _mean(generation.percentage for generation in generations if generation.status == "running"),
        _FREE if len(done) == len(generations) and all(generation.reused for generation in done) else "",
    ]
    return " · ".join(words for words in told if words)


def _state(generation: Generation) -> str:
    if generation.status == "running" and generation.percentage is not None:
        return f"{generation.percentage} %"
    if generation.is_unopened:
        return _UNOPENED
    if generation.status == "stored" and generation.reused:
        return _FREE
    return _STATES[generation.status]


def _mean(percentages: Iterable[int | None]) -> str:
    known = [percentage or 0 for percentage in percentages]
    return f"{round(sum(known) / len(known))} %" if known else ""


def summary(generations: Sequence[Generation], *, collected: bool = False) -> str:
    """Say what came of stored generations: "flux-pro-1.1 1024×768 · 1 credit · g-xxx".

    What the sandbox made is free. What is merely `collected` costs nothing now, whatever was paid when it was started.
    """
    count = f"{len(generations)} images · " if len(generations) > 1 else ""
    kinds = dict.fromkeys(" ".join(filter(None, (each.model, each.pixels))) for each in generations)
    cost = f"collected, free · {_ids(generations)}" if collected else _cost(generations)
    return f"{count}{', '.join(kinds)} · {cost}"


def submitted(generations: Sequence[Generation]) -> str:
    """Say what was started: "flux-pro-1.1 submitted · 1 credit · g-xxx"."""
    count = f"{len(generations)} generations · " if len(generations) > 1 else ""
    kinds = dict.fromkeys(f"{each.model} {each.status if each.reused else 'submitted'}" for each in generations)
    return f"{count}{', '.join(kinds)} · {_cost(generations)}"


def _cost(generations: Sequence[Generation]) -> str:
    """Say what generations cost, and name them; one that two parts share is one."""
    apart = {generation.id: generation for generation in generations}.values()
    new = [generation for generation in apart if not generation.reused]
    paid = [generation for generation in new if not is_pretended(generation.service)]
    free = len(apart) - len(new)
    told = [
        price(sum(generation.credits or 0 for generation in paid)) if paid else "",
        _PRETENDED if len(paid) < len(new) else "",
        (_FREE if free == len(apart) else f"{free} {_FREE}") if free else "",
        _ids(generations),
    ]
    return " · ".join(words for words in told if words)


def _ids(generations: Sequence[Generation]) -> str:
    return " ".join(dict.fromkeys(generation.id for generation in generations))
