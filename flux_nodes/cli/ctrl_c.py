"""Running a coroutine so that Ctrl-C, and the other signals that end a program, end it gently."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.signals import awaits_answers, on_ending_signal
from .exits import Interrupted
from .screen import say

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

Answer = TypeVar("Answer")


def carry_out(work: Coroutine[Any, Any, Answer], *, under_way: Collection[str] = ()) -> Answer:
    """Run a coroutine to its end.

    Raises Interrupted, with the ids that are under way at that moment, on a signal that ends a program.
    """
    signals: list[int] = []
    try:
        return asyncio.run(_until_signalled(work, signals))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise Interrupted(under_way, at_once=len(signals) > 1) from None


def _say_what_is_awaited() -> None:
    if awaits_answers():
        say("Waiting for the answer to a request that may be paid; the same signal again ends this at once.")


async def _until_signalled(work: Coroutine[Any, Any, Answer], signals: list[int]) -> Answer:
    """Let a signal cancel this work, which waits for the answer to a request; a second one ends that, too."""
    task = asyncio.ensure_future(work)
    if threading.current_thread() is not threading.main_thread():
        return await task
    loop = asyncio.get_running_loop()

    def cancel(number: int) -> None:
        signals.append(number)
        if len(signals) == 1:
            loop.call_soon_threadsafe(_say_what_is_awaited)  # not here: the signal may have interrupted a write
        loop.call_soon_threadsafe(task.cancel)

    with on_ending_signal(cancel):
        return await task
