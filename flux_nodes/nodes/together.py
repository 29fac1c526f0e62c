"""Generations that a node asks for or waits for together: one that fails does not lose the others."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..core.errors import (
    FluxNodesError,
    NothingSent,
    PartlyFailed,
    ServiceError,
    ServiceRefused,
    ServiceUnreachable,
    StillRunning,
)
from ..core.merge import merge

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from ..core.generation import Generation
    from .face import Context
    from .parts import Part

_NOT_ACCEPTED = (ServiceRefused, ServiceUnreachable)
"""What `Generations.start` raises when the service did not take a request."""

_UNPAID = (NothingSent, *_NOT_ACCEPTED)
"""Errors of which one tells all, where every part meets the same: none names what may be paid already."""


@dataclass
class _Member:
    """One of them: how far it is (None while it was not started), and why it came to nothing."""

    name: str = ""
    last: Generation | None = None
    error: FluxNodesError | None = None

    def __str__(self) -> str:
        if self.last is None:
            return self.name
        if not self.name:
            return self.last.id
        # An error that names it tells it well enough.
        return self.name if self.last.id in str(self.error) else f"{self.name} ({self.last.id})"


class Together:
    """What one run of a node asks for or waits for. `start` or `join` first, then `moves`, and `all` at the end."""

    def __init__(self, context: Context) -> None:
        self._generations = context.generations
        self._graph = context.graph
        self._members: list[_Member] = []

    async def start(self, parts: Sequence[Part], *, fresh: bool) -> None:
        """Start all parts side by side. One that fails is kept for `all` to raise."""
        # With exceptions returned, a cancellation waits for all of them: each writes down first what it has sent.
        begun = await asyncio.gather(*(self._begun(part, fresh=fresh) for part in parts), return_exceptions=True)
        for member in begun:
            if isinstance(member, BaseException):
                raise member
            self._members.append(member)

    async def _begun(self, part: Part, *, fresh: bool) -> _Member:
        try:
            started = await self._generations.start(part.request, fresh=fresh, graph=self._graph)
        except FluxNodesError as error:
            if isinstance(error, _NOT_ACCEPTED):
                error.without_cost()
            return _Member(part.name, error=error)
        return _Member(part.name, started)

    async def join(self, ids: Sequence[str]) -> None:
        """Wait for generations that were started before. Raises UnknownGeneration."""
        self._members += [_Member(last=await self._generations.get(id_)) for id_ in ids]

    @property
    def started(self) -> tuple[Generation, ...]:
        """Those that there are, as they were last seen, in the order in which they were asked for."""
        return tuple(member.last for member in self._members if member.last is not None)

    async def moves(self) -> AsyncGenerator[Generation, None]:
        """Yield each generation now and whenever it has moved, until the image of every one is stored or cannot be."""
        ids = dict.fromkeys(generation.id for generation in self.started)
        async with aclosing(merge([self._followed(id_) for id_ in ids])) as moves:
            async for moved in moves:
                yield moved

    async def _followed(self, id_: str) -> AsyncGenerator[Generation, None]:
        """Follow one generation, and keep what goes wrong with it: so the error is known to be of this one."""
        members = [member for member in self._members if member.last is not None and member.last.id == id_]
        reused = all(member.last is not None and member.last.reused for member in members)
        try:
            async with aclosing(self._generations.follow(id_)) as moves:
                async for moved in moves:
                    last = replace(moved, reused=reused)
                    for member in members:
                        member.last = last
                    yield last
            self._generations.require_image(last)
        except FluxNodesError as error:
            if isinstance(error, ServiceError) and last.status == "refused":
                error.without_cost()
            for member in members:
                member.error = error

    def all(self) -> tuple[Generation, ...]:
        """Return every one, started or (after `moves`) stored, in the order in which they were asked for.

        Raises:
            FluxNodesError: the error of the only one; or of all, where all failed alike and nothing was paid.
            StillRunning: those that are not stored all run on.
            PartlyFailed: some came to nothing; it names them, and the others.
        """
        failed = [member for member in self._members if member.error is not None]
        if failed:
            raise self._failure(failed)
        return self.started

    def _failure(self, failed: Sequence[_Member]) -> FluxNodesError:
        errors = {str(member): member.error for member in failed if member.error is not None}
        first, *others = errors.values()
        alike = all(type(error) is type(first) for error in others)
        if len(self._members) == 1 or (alike and isinstance(first, _UNPAID) and not self.started):
            return first
        if alike and isinstance(first, StillRunning):
            return StillRunning([member.last.id for member in failed if member.last is not None])
        safe = [member.last.id for member in self._members if member.error is None and member.last is not None]
        return PartlyFailed(errors, stored=list(dict.fromkeys(safe)))
