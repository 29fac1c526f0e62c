"""Running a coroutine so that Ctrl-C ends it gently."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from .exits import Interrupted

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

Answer = TypeVar("Answer")


def carry_out(work: Coroutine[Any, Any, Answer], *, under_way: Collection[str] = ()) -> Answer:
    """Run a coroutine to its end. Raises Interrupted, with the ids that are under way at that moment, on Ctrl-C."""
    try:
        return asyncio.run(_until_ctrl_c(work))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise Interrupted(under_way) from None


async def _until_ctrl_c(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Let Ctrl-C cancel this work and nothing else; a second one ends everything at once.

    Python 3.10 would end every task of the loop, a request that is on its way among them, and its id would be lost.
    """
    task = asyncio.ensure_future(work)
    if threading.current_thread() is not threading.main_thread():
        return await task
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)

    def cancel(number: int, frame: object) -> None:
        del number, frame
        signal.signal(signal.SIGINT, before)
        loop.call_soon_threadsafe(task.cancel)

    signal.signal(signal.SIGINT, cancel)
    try:
        return await task
    finally:
        signal.signal(signal.SIGINT, before)
