"""Image prompts as they are sent: upright, at most 2,048 pixels a side, each distinct one made once.

Every door gives its image to `prepared` (a file) or `from_array` (pixels of a graph): what one of them sends is what
any other sends. Both compute; from the event loop call them through `decoding.in_background`.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from .decoding import opened
from .errors import InvalidImage, TooManyPixels
from .images import LONGEST, digest, picture, prompt_pixels, quick_png, shrunk
from .media_type import sniffed

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

    from .images import Array

MAX_PIXELS = 8192 * 6144
"""The largest image that is taken as a prompt: 50 megapixels, as many as a phone's largest photos have."""

MAX_BYTES = 128 * 2**20
"""The largest file that is taken as a prompt; as it is sent it is far smaller."""

_SENT_AS_THEY_ARE = frozenset({"image/png", "image/jpeg", "image/webp"})
"""What every service reads; any other file is written anew."""

_KEPT_BYTES = 64 * 2**20
_ROOM_BESIDE = 2**20
"""Bytes that a file may have beyond those of its bare pixels: more of them are something else than the image."""


@dataclass(frozen=True)
class ImagePrompt:
    """An image prompt: the file that is sent, its SHA-256, and the digest of its pixels (`images.pixel_digest`).

    `before` holds the same two digests of the file that it was made from, where that was another: up to 0.3.0 that
    one was sent.
    """

    data: bytes = field(repr=False)
    sha256: str
    pixels: str
    before: tuple[str, str] | None = None

    @cached_property
    def base64(self) -> str:
        """The file as the wire has it."""
        return base64.b64encode(self.data).decode("ascii")


class _Cache:
    """Keeps what was made last; of those who ask for the same at once, one makes it and the others wait."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._made: OrderedDict[str, ImagePrompt] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], ImagePrompt]) -> ImagePrompt:
        """Return what is kept under a key, or make it: one at a time, so that no two hold their pixels at once."""
        with self._lock:
            found = self._made.pop(key, None) or make()
            self._made[key] = found
            while sum(len(each.data) for each in self._made.values()) > self._most:
                self._made.popitem(last=False)
            return found


_CACHE = _Cache(_KEPT_BYTES)


def prepared(data: bytes) -> ImagePrompt:
    """Make the prompt of an image file. Raises InvalidImage."""
    if len(data) > MAX_BYTES:
        raise InvalidImage(f"it has more than the {MAX_BYTES // 2**20} MiB allowed")
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        return _CACHE.get(f"file {sha256}", lambda: _from_file(data, sha256))
    except TooManyPixels as error:
        raise TooManyPixels(f"{error}; make it smaller, for no more than {LONGEST:,} a side are sent anyway") from error


def from_array(array: Array) -> ImagePrompt:
    """Make the prompt of one array [H, W, C]. Raises InvalidImage."""
    image = picture(array)
    return _CACHE.get(f"{image.mode} pixels {digest(image)}", lambda: _from_image(shrunk(image, LONGEST)))


def _from_file(data: bytes, sha256: str) -> ImagePrompt:
    with opened(data, most_pixels=MAX_PIXELS) as found:
        image = found.image
        pixels = digest(image)
        is_small = max(image.size) <= LONGEST and len(data) <= image.width * image.height * 4 + _ROOM_BESIDE
        if is_small and found.as_it_is and sniffed(data) in _SENT_AS_THEY_ARE and not _moves(image):
            return ImagePrompt(data, sha256, pixels)
        small = prompt_pixels(image)
    return _from_image(small, before=(sha256, pixels))


def _moves(image: Image) -> bool:
    return bool(getattr(image, "is_animated", False)) or image.format == "MPO"


def _from_image(image: Image, *, before: tuple[str, str] | None = None) -> ImagePrompt:
    data = quick_png(image)
    return ImagePrompt(data, hashlib.sha256(data).hexdigest(), digest(image), before)
