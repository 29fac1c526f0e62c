"""Looks out for all runs of a node at once: how far they are, which ComfyUI is told, and whether a person stops them.

A list may have a thousand runs; were each to look by itself, they would do little else.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .board import Board

LOOK = 0.2
"""Seconds between two looks at what nothing announces: ComfyUI's interrupt flag, and the other nodes."""


class Lookout:
    """The lookout of one node in one prompt. Only in the event loop that runs it."""

    def __init__(self, board: Board, node_id: str) -> None:
        self._board = board
        self._node_id = node_id
        self._runs = 0
        self._looking: asyncio.Task[None] | None = None
        self._told: float | None = None

    async def wait(self, work: asyncio.Future[Any]) -> None:
        """Wait for the end of one run, with progress on the node. Raises ComfyUI's interruption; the run goes on then.

        Call it where ComfyUI runs the node: the progress is told from there.
        """
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        self._runs += 1
        looking = self._looking
        try:
            await asyncio.wait([work, looking], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._runs -= 1
            if not self._runs:
                looking.cancel()
                self._looking = None
        if not work.done():
            looking.result()
            raise _interruption()
        if not self._runs:
            await self._tell()

    async def _look(self) -> None:
        """Look again and again, until a person stops the prompt."""
        while not _is_interrupted():
            await asyncio.sleep(LOOK)
            await self._tell()

    async def _tell(self) -> None:
        percentage = self._board.percentage(self._node_id)
        if percentage in {self._told, None}:
            return
        self._told = percentage
        from comfy_api.latest import ComfyAPI

        # The attribute `execution` is missing before ComfyUI 0.13; the class is there on all.
        await ComfyAPI.Execution().set_progress(percentage, 100)


def raise_if_interrupted() -> None:
    """Raise ComfyUI's interruption if a person asked for it. Unlike ComfyUI's own look this leaves it to the others."""
    if _is_interrupted():
        raise _interruption()


def _is_interrupted() -> bool:
    import comfy.model_management as host

    return bool(host.processing_interrupted())


def _interruption() -> BaseException:
    import comfy.model_management as host

    interruption: BaseException = host.InterruptProcessingException()
    return interruption
