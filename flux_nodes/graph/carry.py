"""An image file made to carry texts, as a PNG, and not a pixel of it changed.

A PNG keeps its compressed pixels byte for byte: the texts are put before them. Any other format is decoded once and
written as a PNG. Source: PNG specification, sections 5.3 (chunks) and 11.3.3 (texts).
Everything here computes; call it through `asyncio.to_thread`.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ..core.bare_image import bare, is_plain_png, png_fault
from ..core.content_credentials import PNG_CHUNK as MANIFEST
from ..core.errors import InvalidImage
from ..core.image_chunks import png_info

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from PIL.Image import Image as Picture

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FRAME = 12
"""Bytes of a chunk beside its body: length, kind, checksum."""

_PIXELS = b"IDAT"
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"comf"})
"""Chunks that begin with the name of a text; `comf` is ComfyUI's own, in animations."""

_AS_THEY_ARE = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B"})
"""Pillow's modes that a PNG holds without loss."""


def carrying(data: bytes, texts: Mapping[str, str]) -> bytes:
    """Return an image file as a PNG that carries these texts; others of the same names are replaced.

    A signed manifest stays behind: beside other texts its signature would not hold, and the file would look forged.

    Raises InvalidImage when it is damaged or no image.
    """
    if not data.startswith(_SIGNATURE):
        return _rewritten(data, texts)
    fault = png_fault(data)
    if fault is not None:
        raise InvalidImage(f"it is damaged: {fault}")
    # A copy that other programs refuse, for what is beside its pixels, would be of no use.
    return _inserted(data if is_plain_png(data) else bare(data) or data, texts)


def _inserted(data: bytes, texts: Mapping[str, str]) -> bytes:
    names = {name.encode("latin-1") for name in texts}
    target = io.BytesIO()
    target.write(_SIGNATURE)
    has_pixels = False
    for kind, chunk in _chunks(data):
        if kind == _PIXELS and not has_pixels:
            has_pixels = True
            _write(target, texts)
        if kind == MANIFEST:
            continue
        if kind not in _TEXTS or bytes(chunk[8:-4]).partition(b"\0")[0] not in names:
            target.write(chunk)
    if not has_pixels:
        raise InvalidImage("it is damaged: a PNG without pixels")
    return target.getvalue()


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield each chunk of a PNG, whole, with its kind; what follows the end is dropped. Raises InvalidImage."""
    view, at, kind = memoryview(data), len(_SIGNATURE), b""
    while kind != b"IEND":
        end = at + _FRAME + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            raise InvalidImage("it is damaged: a PNG that ends too soon")
        kind = data[at + 4 : at + 8]
        yield kind, view[at:end]
        at = end


def _write(target: io.BytesIO, texts: Mapping[str, str]) -> None:
    from PIL.PngImagePlugin import putchunk

    for kind, body, *_ in png_info(texts).chunks:
        putchunk(target, kind, body)


def _rewritten(data: bytes, texts: Mapping[str, str]) -> bytes:
    from ..core.decoding import opened

    target = io.BytesIO()
    with opened(data) as found:
        picture = found.image
        kept = picture if picture.mode in _AS_THEY_ARE else _flat(picture)
        # Level 4 is near the smallest file at a third of the default's time, as for every PNG that is written here.
        kept.save(target, "PNG", pnginfo=png_info(texts), compress_level=4)
    return target.getvalue()


def _flat(picture: Picture) -> Picture:
    """Return a picture of colours that a PNG cannot hold (CMYK, say) as RGB; its profile would be of no use there."""
    if picture.mode.startswith("I"):
        return picture.convert("I;16")
    flat = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    flat.info.pop("icc_profile", None)
    return flat
