"""Image files in and out: decoding within a bound, and encoding the same bytes every time."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from .quirks import Quirks

MOST_PIXELS = 50_000_000
"""The largest image that is decoded; the page names no limit, and a bomb must not stop the sandbox."""


_LARGEST_SIDE = 2048


def read_image(raw: bytes) -> Picture | None:
    """Decode an image file to RGB; None when it is none, is broken, or has more pixels than `MOST_PIXELS`.

    One with a side of more than 2,048 pixels is made smaller: no picture needs more, and RGB takes four bytes a pixel.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(raw)) as image:
                if image.width * image.height > MOST_PIXELS:
                    return None
                image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
                picture: Picture = image.convert("RGB")
                return picture
    # SyntaxError is what Pillow raises for a broken PNG
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def write_image(image: Picture, image_type: str) -> bytes:
    """Encode a picture as "png", "jpeg" or "webp"; the same picture gives the same bytes."""
    options: dict[str, dict[str, Any]] = {
        "png": {"compress_level": 3},
        "jpeg": {"quality": 92},
        "webp": {"quality": 90, "method": 2},
    }
    file = io.BytesIO()
    image.save(file, image_type.upper(), **options[image_type])
    return file.getvalue()


def media_type(quirks: Quirks) -> str:
    """Return the Content-Type that images are served with."""
    return f"image/{quirks.image_type}"
