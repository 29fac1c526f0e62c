"""Work that must not be cut in half: a cancellation waits until it has ended, and then goes on."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from anyio import CancelScope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any, ParamSpec

    Arguments = ParamSpec("Arguments")

Answer = TypeVar("Answer")


async def to_the_end(work: Awaitable[Answer], *, stop: asyncio.Event | None = None) -> Answer:
    """Await work to its end even when cancelled meanwhile; the cancellation is passed on after that.

    `stop` is set then, for work that can end sooner without being cut in half.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if stop is not None:
            stop.set()
        # A scope of anyio (an ASGI server's, an MCP server's) would cancel this wait as well, and again.
        with CancelScope(shield=True):
            await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen: the cancellation goes first
        raise


async def blocking(function: Callable[Arguments, Answer], *args: Arguments.args, **options: Arguments.kwargs) -> Answer:
    """Call something that blocks (the journal, the store) off the event loop, to its end even when cancelled."""
    return await to_the_end(asyncio.to_thread(function, *args, **options))


async def surely(function: Callable[Arguments, Answer], *args: Arguments.args, **options: Arguments.kwargs) -> Answer:
    """Do what `blocking` does, also while the interpreter ends: it starts nothing in threads then."""
    call = partial(function, *args, **options)
    try:
        work = asyncio.get_running_loop().run_in_executor(None, call)
    except RuntimeError:
        return call()
    return await to_the_end(work)


class Shared(Generic[Answer]):
    """Work that several wait for, done once. It is cancelled when the last of them has gone.

    `over` once it has ended or is being cancelled: nobody else may begin to wait for it then.
    """

    def __init__(self, work: Coroutine[Any, Any, Answer]) -> None:
        self._task = asyncio.ensure_future(work)
        self._waiting = 0
        self._given_up = False

    @property
    def over(self) -> bool:
        """Whether this can no longer be waited for."""
        return self._given_up or self._task.done()

    async def result(self) -> Answer:
        """Wait for the work to end. Being cancelled here does not end it for the others."""
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting and not self._task.done():
                self._given_up = True
                self._task.cancel()
                await asyncio.wait([self._task])
