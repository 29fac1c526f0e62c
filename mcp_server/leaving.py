"""Ends a server by a signal, as hosts of assistants do: what may be paid is heard out first."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_server.carriage import Carrier

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
    leaving: list[asyncio.Task[None]] = []

    def leave(number: int, frame: object) -> None:
        del frame
        signal.signal(number, signal.SIG_DFL)
        loop.call_soon_threadsafe(lambda: leaving.append(loop.create_task(_left(carrier, number))))

    before = {each: signal.signal(each, leave) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


async def _left(carrier: Carrier, number: int) -> None:
    await carrier.aclose()
    signal.raise_signal(number)
