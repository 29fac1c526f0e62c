"""One run of a node in the background, from its values to its result, or to what is left behind when it is stopped."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

from ..nodes import Context, Result
from ..nodes.fields import FRESH
from . import keeper, service
from .guidance import Run, guided
from .telling import tell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..core.generations import Generations, Graph
    from ..core.settings import Settings
    from ..nodes import Node
    from .board import Board
    from .words import Line


def is_fresh(node: Node, values: Mapping[str, Any]) -> bool:
    """Tell whether each run of a node with these values pays, whatever is there already."""
    return node.paid and bool(values.get(FRESH.name))


@dataclass(frozen=True, kw_only=True)
class Flight:
    """A run of `node` for a prompt; `line` is shown under the node, on `board`.

    `over` is set when nothing of it runs any more.
    """

    node: Node
    values: Mapping[str, Any]
    graph: Graph | None
    prompt_id: str
    board: Board
    line: Line
    over: Event = field(default_factory=Event)

    @property
    def fresh(self) -> bool:
        """Whether each run of it pays, whatever is there already."""
        return is_fresh(self.node, self.values)

    def guided(self, error: BaseException) -> BaseException:
        """Return the error to raise in ComfyUI when the run has ended with this one."""
        run = Run(sends=self.node.paid, fresh=self.fresh, generations=self.line.generations)
        return guided(error, run)

    async def run(self) -> Result:
        """Run the node to its result. Only in the background. Raises what the node raises."""
        try:
            with self.board.ticking():
                return await (self._run(await service.settings()) if self.node.needs_generations else self._run_alone())
        finally:
            self.over.set()

    async def _run_alone(self) -> Result:
        """Run a node that no generation concerns: it works also where settings and journal do not."""
        try:
            return await self._steps(None)
        except asyncio.CancelledError:
            self._leave_nothing()
            raise

    async def _run(self, settings: Settings) -> Result:
        from . import shared  # what it loads is heavy, and loads here where it holds up nobody

        shared.line.set(self.line)
        async with shared.shared(settings) as generations:
            try:
                result = await self._steps(Context(generations, graph=self.graph))
            except BaseException as error:
                # Whatever ended it, what the service still makes is paid.
                await self._leave(generations, interrupted=isinstance(error, asyncio.CancelledError))
                raise
            self.line.signed = await asyncio.to_thread(_signed, generations, result)
            return result

    async def _steps(self, context: Context | None) -> Result:
        steps = self.node.run(context, **self.values)
        async with aclosing(steps):
            async for step in steps:
                if isinstance(step, Result):
                    return step
                self.line.moved(step)
                tell(step)
        raise RuntimeError(f"{self.node.id} ended without a result")

    async def _leave(self, generations: Generations, *, interrupted: bool) -> None:
        """Hand on what goes on at the service. What was not sent yet is not sent any more."""
        known = [await generations.get(moved.id) for moved in self.line.moving]
        ids = [generation.id for generation in known if not generation.settled]
        if not interrupted:
            for generation in known:  # what ended the run may have come before the news of it
                self.line.moved(generation)
            keeper.collect(generations.settings, ids, window=self.board.window)
        elif ids:
            again = "" if self.fresh else " Or run the graph again."
            self.line.end(f"Interrupted. {keeper.left_in_words(ids)}{again}", trouble=True)
            keeper.leave(self.prompt_id, generations.settings, ids, window=self.board.window)
        else:
            self._leave_nothing()

    def _leave_nothing(self) -> None:
        self.line.end("Interrupted. Nothing of it goes on.", trouble=True)


def _signed(generations: Generations, result: Result) -> frozenset[str]:
    """Return the ids of those whose originals bring content credentials."""
    return frozenset(made.id for made in result.generations if generations.is_signed(made))
