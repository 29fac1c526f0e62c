"""Runs a node inside ComfyUI: tensors to arrays and back, progress on the node, and interruption within a moment.

ComfyUI runs each prompt in an event loop of its own, so connections are opened for each run and closed with it.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from ..nodes import Context, Result

if TYPE_CHECKING:
    from ..core.generation import Generation
    from ..nodes import Node

_LOOK = 0.2
"""Seconds between two looks at ComfyUI's interrupt flag, which nothing announces."""


async def run(node: Node, values: dict[str, Any]) -> Any:
    """Run a node with ComfyUI's values and return its `NodeOutput`. Raises FluxNodesError or ComfyUI's interruption."""
    work = asyncio.ensure_future(_result(node, values))
    try:
        await _until_done_or_interrupted(work)
    finally:
        # A cancelled sibling, too, gives its generation the moment that it needs to be written down.
        if not work.done():
            work.cancel()
            await asyncio.wait([work])
    return _output(node, work.result())


async def _until_done_or_interrupted(work: asyncio.Future[Result]) -> None:
    import comfy.model_management as host

    while not work.done():
        await asyncio.wait([work], timeout=_LOOK)
        # This look does not reset the flag, so every node that is in flight sees it.
        if not work.done() and host.processing_interrupted():
            raise host.InterruptProcessingException


async def _result(node: Node, values: dict[str, Any]) -> Result:
    from ..core.generations import Generations
    from ..core.settings import Settings

    async with (
        Generations.open(Settings.load(), door="comfyui") as generations,
        aclosing(node.run(Context(generations), **_given(node, values))) as steps,
    ):
        async for step in steps:
            if isinstance(step, Result):
                _say(step.text)
                return step
            await _show(step)
    raise RuntimeError(f"{node.id} ended without a result")


def _given(node: Node, values: dict[str, Any]) -> dict[str, Any]:
    images = {item.name for item in node.inputs if item.type == "IMAGE"}
    return {name: _array(value) if name in images else value for name, value in values.items() if value is not None}


def _array(tensor: Any) -> Any:
    return tensor.detach().cpu().float().numpy()


async def _show(generation: Generation) -> None:
    from comfy_api.latest import ComfyAPI

    if generation.percentage is not None:
        # The attribute `execution` is missing before ComfyUI 0.13; the class is there on all.
        await ComfyAPI.Execution().set_progress(generation.percentage, 100)


def _say(text: str) -> None:
    """Write words under the node that runs."""
    from comfy_execution.utils import get_executing_context
    from server import PromptServer

    running = get_executing_context()
    if text and running is not None:
        PromptServer.instance.send_progress_text(text, running.node_id)


def _output(node: Node, result: Result) -> Any:
    from comfy_api.latest import io

    values = [
        _tensor(value) if output.type == "IMAGE" else value
        for output, value in zip(node.outputs, result.values, strict=True)
    ]
    # In the history too, where a script that drives ComfyUI finds it.
    return io.NodeOutput(*values, ui={"text": [result.text]} if node.is_output else None)


def _tensor(array: Any) -> Any:
    import torch

    return torch.from_numpy(array)
