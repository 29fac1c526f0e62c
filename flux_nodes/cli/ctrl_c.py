"""Running a coroutine so that Ctrl-C, and the other signals that end a program, end it gently."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.signals import on_ending_signal
from .exits import Interrupted

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


async def _until_signalled(work: Coroutine[Any, Any, Answer], signals: list[int]) -> Answer:
    """Let a signal cancel this work, which hears out a request that is on its way; a second one cuts that off, too."""
    task = asyncio.ensure_future(work)
    if threading.current_thread() is not threading.main_thread():
        return await task
    loop = asyncio.get_running_loop()

    def cancel(number: int) -> None:
        signals.append(number)
        loop.call_soon_threadsafe(task.cancel)

    with on_ending_signal(cancel):
        return await task
