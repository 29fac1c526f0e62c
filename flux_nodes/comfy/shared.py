"""One `Generations` for all nodes that run at once: one set of connections, and one request that asks for them all."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from ..core.generations import Generations
from .background import heard_out
from .quiet import quiet
from .telling import tell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..core.generation import Generation
    from ..core.generations import Graph
    from ..core.request import ImagineRequest
    from ..core.settings import Settings
    from .words import Line

line: ContextVar[Line | None] = ContextVar("line", default=None)
"""The line under the node that the work at hand is for."""


class _TellingGenerations(Generations):
    """Generations whose intents are told at once: a run that is stopped while it sends knows what it has sent."""

    async def intend(self, request: ImagineRequest, *, fresh: bool = False, graph: Graph | None = None) -> Generation:
        """Do what `Generations.intend` does, and tell it."""
        intent = await super().intend(request, fresh=fresh, graph=graph)
        here = line.get()
        if here is not None:
            here.moved(intent)
        tell(intent)
        return intent

    async def send(self, intent: Generation, request: ImagineRequest, *, seconds: float | None = None) -> Generation:
        """Do what `Generations.send` does, also while ComfyUI ends."""
        with heard_out():
            return await super().send(intent, request, seconds=seconds)


class _Opening:
    """What several users share: opened by the first of them, closed by the last."""

    def __init__(self) -> None:
        self.users = 0
        self.turn = asyncio.Lock()
        self.stack = AsyncExitStack()
        self.generations: Generations | None = None


_openings: dict[tuple[asyncio.AbstractEventLoop, Settings], _Opening] = {}


@asynccontextmanager
async def shared(settings: Settings) -> AsyncIterator[Generations]:
    """Give the generations of these settings in this event loop. Raises InvalidSettings, StorageError."""
    key = (asyncio.get_running_loop(), settings)
    opening = _openings.setdefault(key, _Opening())
    opening.users += 1
    try:
        with quiet():
            async with opening.turn:
                if opening.generations is None:
                    opened = _TellingGenerations.open(settings, door="comfyui")
                    opening.generations = await opening.stack.enter_async_context(opened)
                generations = opening.generations
            yield generations
    finally:
        opening.users -= 1
        if not opening.users:
            del _openings[key]
            await opening.stack.aclose()
