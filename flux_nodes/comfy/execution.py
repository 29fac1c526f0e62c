"""Runs a node inside ComfyUI: starts it in the background, shows how it goes, and hands over what it gives.

Interruption is felt within a moment; what is paid for by then goes on and is kept.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from . import background, inscription, pixels
from .flight import Flight, is_fresh
from .prompts import LOOK, joined, raise_if_interrupted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..nodes import Node
    from .words import Board

_FAREWELL = 0.5
"""The most seconds that an interrupted node takes to see what it leaves behind, and to say so."""


_GLANCE = 0.02
"""Seconds between two looks meanwhile."""


@dataclass(frozen=True)
class _Place:
    """Where a node runs: in which prompt, as which node, as which of its runs, and which window asked for it."""

    prompt_id: str
    node_id: str
    index: int
    window: str | None


async def run(node: Node, values: Mapping[str, Any], host_class: Any) -> Any:
    """Run a node with ComfyUI's values and return its `NodeOutput`; `host_class` is the class that it runs as there.

    Raises what the node raises, when no other node of the prompt is under way any more, and ComfyUI's interruption.
    """
    place = _place()
    with joined(place.prompt_id) as prompt:
        if node.paid:
            await prompt.until_payable(place.node_id)
        board = prompt.board(place.node_id, place.window)
        flight = Flight(
            node=node,
            values=await pixels.arrays(node, values),
            graph=inscription.graph(host_class.hidden.prompt, host_class.hidden.extra_pnginfo),
            prompt_id=place.prompt_id,
            line=board.line(place.index, prompt=_prompt(values), fresh=is_fresh(node, values)),
        )
        with prompt.under_way():
            work = asyncio.ensure_future(_output(flight, board, place, host_class))
            await _until_done(work, flight, board)
        failure = work.exception()
        if failure is None:
            prompt.landed()
            return work.result()
        error = flight.guided(failure)
        flight.line.fail(error)
        await prompt.until_alone(place.node_id, error)
        raise error


def _prompt(values: Mapping[str, Any]) -> str:
    prompt = values.get("prompt")
    return prompt if isinstance(prompt, str) else ""


def _place() -> _Place:
    from comfy_execution.utils import get_executing_context
    from server import PromptServer

    here = get_executing_context()
    return _Place(here.prompt_id, here.node_id, here.list_index or 0, PromptServer.instance.client_id)


async def _until_done(work: asyncio.Future[Any], flight: Flight, board: Board) -> None:
    """Wait, with progress on the node. Raises ComfyUI's interruption, and cancels the work then."""
    told = None
    try:
        while not work.done():
            await asyncio.wait([work], timeout=LOOK)
            if board.percentage not in {told, None}:
                told = board.percentage
                await _progress(board)
            if not work.done():
                raise_if_interrupted()
    finally:
        if not work.done():
            work.cancel()
            await _farewell(flight)


async def _farewell(flight: Flight) -> None:
    """Look out for the end of a flight. Not in threads: those are few, and all runs of a long list wait at once."""
    until = monotonic() + _FAREWELL
    while not flight.over.is_set() and monotonic() < until:  # noqa: ASYNC110 - another loop, in another thread, sets it
        await asyncio.sleep(_GLANCE)


async def _progress(board: Board) -> None:
    from comfy_api.latest import ComfyAPI

    # The attribute `execution` is missing before ComfyUI 0.13; the class is there on all.
    await ComfyAPI.Execution().set_progress(board.percentage, 100)


async def _output(flight: Flight, board: Board, place: _Place, host_class: Any) -> Any:
    from comfy_api.latest import io

    node, hidden = flight.node, host_class.hidden
    result = await asyncio.wrap_future(background.start(flight.run()))
    if result.generations:
        made = board.made(place.index, result.generations)
        inscription.inscribe(hidden.prompt, hidden.extra_pnginfo, place.node_id, made)
    values = await pixels.tensors(node, result.values)
    shown: dict[str, Any] = {}
    if node.is_output:
        shown["text"] = [result.text]  # in the history too, where a script that drives ComfyUI finds it
    if pixels.shows_pictures(node):
        flight.line.pictures = await pixels.previews(values[pixels.picture(node)], host_class)
        shown |= flight.line.pictures
    flight.line.succeed(result.text, result.generations)
    return io.NodeOutput(*values, ui=shown or None)
