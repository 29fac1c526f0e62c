"""Judges what came as a result: an image, bytes to be kept that nothing here can open, or no image at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import InvalidImage, TooManyPixels
from .images import ImageFacts, inspect
from .media_type import UNKNOWN, is_cut, is_junk, sniffed

if TYPE_CHECKING:
    from pathlib import Path

    from .generation import Generation

_DECODED_HERE = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/tiff"})


class SpoiledImage(Exception):
    """What came is no whole image, or no image.

    `facts` tell what is known of it. If the very same bytes come each time it is what was paid for, and is kept. None
    of what is surely no image, such as a page of errors.
    """

    def __init__(self, why: str, facts: ImageFacts | None = None) -> None:
        super().__init__(why)
        self.facts = facts


def judged(data: bytes, *, most_pixels: int) -> ImageFacts:
    """Tell what a result is; the size of one in a format that cannot be opened here is not known.

    Raises TooManyPixels, and SpoiledImage for what another try may bring whole.
    """
    try:
        return inspect(data, most_pixels=most_pixels)
    except TooManyPixels:
        raise
    except InvalidImage as error:
        return _undecoded(data, error)


def _undecoded(data: bytes, error: InvalidImage) -> ImageFacts:
    why = f"what came is no usable image: {error}"
    if is_junk(data):
        raise SpoiledImage(why) from error
    media_type = sniffed(data)
    facts = ImageFacts(media_type=media_type or UNKNOWN)
    if media_type is None or media_type in _DECODED_HERE or is_cut(data, media_type):
        raise SpoiledImage(why, facts) from error
    return facts


def unopened(image: ImageFacts | Generation, file: Path | None) -> str | None:
    """Say of a stored image that nothing here can open it, and where it is; None of one that can be opened."""
    if image.width is not None:
        return None
    kind = "a file of an unknown format" if image.media_type == UNKNOWN else f"a file of the type {image.media_type}"
    return f"The service sent {kind} that cannot be opened here. Its bytes are kept as they came: {file}"
