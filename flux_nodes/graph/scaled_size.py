"""The sizes that images are cut and scaled to, and the limits on them: arithmetic, without pixels.

Source: ComfyUI's `comfy/utils.py` (common_upscale) and `nodes.py` (ImageScale).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ..core.errors import InvalidImage, TooManyPixels

if TYPE_CHECKING:
    Size: TypeAlias = "tuple[int, int]"

MAX_PIXELS = 64_000_000
"""The most pixels of an image that is made here: a larger file could not be read again."""

MAX_BATCH_PIXELS = 4 * MAX_PIXELS
"""The most pixels of a batch: as float32 in three channels they take 3 GB."""


def scaled_size(size: Size | None, width: int, height: int) -> Size | None:
    """Return the size to scale to, where 0 keeps the shape and two zeros keep the size; None where it is not known.

    Raises InvalidImage for a negative side and TooManyPixels, which is one, for a size of too many.
    """
    if width < 0 or height < 0:
        raise InvalidImage(f"it cannot be scaled to {width}×{height}: a side is less than 0")
    if size is None and not (width and height):
        return None
    columns, rows = size or (width, height)
    if not width and not height:
        return columns, rows
    wanted = (
        width or max(1, round(columns * height / rows)),
        height or max(1, round(rows * width / columns)),
    )
    require_few(wanted)
    return wanted


def require_few(size: Size, batch: int = 1) -> None:
    """Raise TooManyPixels where an image of this size, or a batch of so many, is larger than any that is made here."""
    width, height = size
    if width * height > MAX_PIXELS:
        raise TooManyPixels(f"{width}×{height} pixels are more than the {MAX_PIXELS:,} that an image may have here")
    if width * height * batch > MAX_BATCH_PIXELS:
        raise TooManyPixels(
            f"{batch} images of {width}×{height} have more than the {MAX_BATCH_PIXELS:,} pixels that a batch may have"
        )


def margins(size: Size, wanted: Size) -> Size:
    """Return how many columns and rows to cut off at each side, about the middle, to get the shape of another size."""
    columns, rows = size
    present, shape = columns / rows, wanted[0] / wanted[1]
    x = round((columns - columns * (shape / present)) / 2) if present > shape else 0
    y = round((rows - rows * (present / shape)) / 2) if present < shape else 0
    return x, y


def require_part(size: Size, wanted: Size) -> None:
    """Raise InvalidImage where cutting an image to the shape of another size leaves nothing of it."""
    x, y = margins(size, wanted)
    if 2 * x >= size[0] or 2 * y >= size[1]:
        raise InvalidImage(
            f"an image of {size[0]}×{size[1]} pixels that is cut to the shape of {wanted[0]}×{wanted[1]} has nothing "
            "left: turn the crop off, or choose a shape that is nearer to its own"
        )
