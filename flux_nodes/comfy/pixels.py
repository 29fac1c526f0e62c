"""ComfyUI's tensors to the arrays of our nodes and back, and the pictures on a node. All of it off the event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..nodes import Node

_PIXELS = frozenset({"IMAGE", "MASK"})


def shows_pictures(node: Node) -> bool:
    """Whether a node shows what it gives: one that generates, collects or loads."""
    brings = node.paid or any(item.recent or item.type == "FLUX_TASK" for item in node.inputs)
    return brings and any(item.type == "IMAGE" for item in node.outputs)


def picture(node: Node) -> int:
    """Return which of its outputs a node shows."""
    return next(at for at, item in enumerate(node.outputs) if item.type == "IMAGE")


async def arrays(node: Node, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are given, with arrays for tensors."""
    return await asyncio.to_thread(_arrays, node, values)


def _arrays(node: Node, values: Mapping[str, Any]) -> dict[str, Any]:
    pixels = {item.name for item in node.inputs if item.type in _PIXELS}
    given: dict[str, Any] = {}
    for name, value in values.items():
        if node.takes_lists:
            each = [item for item in value if item is not None]
            if each:
                given[name] = [_array(item) for item in each] if name in pixels else each
        elif value is not None:
            given[name] = _array(value) if name in pixels else value
    return given


def _array(tensor: Any) -> Any:
    return tensor.detach().cpu().float().numpy()


async def tensors(node: Node, values: Sequence[Any]) -> list[Any]:
    """Return a node's values as ComfyUI takes them."""
    return await asyncio.to_thread(_tensors, node, values)


def _tensors(node: Node, values: Sequence[Any]) -> list[Any]:
    given: list[Any] = []
    for output, value in zip(node.outputs, values, strict=True):
        if output.type not in _PIXELS:
            given.append(value)
        elif output.is_list:
            given.append([_tensor(array) for array in value])
        else:
            given.append(_tensor(value))
    return given


def _tensor(array: Any) -> Any:
    import torch

    return torch.from_numpy(array)


async def previews(images: Any, host_class: Any) -> dict[str, Any]:
    """Write a batch as pictures for the node, each with the graph in it, and return what ComfyUI's frontend takes."""
    return await asyncio.to_thread(_previews, images, host_class)


def _previews(images: Any, host_class: Any) -> dict[str, Any]:
    from comfy_api.latest import ui

    shown: dict[str, Any] = ui.PreviewImage(images, cls=host_class).as_dict()
    for each in shown.get("images", ()):
        _say_origin(each)
    return shown


def _say_origin(written: Mapping[str, str]) -> None:
    """Say in a picture's XMP that a model made it: people save it from the node, and ComfyUI cannot write XMP."""
    import folder_paths

    from ..core.errors import InvalidImage
    from ..core.xmp import KEYWORD, TRAINED, packet
    from ..graph.carry import carrying

    file = Path(folder_paths.get_temp_directory()) / written["subfolder"] / written["filename"]
    with suppress(OSError, InvalidImage):  # a node does not fail for want of it
        file.write_bytes(carrying(file.read_bytes(), {KEYWORD: packet(TRAINED)}))
