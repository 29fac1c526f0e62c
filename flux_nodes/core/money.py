"""What a generation without an image may have cost, in one sentence for every door."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .generation import Generation

UNPAID = "Nothing was paid."

LOOK = "Compare the credits that are left (`flux-nodes account`) with what you expect before you ask once more."
"""What to do before sending again what may be paid already."""


def price(credits_: float | None) -> str:
    """Say how many credits: "1 credit"; "credits" where the number is not known."""
    if credits_ is None:
        return "credits"
    return f"{credits_:g} credit{'' if credits_ == 1 else 's'}"


def left(credits_: float) -> str:
    """Say how many credits are left: "1 credit is left"."""
    return f"{price(credits_)} {'is' if credits_ == 1 else 'are'} left"


def money(generation: Generation) -> str:
    """Say what a failed, refused or unconfirmed generation may have cost; "" for any other."""
    if generation.status == "refused":
        return UNPAID
    if generation.status == "unconfirmed":
        return f"This may have cost {price(generation.credits)}, or nothing."
    return _of_failed(generation) if generation.status == "failed" else ""


def _of_failed(generation: Generation) -> str:
    from .settings import PRETENDED  # where there is a generation, what this loads is loaded

    cost = price(generation.credits)
    if generation.service == PRETENDED:
        return f"{UNPAID} It is the sandbox; the real service might have charged {cost}."
    return f"This may have cost {cost}: it was accepted, and whether the service gives it back is unknown."


def says_unpaid(words: str) -> bool:
    """Tell whether words say already that nothing was paid."""
    return UNPAID.rstrip(".").lower() in words.lower()
