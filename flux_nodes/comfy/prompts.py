"""What the nodes of one running prompt know of each other: who is under way, and who has failed.

ComfyUI ends a prompt at its first error. So a node that fails waits for the others before it says so: they are paid
for, and what they bring is kept and goes on along their links. Nothing new is paid for meanwhile.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from . import background, lasting
from .words import Board

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK = 0.2
"""Seconds between two looks at what nothing announces: ComfyUI's interrupt flag, and the other nodes."""


class Prompt:
    """One prompt, as its nodes see it. Only in the event loop that runs it."""

    def __init__(self, prompt_id: str) -> None:
        self.id = prompt_id
        self.runs = 0
        self._under_way = 0
        self._landed = float("-inf")
        self._failures: dict[str, BaseException] = {}
        self._risen: set[str] = set()
        self._boards: dict[str, Board] = {}
        background.start(lasting.repeat_after(prompt_id, self._boards))

    def board(self, node_id: str, window: str | None) -> Board:
        """Return what stands under a node."""
        if node_id not in self._boards:
            self._boards[node_id] = Board(node_id, window)
        return self._boards[node_id]

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Be one of those that the others wait for."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def landed(self) -> None:
        """Note that a node has brought something, which ComfyUI now hands on to those that wait for it."""
        self._landed = monotonic()

    async def until_payable(self, node_id: str) -> None:
        """Wait, once a node has failed, until the prompt ends: nothing new is paid for then.

        Raises the failure of another run of the same node, which ComfyUI waits for, and ComfyUI's interruption.
        """
        while self._failures:
            if node_id in self._risen:
                raise self._failures[node_id]
            await _look()

    async def until_alone(self, node_id: str, error: BaseException) -> None:
        """Wait, having failed, until no other node is under way. Raises ComfyUI's interruption."""
        self._failures.setdefault(node_id, error)
        # A look longer than the others take: SaveImage and its like run without a pause as soon as they can.
        while self._under_way or monotonic() - self._landed < LOOK:
            await _look()
        self._risen.add(node_id)


_prompts: dict[str, Prompt] = {}


@contextmanager
def joined(prompt_id: str) -> Iterator[Prompt]:
    """Give the prompt of this id to one run of a node in it."""
    for old in [prompt for prompt in _prompts.values() if not prompt.runs and prompt.id != prompt_id]:
        del _prompts[old.id]
    if prompt_id not in _prompts:
        _prompts[prompt_id] = Prompt(prompt_id)
    prompt = _prompts[prompt_id]
    prompt.runs += 1
    try:
        yield prompt
    finally:
        prompt.runs -= 1


async def _look() -> None:
    await asyncio.sleep(LOOK)
    raise_if_interrupted()


def raise_if_interrupted() -> None:
    """Raise ComfyUI's interruption if a person asked for it. Unlike ComfyUI's own look this leaves it to the others."""
    import comfy.model_management as host

    if host.processing_interrupted():
        raise host.InterruptProcessingException
