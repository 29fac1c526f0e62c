"""Carries generations to their stored images in the background, whatever becomes of the calls that asked for them.

A client may cancel a call, time out or go away. The task here is the server's own: it goes on, and a later call finds
its generation by id.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from flux_nodes.core.errors import FluxNodesError, StillRunning

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from flux_nodes.core import Generation, Generations, ImagineRequest

LAST_WORDS = 10.0
"""How many seconds a submit that is under way may take to hear its answer when the server ends: it may be paid."""

PATIENCE = 20.0
"""How many seconds a watcher grants a submit at least: without its answer there is little to tell."""

_LOG = logging.getLogger("flux_nodes.mcp")


class Carriage:
    """One generation on its way, and what is known of it: `latest` is None until it is written down."""

    def __init__(
        self, moves: AsyncGenerator[Generation, None], latest: Generation | None = None, *, patience: float
    ) -> None:
        """Set off. Must be called in a running event loop."""
        self.latest = latest
        self._patience = patience
        self._is_stopped = False
        self._moved = asyncio.Event()
        self.task = asyncio.create_task(self._carry(moves))
        self.task.add_done_callback(self._ended)

    def stop(self) -> None:
        """Stop following, or hear out a submit that is under way. Once is enough: another cancellation cuts it off."""
        if not self._is_stopped:
            self._is_stopped = True
            self.task.cancel()

    async def watch(self, seconds: float) -> AsyncGenerator[Generation, None]:
        """Yield how it stands now and whenever it has moved, until it has arrived or `seconds` have passed.

        The first word comes as soon as it is written down, however short the wait: it has the id.

        Ending the watch ends nothing else. Raises the FluxNodesError that ended the carriage, if one did.
        """
        clock = asyncio.get_running_loop().time
        begun = clock()
        shown: Generation | None = None
        while True:
            moved, ended, latest = self._moved, self.task.done(), await self.stands()
            if latest is not shown:
                shown = latest
                yield shown
            elif ended:
                self._raise_what_ended_it()
                return
            else:
                allowed = seconds if latest.status != "intent" else max(seconds, self._patience)
                if not await _within(moved, begun + allowed - clock()):
                    return

    async def stands(self) -> Generation:
        """Return how it stands, once it is written down. Raises the FluxNodesError that kept it from that."""
        while (known := self.latest) is None:
            if self.task.done():
                self.task.result()
            await self._moved.wait()
        return known

    async def _carry(self, moves: AsyncGenerator[Generation, None]) -> None:
        async with aclosing(moves):
            async for moved in moves:
                self.latest = moved
                self._wake()

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            name = self.latest.id if self.latest else "not accepted"
            crash = None if isinstance(error, FluxNodesError) else error
            _LOG.warning("generation %s: %s", name, error, exc_info=crash)

    def _raise_what_ended_it(self) -> None:
        try:
            self.task.result()
        except StillRunning:
            return  # the server's own patience ended; the generation did not, and the next call carries it on


async def _within(moved: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(moved.wait(), max(seconds, 0.0))
    except TimeoutError:
        return False
    return True


class Carrier:
    """All carriages of one server."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._is_closing = False
        self._carriages: set[Carriage] = set()

    def start(self, generations: Generations, request: ImagineRequest, *, fresh: bool) -> Carriage:
        """Send a request and carry what comes of it. This is what costs."""
        return self._keep(Carriage(_started(generations, request, fresh=fresh), patience=self._patience))

    def follow(self, generations: Generations, known: Generation) -> Carriage:
        """Carry on a generation that somebody started and that is in no carriage here."""
        return self._keep(Carriage(generations.follow(known.id), known, patience=self._patience))

    def of(self, id_: str) -> Carriage | None:
        """Return the carriage that a generation is in, if any."""
        return next((one for one in self._carriages if one.latest is not None and one.latest.id == id_), None)

    async def aclose(self) -> None:
        """Stop following at once; a submit under way is heard out first, for LAST_WORDS at most. No other is begun."""
        self._is_closing = True
        for one in self._carriages:
            one.stop()
        if self._carriages:
            await asyncio.wait([one.task for one in self._carriages], timeout=LAST_WORDS)

    def _keep(self, carriage: Carriage) -> Carriage:
        if self._is_closing:
            carriage.stop()
        self._carriages.add(carriage)
        carriage.task.add_done_callback(lambda _: self._carriages.discard(carriage))
        return carriage


async def _started(
    generations: Generations, request: ImagineRequest, *, fresh: bool
) -> AsyncGenerator[Generation, None]:
    """Write down, send and follow; what is written down is told before it is sent."""
    intent = await generations.intend(request, fresh=fresh)
    yield intent
    if not intent.reused:
        yield await generations.send(intent, request)
    async with aclosing(generations.follow(intent.id)) as moves:
        async for moved in moves:
            yield replace(moved, reused=intent.reused)
