"""What the nodes of one running prompt know of each other: who is under way, and who has failed.

ComfyUI ends a prompt at its first error. So a node that fails waits for the others before it says so: they are paid
for, and what they bring is kept and goes on along their links. Nothing new is paid for meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import ChainMap
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from . import background, lasting
from .board import Board
from .inscription import Signatures
from .lookout import LOOK, Lookout, raise_if_interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator


class Prompt:
    """One prompt, as its nodes see it. Only in the event loop that runs it."""

    def __init__(self, prompt_id: str) -> None:
        self.runs = 0
        self._under_way = 0
        self._landed = float("-inf")
        self._failures: dict[str, BaseException] = {}
        self._risen: set[str] = set()
        self._boards: dict[str, Board] = {}
        self._lookouts: dict[str, Lookout] = {}
        self._kept: dict[str, Board] = {}
        self._asked: dict[str, str] = {}
        self._signatures: tuple[object, Signatures] | None = None
        background.leave(lasting.repeat_after(prompt_id, ChainMap(self._boards, self._kept)))

    def board(self, node_id: str, window: str | None) -> Board:
        """Return what stands under a node that runs, or that another has been made of which runs."""
        if node_id not in self._boards:
            self._boards[node_id] = made = Board(node_id, window)
            _remember(node_id, self._asked.get(node_id, ""), made)
        return self._boards[node_id]

    def lookout(self, node_id: str, board: Board) -> Lookout:
        """Return who looks out for all runs of a node."""
        return self._lookouts.setdefault(node_id, Lookout(board, node_id))

    def signatures(self, graph: object) -> Signatures:
        """Return the signatures of the nodes of its graph, in API format: computed once for all runs of them."""
        if self._signatures is None or self._signatures[0] is not graph:
            self._signatures = (graph, Signatures(graph))
        return self._signatures[1]

    def foresee(self, node_id: str, window: str | None, asked: str) -> None:
        """Keep what stands under a node until it runs; where ComfyUI still has its result, it does not run at all.

        `asked` are the values that it is asked with.
        """
        self._asked[node_id] = asked
        before = _last.get(node_id)
        if before is not None and before[0] == asked and before[1].succeeded:
            self._kept[node_id] = before[1].in_window(window)

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


_MOST = 500
"""Nodes whose last words are remembered."""

_last: dict[str, tuple[str, Board]] = {}
_prompts: dict[tuple[str, asyncio.AbstractEventLoop], Prompt] = {}
"""By id and event loop: ComfyUI gives each prompt a loop of its own, while a script may use an id again."""


def _remember(node_id: str, asked: str, board: Board) -> None:
    _last.pop(node_id, None)
    _last[node_id] = (asked, board)
    if len(_last) > _MOST:
        del _last[next(iter(_last))]


def foresee(asked: str) -> None:
    """Tell the running prompt of the node that ComfyUI looks at, to see whether it has its result already."""
    from comfy_execution.utils import get_executing_context
    from server import PromptServer

    here = get_executing_context()
    # A node that a loop makes of another has no place of its own, and its words are those of the other.
    if here is not None and displayed(here.node_id) == here.node_id:
        _of_id(here.prompt_id).foresee(here.node_id, PromptServer.instance.client_id, asked)


def displayed(node_id: str) -> str:
    """Return the id of the node in the graph for which a node runs: mostly its own.

    Nodes that others put in their place while a prompt runs, in loops for example, have ids that no window knows.
    """
    from comfy_execution.progress import get_progress_state

    found: str = get_progress_state().dynprompt.get_display_node_id(node_id)
    return found


def _of_id(prompt_id: str) -> Prompt:
    here = (prompt_id, asyncio.get_running_loop())
    for old in [each for each, prompt in _prompts.items() if not prompt.runs and each != here]:
        del _prompts[old]
    if here not in _prompts:
        _prompts[here] = Prompt(prompt_id)
    return _prompts[here]


@contextmanager
def joined(prompt_id: str) -> Iterator[Prompt]:
    """Give the prompt of this id to one run of a node in it."""
    prompt = _of_id(prompt_id)
    prompt.runs += 1
    try:
        yield prompt
    finally:
        prompt.runs -= 1


async def _look() -> None:
    await asyncio.sleep(LOOK)
    raise_if_interrupted()
