"""ComfyUI's own nodes that our workflows are made with, for the runner: the same ids, inputs, outputs and behaviour.

Source: ComfyUI's `nodes.py` (LoadImage, SaveImage, PreviewImage, ImageBatch, ImageScale) and
`comfy_extras/nodes_primitive.py`. Three things differ: only the first frame of an animation is loaded, a saved pixel is
rounded where ComfyUI cuts off, and a saved file tells the generations in its picture beside the graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .stock_files import load_image, preview_image, save_image
from .stock_pixels import IMAGE_BATCH, IMAGE_SCALE
from .stock_primitives import PRIMITIVE_NODES

if TYPE_CHECKING:
    from ..nodes.face import Node
    from .places import Folders


def stock_nodes(folders: Folders) -> tuple[Node, ...]:
    """Return the stock nodes; those that load and save do so in these folders."""
    return (
        load_image(folders),
        save_image(folders),
        preview_image(folders),
        IMAGE_BATCH,
        IMAGE_SCALE,
        *PRIMITIVE_NODES,
    )
