"""Decoding image files, with the pixels of all threads of the process bounded together.

Everything here computes; from the event loop call it through `in_background`.
"""

from __future__ import annotations

import asyncio
import io
import logging
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from PIL import Image, ImageOps, UnidentifiedImageError

from .bare_image import JPEG, PNG, bare, png_fault
from .errors import InvalidImage, TooManyPixels
from .media_type import sniffed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import ParamSpec

    Arguments = ParamSpec("Arguments")

Answer = TypeVar("Answer")

# Pillow logs what is wrong with some files; where nobody listens, Python would print it among the words for people.
logging.getLogger("PIL").addHandler(logging.NullHandler())

FORMATS = (
    *("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"),
    # A ComfyUI may still have a Pillow that is older than 11.3, to which AVIF is an unknown name.
    *(("AVIF",) if find_spec("PIL.AvifImagePlugin") else ()),
)
"""What is read at all: the decoders of other formats stay out of reach of bytes from outside."""

MAX_PIXELS = 64_000_000
"""More pixels than this are refused before they are decoded (flux-pro-1.1-ultra makes four million)."""

MAX_SIDE = 65_535
"""The longest side: JPEG's own limit. Decoders keep a few words for each row, so a column of pixels costs far more."""

AT_ONCE = MAX_PIXELS
"""Pixels that are decoded at once in this process, in all threads: four bytes each, in most modes."""

_THREADS = 2
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
"""Pillow's own refusals, which come before ours; the warning rises where warnings are errors."""

_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, TypeError, EOFError, ArithmeticError, LookupError, AttributeError),
    *(AssertionError, RuntimeError, struct.error, zlib.error),
)
"""What Pillow raises over a damaged file: it has no error of its own."""

_ORIENTATION = 0x0112
_TURNED = frozenset(range(2, 9))
_JPEG_END = b"\xff\xd9"
_FILLER = bytes(range(1, 255, 7)) * 8
"""Pixels that no JPEG has: where they change the picture, its own had ended too soon."""


@dataclass(frozen=True)
class Opened:
    """A decoded image, upright. It is `as_it_is` if its file shows these pixels in any program."""

    image: Image.Image
    as_it_is: bool


class PixelBudget:
    """Lets so many pixels be held at once by all threads together; more than that go alone."""

    def __init__(self, most: int) -> None:
        self._most = self._free = most
        self._changed = threading.Condition()

    @contextmanager
    def held(self, pixels: int) -> Iterator[None]:
        """Wait until there is room for them. A thread that holds some must not ask for more: it could wait for ever."""
        share = min(pixels, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= share)
            self._free -= share
        try:
            yield
        finally:
            with self._changed:
                self._free += share
                self._changed.notify_all()


class _Quiet:
    """Keeps Pillow from warning of what nobody here can mend, while any thread decodes.

    `catch_warnings` alone puts back what it found, and of two threads one would find what the other had put there.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._caught.__exit__(None, None, None)


_BUDGET = PixelBudget(AT_ONCE)
_QUIET = _Quiet()
_POOL = ThreadPoolExecutor(_THREADS, thread_name_prefix="flux-decoding")
"""Threads of its own: those of the event loop write down what is paid, and must not wait for pictures."""


async def in_background(
    function: Callable[Arguments, Answer], *args: Arguments.args, **options: Arguments.kwargs
) -> Answer:
    """Call something that decodes or encodes, off the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_POOL, partial(function, *args, **options))


@contextmanager
def opened(data: bytes, *, most_pixels: int = MAX_PIXELS) -> Iterator[Opened]:
    """Open a file with every pixel of its first frame decoded, upright. They count as held until this is left.

    Only the pixels decide: a file that fails for what is beside them is read without that. Raises InvalidImage when
    the pixels are damaged or cut off, or when it is no image; TooManyPixels, which is one, before any is decoded.
    """
    with _QUIET:
        width, height = _size(data)
        if width * height > most_pixels:
            raise TooManyPixels(f"{width}×{height} pixels are more than the {megapixels(most_pixels)} allowed")
        if max(width, height) > MAX_SIDE:
            raise InvalidImage(f"its {width}×{height} pixels have a longer side than the {MAX_SIDE:,} allowed")
        with _BUDGET.held(width * height):
            image, as_it_is = _decoded(data)
            turned = _turned_upright(image)
            yield Opened(image, as_it_is and not turned)


def megapixels(pixels: int) -> str:
    """Say a bound on pixels as people say it."""
    return f"{pixels / 1e6:.0f} megapixels ({pixels:,} pixels)"


def exif_texts(data: bytes) -> list[str]:
    """Return the texts of a file's EXIF, and decode none of its pixels; of one that cannot be read, none."""
    with _QUIET, suppress(InvalidImage, *_UNREADABLE):
        return [value for value in _opened_lazily(data).getexif().values() if isinstance(value, str)]
    return []


def _size(data: bytes) -> tuple[int, int]:
    """Return the width and height of a file, by its header. Raises InvalidImage."""
    fault = png_fault(data) if data.startswith(PNG) else None
    if fault is not None:
        raise InvalidImage(f"it is damaged: {fault}")
    return _opened_lazily(data).size


def _opened_lazily(data: bytes) -> Image.Image:
    """Read the header of a file, or of its pixels without what is beside them. Raises InvalidImage."""
    try:
        return _header(data)
    except TooManyPixels:
        raise
    except InvalidImage:
        stripped = bare(data)
        if stripped is None:
            raise
        return _header(stripped)


def _decoded(data: bytes) -> tuple[Image.Image, bool]:
    """Decode a file as it is, or else its pixels without what is beside them; tell whether it was the former."""
    try:
        return _loaded(data), True
    except InvalidImage:
        stripped = bare(data)
        for way in () if stripped is None else (_loaded, _closed):
            with suppress(InvalidImage):
                return way(stripped or b""), False
        raise


def _header(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except _BOMBS as error:
        raise TooManyPixels(f"its pixels are more than the {megapixels(MAX_PIXELS)} allowed") from error
    except _UNREADABLE as error:
        raise InvalidImage(_why(error, data)) from error


def _loaded(data: bytes) -> Image.Image:
    image = _header(data)
    try:
        image.load()
    except _UNREADABLE as error:
        raise InvalidImage(_why(error, data)) from error
    return image


def _closed(data: bytes) -> Image.Image:
    """Decode a JPEG that lacks its end mark. Raises InvalidImage when it lacks pixels as well.

    The decoder fills up what is missing without a word: so it is given something to fill up with.
    """
    if not data.startswith(JPEG):
        raise InvalidImage("it is damaged")
    there = data.rstrip(b"\xff")
    ended = _loaded(there + _JPEG_END)
    if ended.tobytes() != _loaded(there + _FILLER + _JPEG_END).tobytes():
        raise InvalidImage("it is damaged: its pixels are cut off")
    return ended


def _turned_upright(image: Image.Image) -> bool:
    """Turn an image as its EXIF orientation says, and tell whether it was; EXIF that cannot be read says nothing."""
    turned = False
    with suppress(*_UNREADABLE):
        turned = image.getexif().get(_ORIENTATION) in _TURNED
        ImageOps.exif_transpose(image, in_place=True)
    return turned


def _why(error: BaseException, data: bytes) -> str:
    if not data:
        return "it is empty"
    if isinstance(error, UnidentifiedImageError):
        kind = sniffed(data)
        if kind is not None and kind.removeprefix("image/").upper() in FORMATS:
            return f"it is {kind} that cannot be read: it is damaged, or of a form that is not known here"
        return f"it is {'' if kind is None else f'{kind}, '}none of {', '.join(FORMATS)}"
    return f"it is damaged: {error}"
