"""Image files to arrays and back.

An array is float32, [B, H, W, C], values 0..1, C 3 (RGB) or 4 (RGBA with straight alpha): what ComfyUI calls an IMAGE.
Everything here computes; call it through `decoding.in_background`, or use `decoded`, which does.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .decoding import MAX_PIXELS as MAX_PIXELS  # it belongs to what this module says
from .decoding import in_background, opened
from .errors import InvalidImage
from .image_chunks import png_info
from .media_type import UNKNOWN, sniffed
from .store import EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

LONGEST = 2048
"""The most pixels a side of an image prompt: what the models look at is smaller still."""

_SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})
_STRIP = 2**22
"""Pixels that are turned into colours at a time: a whole image would take its memory once more."""


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What a file holds: its media type, and the size in pixels that it shows at (EXIF orientation applied).

    The size of one that nothing here can open is not known.
    """

    media_type: str
    width: int | None = None
    height: int | None = None

    @property
    def extension(self) -> str:
        """The file name's ending, with its dot."""
        return EXTENSIONS.get(self.media_type, ".img")


def inspect(data: bytes, *, most_pixels: int = MAX_PIXELS) -> ImageFacts:
    """Read what a file is by decoding all of it.

    Raises InvalidImage when it is truncated or no image, and TooManyPixels, which is one, before any is decoded.
    """
    with opened(data, most_pixels=most_pixels) as found:
        width, height = found.image.size
    return ImageFacts(media_type=sniffed(data) or UNKNOWN, width=width, height=height)


def pixel_digest(data: bytes) -> str:
    """Return a digest of a file's pixels, as they are sent when an array of them is; another file may share it.

    Raises InvalidImage.
    """
    with opened(data) as found:
        return digest(found.image)


def digest(image: Image.Image) -> str:
    """Return the digest of an image's pixels, of 8 bits each."""
    mode = _flat_mode(image)
    pixels = hashlib.sha256(f"{mode} {image.size}".encode())
    for _, strip in _strips(image):
        pixels.update(flat(strip).tobytes())
    return pixels.hexdigest()


def _flat_mode(image: Image.Image) -> str:
    """Return the mode that `flat` gives."""
    return "RGB" if image.mode in _SIXTEEN_BITS or not _has_alpha(image) else "RGBA"


def flat(image: Image.Image) -> Image.Image:
    """Return an image as RGB, or as RGBA where it has any transparency."""
    if image.mode in _SIXTEEN_BITS:
        return picture(_pixels(image))
    return image.convert("RGBA" if _has_alpha(image) else "RGB")


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield an image in strips of its whole width, each with the row that it begins at."""
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def decode(data: bytes, *, most_pixels: int = MAX_PIXELS) -> Array:
    """Turn a file into an array [1, H, W, C]. Raises InvalidImage."""
    with opened(data, most_pixels=most_pixels) as found:
        image = found.image
        array = np.empty((1, image.height, image.width, len(_flat_mode(image))), np.float32)
        for top, strip in _strips(image):
            array[0, top : top + strip.height] = _pixels(strip)
    return array


async def decoded(data: bytes) -> Array:
    """Do what `decode` does, off the event loop."""
    return await in_background(decode, data)


def _pixels(image: Image.Image) -> Array:
    if image.mode in _SIXTEEN_BITS:
        # Pillow would clip 16-bit grey at 255 instead of scaling it.
        grey = np.asarray(image, dtype=np.float32) * np.float32(1 / 65535)
        return np.repeat(grey.clip(0, 1)[:, :, None], 3, axis=2)
    scaled: Array = np.asarray(flat(image), dtype=np.uint8) * np.float32(1 / 255)
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


def image_prompt(array: Array, *, longest: int = LONGEST) -> bytes:
    """Write one array [H, W, C] as the PNG file of an image prompt, scaled down to at most `longest` pixels a side."""
    return quick_png(shrunk(picture(array), longest))


def quick_png(image: Image.Image) -> bytes:
    """Write an image as a PNG file, in little time rather than in few bytes."""
    target = io.BytesIO()
    image.save(target, "PNG", compress_level=1)
    return target.getvalue()


def shrunk(image: Image.Image, longest: int) -> Image.Image:
    """Scale an image of 8 bits down to at most `longest` pixels a side; a smaller one is left as it is."""
    if max(image.size) > longest:
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return image


def prompt_pixels(image: Image.Image) -> Image.Image:
    """Make an image what an image prompt shows: RGB or RGBA, at most LONGEST pixels a side. It is used up."""
    if image.mode in {"1", "L"} and not _has_alpha(image):
        # Grey is scaled as grey, in a quarter of the memory; each colour would be the same.
        whole = flat(shrunk(image.convert("L"), LONGEST))
    else:
        whole = shrunk(image if image.mode == "RGBA" or _is_plain(image) else _flat_in_strips(image), LONGEST)
    whole.info = {}  # a profile, say, which is not for these pixels alone
    return whole


def _is_plain(image: Image.Image) -> bool:
    return image.mode == "RGB" and not _has_alpha(image)


def _flat_in_strips(image: Image.Image) -> Image.Image:
    whole = Image.new(_flat_mode(image), image.size)
    for top, strip in _strips(image):
        whole.paste(flat(strip), (0, top))
    return whole


def preview(data: bytes, *, longest: int = 1024, most: int = 500_000, xmp: str = "") -> bytes:
    """Make a JPEG of a file, at most `longest` pixels a side and `most` bytes, with an XMP packet in it.

    Raises InvalidImage.
    """
    with opened(data) as found:
        image = prompt_pixels(found.image)
    flat_image = Image.new("RGB", image.size, "white")
    rgba = image.convert("RGBA")
    flat_image.paste(rgba, mask=rgba.getchannel("A"))
    flat_image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    for quality in (88, 75, 60, 45, 30):
        small = _jpeg(flat_image, quality, xmp)
        if len(small) <= most:
            return small
    while len(small) > most and min(flat_image.size) > 1:
        flat_image = flat_image.reduce(2)
        small = _jpeg(flat_image, 30, xmp)
    return small


def _jpeg(image: Image.Image, quality: int, xmp: str) -> bytes:
    target = io.BytesIO()
    image.save(target, "JPEG", quality=quality, optimize=True, xmp=xmp.encode())
    return target.getvalue()
