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
from .prompts import displayed, joined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..nodes import Node
    from .inscription import Signatures
    from .lookout import Lookout

_FAREWELL = 0.5
"""The most seconds that an interrupted node takes to see what it leaves behind, and to say so."""


_GLANCE = 0.02
"""Seconds between two looks meanwhile."""


@dataclass(frozen=True)
class _Place:
    """Where a node runs: in which prompt, as which node, for which that windows know, as which of its runs.

    And which window asked for it; none of a script that follows nothing.
    """

    prompt_id: str
    node_id: str
    shown_id: str
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
        board = prompt.board(place.shown_id, place.window)
        flight = Flight(
            node=node,
            values=await pixels.arrays(node, values),
            graph=inscription.graph(host_class.hidden.prompt, host_class.hidden.extra_pnginfo),
            prompt_id=place.prompt_id,
            board=board,
            line=board.line(place.node_id, place.index, prompt=_prompt(values), fresh=is_fresh(node, values)),
        )
        with prompt.under_way():
            signatures = prompt.signatures(host_class.hidden.prompt)
            work = asyncio.ensure_future(_output(flight, place, host_class, signatures))
            await _until_done(work, flight, prompt.lookout(place.node_id, board))
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
    window = PromptServer.instance.client_id
    return _Place(here.prompt_id, here.node_id, displayed(here.node_id), here.list_index or 0, window)


async def _until_done(work: asyncio.Future[Any], flight: Flight, lookout: Lookout) -> None:
    """Wait, with progress on the node. Raises ComfyUI's interruption, and cancels the work then."""
    try:
        await lookout.wait(work)
    finally:
        if not work.done():
            work.cancel()
            await _farewell(flight)


async def _farewell(flight: Flight) -> None:
    """Look out for the end of a flight. Not in threads: those are few, and all runs of a long list wait at once."""
    until = monotonic() + _FAREWELL
    while not flight.over.is_set() and monotonic() < until:  # noqa: ASYNC110 - another loop, in another thread, sets it
        await asyncio.sleep(_GLANCE)


async def _output(flight: Flight, place: _Place, host_class: Any, signatures: Signatures) -> Any:
    from comfy_api.latest import io

    node, hidden = flight.node, host_class.hidden
    result = await asyncio.wrap_future(background.start(flight.run()))
    if result.generations:
        made = flight.board.made(place.node_id, place.index, result.generations)
        signed = flight.board.signed(place.node_id)
        inscription.inscribe(signatures, hidden.extra_pnginfo, place.node_id, made, signed=signed)
    values = await pixels.tensors(node, result.values)
    shown: dict[str, Any] = {}
    if node.is_output:
        shown["text"] = [result.text]  # in the history too, where a script that drives ComfyUI finds it
    if pixels.shows_pictures(node):
        flight.line.pictures = await pixels.previews(values[pixels.picture(node)], host_class)
        shown |= flight.line.pictures
    flight.line.succeed(result.text, result.generations)
    return io.NodeOutput(*values, ui=shown or None)
