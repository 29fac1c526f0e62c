"""Image files to arrays and back.

An array is float32, [B, H, W, C], values 0..1, C 3 (RGB) or 4 (RGBA with straight alpha): what ComfyUI calls an IMAGE.
Everything here computes; call it through `asyncio.to_thread`, or use `decoded`, which does.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import struct
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import InvalidImage, TooManyPixels
from .image_chunks import png_info
from .store import EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""What is read at all: the decoders of other formats stay out of reach of bytes from outside."""

MAX_PIXELS = 64_000_000
"""More pixels than this are refused before they are decoded (flux-pro-1.1-ultra makes four million)."""

_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
"""Pillow's own refusals, which come before ours; the warning rises where warnings are errors."""

_SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What a file holds: its media type, and the size in pixels that it shows at (EXIF orientation applied)."""

    media_type: str
    width: int
    height: int

    @property
    def extension(self) -> str:
        """The file name's ending, with its dot."""
        return EXTENSIONS.get(self.media_type, ".img")


def _open(data: bytes, most_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open a file and decode every pixel of its first frame, or raise InvalidImage."""
    with _quiet_about_exif():
        return _whole(data, most_pixels)


def _whole(data: bytes, most_pixels: int) -> Image.Image:
    try:
        # Pillow calls a PNG whole as soon as its pixels are; verify reads every checksum up to the end mark.
        Image.open(io.BytesIO(data), formats=FORMATS).verify()
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > most_pixels:
            raise TooManyPixels(f"{image.width}×{image.height} pixels are more than the {most_pixels:,} allowed")
        image.load()
    except _BOMBS as error:
        raise TooManyPixels(f"its pixels are more than the {most_pixels:,} allowed") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InvalidImage(_why(error, data)) from error
    return image


def _upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF orientation says; EXIF that cannot be read says nothing."""
    try:
        with _quiet_about_exif():
            return ImageOps.exif_transpose(image)
    except (SyntaxError, TypeError, ValueError, KeyError, OSError, struct.error):
        return image


@contextmanager
def _quiet_about_exif() -> Iterator[None]:
    """Keep Pillow from warning of EXIF that it cannot read: nobody here can mend it, and the pixels are whole."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Corrupt EXIF", UserWarning)
        yield


def _why(error: BaseException, data: bytes) -> str:
    if not data:
        return "it is empty"
    if isinstance(error, UnidentifiedImageError):
        return f"it is none of {', '.join(FORMATS)}"
    return f"it is damaged: {error}"


def inspect(data: bytes, *, most_pixels: int = MAX_PIXELS) -> ImageFacts:
    """Read what a file is by decoding all of it.

    Raises InvalidImage when it is truncated or no image, and TooManyPixels, which is one, before any is decoded.
    """
    image = _open(data, most_pixels)
    media_type = Image.MIME.get(image.format or "", "application/octet-stream")
    width, height = _upright(image).size
    return ImageFacts(media_type=media_type, width=width, height=height)


def pixel_digest(data: bytes) -> str:
    """Return a digest of a file's pixels, as they are sent when an array of them is; another file may share it.

    Raises InvalidImage.
    """
    image = _upright(_open(data))
    if image.mode in _SIXTEEN_BITS:
        image = picture(_pixels(image))
    return digest(image)


def digest(image: Image.Image) -> str:
    """Return the digest of an image's pixels, of 8 bits each."""
    flat = image.convert("RGBA" if _has_alpha(image) else "RGB")
    return hashlib.sha256(f"{flat.mode} {flat.size}".encode() + flat.tobytes()).hexdigest()


def decode(data: bytes) -> Array:
    """Turn a file into an array [1, H, W, C]. Raises InvalidImage."""
    return _pixels(_upright(_open(data)))[None]


async def decoded(data: bytes) -> Array:
    """Do what `decode` does, off the event loop."""
    return await asyncio.to_thread(decode, data)


def _pixels(image: Image.Image) -> Array:
    if image.mode in _SIXTEEN_BITS:
        # Pillow would clip 16-bit grey at 255 instead of scaling it.
        grey = np.asarray(image, dtype=np.float32) * np.float32(1 / 65535)
        return np.repeat(grey.clip(0, 1)[:, :, None], 3, axis=2)
    flat = image.convert("RGBA" if _has_alpha(image) else "RGB")
    scaled: Array = np.asarray(flat, dtype=np.uint8) * np.float32(1 / 255)
    return scaled


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info


def to_bytes(array: Array) -> NDArray[np.uint8]:
    """Round an array of 0..1 to 0..255; values outside are clipped, NaN becomes 0."""
    scaled: Array = np.nan_to_num(array, nan=0.0) * np.float32(255) + np.float32(0.5)
    rounded: NDArray[np.uint8] = scaled.clip(0, 255).astype(np.uint8)
    return rounded


def picture(array: Array) -> Image.Image:
    """Turn one array [H, W, C] (C 1, 3 or 4) into a Pillow image. Raises InvalidImage for any other shape."""
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise InvalidImage(f"an array of shape {list(array.shape)} is no image; [height, width, 3 or 4] is")
    pixels = to_bytes(array)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def encode(array: Array, *, text: Mapping[str, str] | None = None) -> bytes:
    """Write one array [H, W, C] as a PNG file, with text chunks. Raises InvalidImage for a shape that is no image."""
    return png(picture(array), text=text)


def png(image: Image.Image, *, text: Mapping[str, str] | None = None) -> bytes:
    """Write an image as a PNG file, with text chunks."""
    target = io.BytesIO()
    # Level 4 is Pillow's own trade for ComfyUI-sized images: near the smallest file at a third of the default's time.
    image.save(target, "PNG", pnginfo=png_info(text or {}), compress_level=4)
    return target.getvalue()


def image_prompt(array: Array, *, longest: int = 2048) -> bytes:
    """Write one array [H, W, C] as the PNG file of an image prompt, scaled down to at most `longest` pixels a side."""
    image = picture(array)
    if max(image.size) > longest:
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    target = io.BytesIO()
    image.save(target, "PNG", compress_level=1)
    return target.getvalue()


def preview(data: bytes, *, longest: int = 1024, most: int = 500_000, xmp: str = "") -> bytes:
    """Make a JPEG of a file, at most `longest` pixels a side and `most` bytes, with an XMP packet in it.

    Raises InvalidImage.
    """
    image = _upright(_open(data))
    flat = Image.new("RGB", image.size, "white")
    rgba = image.convert("RGBA")
    flat.paste(rgba, mask=rgba.getchannel("A"))
    flat.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    for quality in (88, 75, 60, 45, 30):
        small = _jpeg(flat, quality, xmp)
        if len(small) <= most:
            return small
    while len(small) > most and min(flat.size) > 1:
        flat = flat.reduce(2)
        small = _jpeg(flat, 30, xmp)
    return small


def _jpeg(image: Image.Image, quality: int, xmp: str) -> bytes:
    target = io.BytesIO()
    image.save(target, "JPEG", quality=quality, optimize=True, xmp=xmp.encode())
    return target.getvalue()
