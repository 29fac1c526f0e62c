"""Progress notifications of one call, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_server.facts import in_words

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

    from flux_nodes.core import Generation
    from mcp_server.state import State

_TOTAL = 100.0
_STEP = 0.01
"""The least advance: the protocol wants each notification's progress to be greater than the last."""


class Progress:
    """Tells a client how a generation moves. The first word names its id, so that a client that gives up has it."""

    def __init__(self, context: Context[State]) -> None:
        self._context = context
        self._last = -_STEP
        self._said = ""

    async def tell(self, generation: Generation) -> None:
        """Send how a generation stands, if that is news. Goes nowhere when the client asked for no progress."""
        words = f"{generation.id}: {in_words(generation)}"
        position = max(_share(generation), self._last + _STEP)
        if words != self._said and position <= _TOTAL:
            self._last, self._said = position, words
            await self._context.report_progress(position, _TOTAL, words)


def _share(generation: Generation) -> float:
    """Return how far a generation is, 0..100; only a stored one is there."""
    return _TOTAL if generation.status == "stored" else min(float(generation.percentage or 0), _TOTAL - 1)
