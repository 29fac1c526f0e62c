"""ComfyUI's ImageScale and ImageBatch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..core.errors import Fault, InvalidImage
from ..nodes.face import Context, Input, Node, Output, Result, Step
from .values import shown

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from ..core.images import Array
    from .scaling import Crop, Method

IMAGE = Output(name="IMAGE", type="IMAGE", label="Image", tooltip="The image.")

# Spelled out, for `scaling` loads numpy; a test holds both to be the same.
_METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
_CROPS = ("disabled", "center")
_MOST_PIXELS = 16384
"""ComfyUI's MAX_RESOLUTION."""


async def _scale(
    context: Context, *, image: Array, upscale_method: Method, width: int, height: int, crop: Crop
) -> AsyncGenerator[Step, None]:
    del context
    yield Result((await asyncio.to_thread(_scaled, image, upscale_method, width, height, crop),))


def _scaled(image: Array, method: Method, width: int, height: int, crop: Crop) -> Array:
    from .scaling import scaled, sized

    faults = _faults({"upscale_method": method, "crop": crop})
    if faults:
        raise InvalidImage(" ".join(f"The input {fault}" for fault in faults))
    if width == 0 == height:
        return image
    columns, rows = sized(image, width, height)
    return scaled(image, width=columns, height=rows, method=method, crop=crop)


def _faults(inputs: Mapping[str, Any]) -> Sequence[Fault]:
    """Find what is wrong with a choice: one that comes along a link is held against nothing before."""
    choices = {"upscale_method": _METHODS, "crop": _CROPS}
    return [
        Fault(name, f"{shown(inputs[name])} is not one of its choices", ", ".join(allowed))
        for name, allowed in choices.items()
        if name in inputs and inputs[name] not in allowed
    ]


async def _batch(context: Context, *, image1: Array, image2: Array) -> AsyncGenerator[Step, None]:
    del context
    from .scaling import batched

    yield Result((await asyncio.to_thread(batched, image1, image2),))


def image_input(name: str, label: str, tooltip: str) -> Input:
    """Return the input that takes an image along a link."""
    return Input(name=name, type="IMAGE", label=label, tooltip=tooltip)


def _pixels(name: str, label: str) -> Input:
    tooltip = f"{label} in pixels; 0 follows from the other, in the image's own shape."
    return Input(
        name=name, type="INT", label=label, tooltip=tooltip, default=512, minimum=0, maximum=_MOST_PIXELS, step=1
    )


def _choice(name: str, label: str, tooltip: str, choices: tuple[str, ...]) -> Input:
    return Input(name=name, type="COMBO", label=label, tooltip=tooltip, choices=choices)


IMAGE_SCALE = Node(
    id="ImageScale",
    label="Upscale Image",
    category="image/upscaling",
    description="Scales an image to a size in pixels.",
    inputs=(
        image_input("image", "Image", "The image to scale."),
        _choice("upscale_method", "Method", "How pixels are made of pixels.", _METHODS),
        _pixels("width", "Width"),
        _pixels("height", "Height"),
        _choice("crop", "Crop", "What becomes of another shape: stretched, or cut at its edges.", _CROPS),
    ),
    outputs=(IMAGE,),
    run=_scale,
    check=_faults,
)

IMAGE_BATCH = Node(
    id="ImageBatch",
    label="Batch Images",
    category="image",
    description="Puts two images into one batch; the second is scaled to the size of the first.",
    inputs=(
        image_input("image1", "First image", "The image whose size counts."),
        image_input("image2", "Second image", "The image that follows it."),
    ),
    outputs=(IMAGE,),
    run=_batch,
)
