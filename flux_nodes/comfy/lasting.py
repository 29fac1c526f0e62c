"""Last words that outlast their prompt: today's frontend wipes what stands under the nodes when a prompt ends.

Without this nobody would see what a picture took and cost, or what goes on after an interruption. And a node that
ComfyUI does not run, since it has its result, would stay without words and picture in a graph that is opened again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .board import Board

_LOOK = 0.5
"""Seconds between two looks at what runs, and those that a frontend has to hear of the end."""


async def repeat_after(prompt_id: str, boards: Mapping[str, Board]) -> None:
    """Wait for the end of a prompt, and tell its last words once more, unless the next one runs already.

    Only in the background.
    """
    while True:
        running = _running()
        await asyncio.sleep(_LOOK)
        if prompt_id not in running:
            break
    if not _running():
        for board in list(boards.values()):
            board.repeat(prompt_id)


def _running() -> set[str]:
    from server import PromptServer

    running, _ = PromptServer.instance.prompt_queue.get_current_queue_volatile()
    return {item[1] for item in running}
