"""The signals that end a program. Every door hears out first what may be paid; a second signal ends it at once.

Those are SIGINT (Ctrl-C), SIGTERM, and SIGHUP, which comes when a terminal closes; on Windows SIGINT and SIGBREAK, as
which Python tells of Ctrl-Break and of a closing window. One that is ignored (`nohup`) stays ignored.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))

_ECHO = 0.5
"""Seconds in which a second SIGHUP is an echo of the first: a closing terminal sends one, and its shell another."""


_UNANSWERED: set[object] = set()


@contextmanager
def unanswered() -> Iterator[None]:
    """Note that the answer to a request that may be paid is awaited in this process."""
    token = object()
    _UNANSWERED.add(token)
    try:
        yield
    finally:
        _UNANSWERED.discard(token)


def awaits_answers() -> bool:
    """Tell whether this process awaits the answer to a request that may be paid."""
    return bool(_UNANSWERED)


@contextmanager
def on_ending_signal(leave: Callable[[int], None]) -> Iterator[None]:
    """Call `leave` with the number of each signal that would end the process, but for echoes of one.

    Only in the main thread. What the signals did before is restored at the end.
    """
    last: dict[int, float] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        before = last.get(number)
        last[number] = monotonic()
        if before is None or number != getattr(signal, "SIGHUP", None) or last[number] - before > _ECHO:
            leave(number)

    handlers = {each: signal.getsignal(each) for each in ENDING}
    taken = {each: before for each, before in handlers.items() if before is not signal.SIG_IGN}
    for each in taken:
        signal.signal(each, handle)
    try:
        yield
    finally:
        for each, before in taken.items():
            signal.signal(each, before)
