"""Ends a server by a signal, as hosts of assistants do: what may be paid is heard out first."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flux_nodes.core.signals import on_ending_signal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_server.carriage import Carrier


@contextmanager
def heard_out(carrier: Carrier) -> Iterator[None]:
    """Let a signal end the process once the submits under way have their answers; the same again ends it at once.

    Another does not: a host without patience sends SIGTERM soon after SIGINT. The process cannot end by returning:
    a thread of it waits for the client's next line. Must be called in a running event loop; outside the main thread,
    where no signal comes, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    leaving: dict[int, asyncio.Task[None] | None] = {}

    def leave(number: int) -> None:
        if number in leaving:
            _end(number)
        leaving[number] = None
        loop.call_soon_threadsafe(lambda: leaving.update({number: loop.create_task(_left(carrier, number))}))

    with on_ending_signal(leave):
        yield


async def _left(carrier: Carrier, number: int) -> None:
    await carrier.aclose()
    _end(number)


def _end(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def hang_up_as_terminate() -> None:
    """Let SIGHUP end a server over HTTP as SIGTERM does, which that server hears out; it does not know SIGHUP."""
    number = getattr(signal, "SIGHUP", None)  # not on Windows
    if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGTERM))
