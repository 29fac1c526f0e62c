"""The node that turns a shape and an amount of pixels into a width, a height and an aspect ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.catalog import parameter
from . import shapes
from .face import Context, Input, Node, Output, Result, Step
from .imagine import CATEGORY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from fractions import Fraction

    from ..core.errors import Fault
    from ..core.images import Array

CUSTOM = "custom"
OF_THE_IMAGE = "of the image"

_WIDTH, _HEIGHT = parameter("width"), parameter("height")


async def aspect_ratio(
    _context: Context | None, *, ratio: str, megapixels: float, custom: str = "", image: Array | None = None
) -> AsyncGenerator[Step, None]:
    """Find the size of this shape and amount of pixels. Raises InvalidRequest for what no model takes."""
    shape = _shape(ratio, custom, image)
    width, height = shapes.size(shape, megapixels)
    text = f"{width}×{height} · {width * height / shapes.MEGAPIXEL:.2f} megapixels"
    yield Result((width, height, shapes.words(shape)), text=text)


def _shape(ratio: str, custom: str, image: Array | None) -> Fraction:
    if ratio != OF_THE_IMAGE:
        return shapes.shape(custom, where="custom") if ratio == CUSTOM else shapes.shape(ratio, where="ratio")
    if image is None:
        from ..core.errors import Fault, InvalidRequest

        raise InvalidRequest([Fault("image", "no image is linked to take the shape of", "a link, or another ratio")])
    rows, columns = image.shape[1:3]
    return shapes.shape(f"{columns}:{rows}", where="image")


def _faults(values: Mapping[str, Any]) -> Sequence[Fault]:
    """Find what is wrong with a shape, or an amount of pixels, before anything is paid."""
    from ..core.errors import InvalidRequest

    try:
        if values.get("ratio") == CUSTOM:
            shape = shapes.shape(values.get("custom", "1:1"), where="custom")
        else:
            named = values.get("ratio", OF_THE_IMAGE)
            shape = shapes.shape("1:1" if named == OF_THE_IMAGE else named, where="ratio")
        shapes.size(shape, values.get("megapixels", 1.0))
    except InvalidRequest as error:
        return error.faults
    return ()


ASPECT_RATIO = Node(
    id="FluxAspectRatio",
    label="Aspect Ratio",
    category=CATEGORY,
    description="Turns a shape and an amount of pixels into a width and a height that FLUX takes.",
    inputs=(
        Input(
            name="ratio",
            type="COMBO",
            label="Ratio",
            tooltip="The shape, as width:height. Or your own, or that of a linked image.",
            default="4:3",
            choices=(*shapes.USUAL, CUSTOM, OF_THE_IMAGE),
        ),
        Input(
            name="custom",
            type="STRING",
            label="Custom",
            tooltip="Your own shape as width:height, such as 1.85:1; from 21:9 to 9:21. Counts where ratio is custom.",
            default="",
            optional=True,
        ),
        Input(
            name="megapixels",
            type="FLOAT",
            label="Megapixels",
            tooltip=(
                "How large: 1.0 is as many pixels as 1024×1024. A side has "
                f"{_WIDTH.minimum:g} to {_WIDTH.maximum:g} pixels, which comes first."
            ),
            default=1.0,
            minimum=shapes.LEAST,
            maximum=shapes.MOST,
            step=0.05,
            slider=True,
        ),
        Input(
            name="image",
            type="IMAGE",
            label="Image",
            tooltip="An image whose shape to take. Counts where ratio is of the image.",
            optional=True,
        ),
    ),
    outputs=(
        Output(name="width", type="INT", label="Width", tooltip="Width in pixels, for FLUX Imagine."),
        Output(name="height", type="INT", label="Height", tooltip="Height in pixels, for FLUX Imagine."),
        Output(
            name="aspect_ratio",
            type="STRING",
            label="Aspect ratio",
            tooltip="The shape in whole numbers, for flux-pro-1.1-ultra.",
        ),
    ),
    run=aspect_ratio,
    needs_generations=False,
    check=_faults,
    search=("resolution", "size", "width", "height", "dimensions", "portrait", "landscape", "megapixels", "flux"),
)
