"""In plain words: what a generation of which nobody knows may have cost, and how that is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.catalog import model
from ..core.generation import SENT_AGAIN
from ..core.money import money, price

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.generation import Generation
    from ..core.settings import Settings


def explanation(
    generation: Generation, settings: Settings, *, resends: Sequence[Generation] = ()
) -> list[tuple[str, str]]:
    """Return what to tell of a generation without an image, by title; of any other, nothing.

    `resends` are what it was sent again as; the last is the one that counts.
    """
    if generation.status == "intent":
        return _of_intent(generation)
    if generation.status == "unconfirmed":
        return _of_unconfirmed(generation, settings, resends)
    if generation.status in {"failed", "refused"}:
        return [("paid", money(generation))]
    return []


def named(generations: Sequence[Generation]) -> str:
    """Name generations with their status: "as g-a, which is failed; as g-b, which is stored"."""
    return "; ".join(f"as {one.id}, which is {one.status}" for one in generations)


def sent_again(resends: Sequence[Generation]) -> str:
    """Say what a generation was sent again as, and how the last of them is had."""
    id_ = resends[-1].id
    if resends[-1].status in SENT_AGAIN:
        return f"it was sent again already, {named(resends)}: `flux-nodes status {id_}`."
    return f"it was sent again already, {named(resends)}: `flux-nodes wait {id_}` collects that, free of charge."


def risk_of_another(generation: Generation, resends: Sequence[Generation]) -> str:
    """Say what `retry --fresh` would cost for a generation that was sent again before."""
    return f"{sent_again(resends)} Sending {generation.id} once more costs {_price(generation)} on top of that."


def risk(generation: Generation) -> str:
    """Say what sending a generation again would cost, and what may be paid twice by it."""
    price = f"Sending it again costs {_price(generation)}"
    if generation.status == "refused":
        return f"it was never accepted, and nothing was paid. {price}."
    if generation.status == "failed":
        return f"it failed at the service, which may have charged for it or not. {price}."
    return f"its answer was lost: it may be running and paid already. {price}, perhaps a second time."


def _price(generation: Generation) -> str:
    return price(model(generation.model).credits)


def _of_intent(generation: Generation) -> list[tuple[str, str]]:
    from ..core.process import Owner  # what it loads (sockets) is for whoever asks of such a generation

    owner = Owner.parse(generation.owner)
    if not owner.can_be_looked_up:
        return _of_intent_elsewhere(generation, owner.host)
    return [
        ("happened", "It is written down, and a program that still runs is sending it; the service has not answered."),
        ("paid", f"{_price(generation)}, as soon as the service has taken it."),
        ("to do", f"Nothing: `flux-nodes wait {generation.id}` follows it. If that program ends, it is unconfirmed."),
    ]


def _of_intent_elsewhere(generation: Generation, host: str) -> list[tuple[str, str]]:
    place = host or "its name is not known"
    happened = f"It was written down on another machine ({place}). Nobody knows from here whether that still sends it."
    do = (
        f"Look at the journal of that machine; `flux-nodes wait {generation.id}` follows it here. Without any word "
        "from there, it is unconfirmed ten minutes after it was started."
    )
    return [("happened", happened), ("paid", f"{_price(generation)} or nothing."), ("to do", do)]


def _of_unconfirmed(generation: Generation, settings: Settings, resends: Sequence[Generation]) -> list[tuple[str, str]]:
    id_ = generation.id
    webhook = (
        f"If the service took it, its webhook to {settings.webhook_host} settles it by itself."
        if settings.webhook_host
        else "The service cannot be asked about it: only its answer would have told the task id."
    )
    sending = f"`flux-nodes retry {id_}` sends it again after asking, and may pay a second time."
    if resends:
        sending = f"I{sent_again(resends)[1:]} `flux-nodes retry {id_}` does not pay once more; --fresh does."
    elif generation.seed is not None:
        sending = f"Until then the same picture is not sent by merely asking for it again; --fresh does. {sending}"
    return [
        ("happened", "It was sent, and no answer came: the service may have taken it, or never have seen it."),
        ("paid", f"{_price(generation)} or nothing: compare what `flux-nodes account` shows with what you expect."),
        ("to wait", webhook),
        (
            "to confirm",
            f"With its task id, from the service or a log: `flux-nodes confirm {id_} TASK`, free of charge.",
        ),
        ("to send", sending),
        ("to leave", "It costs nothing more: it is never sent again by itself."),
    ]
