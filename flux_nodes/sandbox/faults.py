"""Faults on demand: what may go wrong, where, how often."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

Where = Literal["submit", "fetch", "fetch-many", "account", "image", "webhook"]
"""The step that goes wrong: one of the four endpoints, the image hosting, or a webhook call."""

Kind = Literal[
    # a reply other than the right one
    "refuse",
    "html",
    "empty",
    "not-json",
    "redirect",
    # a connection that fails
    "lost-before",
    "lost-after",
    "reset",
    "slow",
    "drip",
    "continue",
    "garbled",
    # a reply that says more than it should, or in an odd way
    "errors",
    "half-emoji",
    "deep",
    "unended",
    "numeric-id",
    "long-id",
    # an image that is not right
    "missing",
    "truncated",
    "huge",
    "endless",
    "not-image",
    "wrong-format",
    "bomb",
    # a task that does not finish well
    "fail",
    "stuck",
    "credits",
    # a webhook that is not right
    "twice",
    "forged",
]

_ANY_REPLY: frozenset[Kind] = frozenset(
    {
        *("refuse", "html", "empty", "not-json", "redirect"),
        *("lost-before", "lost-after", "reset", "slow", "drip", "continue", "garbled"),
    }
)
_JSON_REPLY: frozenset[Kind] = frozenset({"errors", "half-emoji", "deep", "unended"})
ID_KINDS: frozenset[Kind] = frozenset({"numeric-id", "long-id"})
"""Faults of the task id that a submit is answered with."""

IMAGE_KINDS: frozenset[Kind] = frozenset(
    {"missing", "truncated", "huge", "endless", "not-image", "wrong-format", "bomb"}
)
"""Faults of the picture itself."""

TASK_KINDS: frozenset[Kind] = frozenset({"fail", "stuck"})
"""Faults of the task itself: the submit is accepted, and the task ends badly or never."""

KINDS: dict[Where, frozenset[Kind]] = {
    "submit": _ANY_REPLY | _JSON_REPLY | ID_KINDS | TASK_KINDS | {"credits"},
    "fetch": _ANY_REPLY | _JSON_REPLY,
    "fetch-many": _ANY_REPLY | _JSON_REPLY,
    "account": _ANY_REPLY | _JSON_REPLY,
    "image": _ANY_REPLY | IMAGE_KINDS,
    "webhook": frozenset({"lost-before", "not-json", "twice", "forged"}),
}
"""Which kinds can be asked for where."""

KNOWN_MESSAGES = {"moderation": "Request Moderated", "content": "Content Moderated"}
"""Short names for the two refusals that upstream's moderation gives (apiframe wire notes, section 5)."""

_LONGEST_SLOW = 300.0


class FaultError(ValueError):
    """A fault was asked for that cannot be; the text says what can."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong at one step.

    Attributes:
        where: The step.
        kind: What goes wrong; `KINDS` tells which kinds a step can have.
        times: How many requests it spoils; None is all of them.
        skip: How many matching requests pass unharmed first.
        match: Only requests for a task whose prompt contains this text.
        status: The HTTP status of `refuse` (400 to 599, default 500), `redirect` (default 302), `html` (default 502),
            `empty` and `not-json` (default 200). A reply of 200 to 299 comes after the step was done (a submit is
            accepted and charged); any other comes instead of it.
        body: The text that `refuse` replies with; the default is what the service sends with that status.
        retry_after: Seconds in a `Retry-After` header.
        retry_as: The header's form: a number of seconds, or an HTTP date.
        message: Why a task fails; `moderation` and `content` stand for upstream's own words. The words of `errors`.
        seconds: How long `slow` takes over its reply, 0 to 300 (default 1); how long `drip` rests between two bytes.
        location: The address that `redirect` points to.
        size: Bytes that `huge` declares or `endless` ends at, pixels a side of `bomb`, levels of `deep`, or characters
            of `long-id`.

    Raises:
        FaultError: The step cannot have that kind, or a number is out of range.
    """

    where: Where
    kind: Kind
    times: int | None = 1
    skip: int = 0
    match: str | None = None
    status: int | None = None
    body: str | None = None
    retry_after: float | None = None
    retry_as: Literal["seconds", "date"] = "seconds"
    message: str | None = None
    seconds: float | None = None
    location: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        _check_place(self)
        _check_numbers(self)
        _check_texts(self)

    @property
    def reason(self) -> str:
        """Why a task fails, in the words that the service would send."""
        text = self.message or "moderation"
        return KNOWN_MESSAGES.get(text, text)


class FaultBook:
    """The faults that are still to happen. Safe to write from one thread while another serves."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = [_Waiting(fault) for fault in faults]

    def add(self, fault: Fault) -> None:
        """Append a fault; faults for one step happen in the order in which they were added."""
        with self._lock:
            self._waiting.append(_Waiting(fault))

    def clear(self) -> None:
        """Forget every fault."""
        with self._lock:
            self._waiting.clear()

    @property
    def pending(self) -> list[Fault]:
        """The faults that can still happen, in order."""
        with self._lock:
            return [waiting.fault for waiting in self._waiting]

    def take(self, where: Where, prompts: Iterable[str] = ()) -> Fault | None:
        """Return the fault that spoils this request, and count it; None lets the request pass."""
        texts = list(prompts)
        with self._lock:
            for waiting in self._waiting:
                if waiting.concerns(where, texts) and waiting.strikes():
                    self._waiting = [each for each in self._waiting if each.left != 0]
                    return waiting.fault
        return None


class _Waiting:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.skip = fault.skip
        self.left = fault.times

    def concerns(self, where: Where, prompts: list[str]) -> bool:
        match = self.fault.match
        return self.fault.where == where and (match is None or any(match in prompt for prompt in prompts))

    def strikes(self) -> bool:
        if self.skip:
            self.skip -= 1
            return False
        if self.left is not None:
            self.left -= 1
        return True


def _check_place(fault: Fault) -> None:
    if fault.where not in KINDS:
        msg = f"There is no step {fault.where!r}. Give one of: {', '.join(get_args(Where))}."
        raise FaultError(msg)
    if fault.kind not in KINDS[fault.where]:
        allowed = ", ".join(kind for kind in get_args(Kind) if kind in KINDS[fault.where])
        msg = f"{fault.where} cannot have the fault {fault.kind!r}. Give a status such as 429, or one of: {allowed}."
        raise FaultError(msg)
    if fault.kind == "redirect" and not fault.location:
        msg = "A redirect needs location=, the address it points to."
        raise FaultError(msg)
    if fault.where == "account" and fault.match is not None:
        msg = "An account request has no prompt to match. Leave match out."
        raise FaultError(msg)


_RANGES: dict[str, tuple[float, float]] = {
    "times": (1, math.inf),
    "skip": (0, math.inf),
    "retry_after": (0, math.inf),
    "seconds": (0, _LONGEST_SLOW),
}
_LARGEST_BOMB = 65_535
_STATUSES = {"redirect": (300, 399), "html": (200, 599), "refuse": (400, 599)}


def _check_numbers(fault: Fault) -> None:
    for name, (low, high) in _RANGES.items():
        _check_number(name, getattr(fault, name), low, high, whole=name in {"times", "skip"})
    _check_number("size", fault.size, 1, _LARGEST_BOMB if fault.kind == "bomb" else math.inf, whole=True)
    _check_number("status", fault.status, *_STATUSES.get(fault.kind, (100, 599)), whole=True)


def _check_number(name: str, value: object, low: float, high: float, *, whole: bool) -> None:
    if value is None:
        return
    right_type = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not right_type or not low <= float(str(value)) <= high:
        limit = f"from {low:g} to {high:g}" if high < math.inf else f"of {low:g} or more"
        msg = f"{name} must be a {'whole ' if whole else ''}number {limit}, not {value!r}."
        raise FaultError(msg)


def _check_texts(fault: Fault) -> None:
    for name in ("match", "body", "message", "location"):
        value = getattr(fault, name)
        if value is not None and not isinstance(value, str):
            msg = f"{name} must be text, not {value!r}."
            raise FaultError(msg)
    if fault.retry_as not in {"seconds", "date"}:
        msg = f"retry_as must be 'seconds' or 'date', not {fault.retry_as!r}."
        raise FaultError(msg)
