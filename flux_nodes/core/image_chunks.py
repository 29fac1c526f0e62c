"""The chunks of image files, read without decoding a pixel, and the text chunks of a PNG to be written.

Sizes that a file states are never trusted: a chunk that claims to be longer than the file ends with the file, and what
is compressed is unpacked up to a bound. Sources: PNG specification, sections 5.3 and 11.3.3; ITU-T T.81, annex B (JPEG
markers); WebP container specification (RIFF); ISO/IEC 14496-12, section 4.2 (boxes).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from PIL.PngImagePlugin import PngInfo

Chunk = tuple[bytes, memoryview]
"""The kind of a chunk (a JPEG segment's is its marker, b"\\xff\\xe1") and its body, which is a view of the file."""

PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_SCAN = 0xDA
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers of JPEG that no length follows."""


def chunks(data: bytes) -> Iterator[Chunk] | None:
    """Return the chunks of a PNG, JPEG, WebP or of a file of boxes (AVIF, HEIC, JPEG XL); None of any other file.

    Of a JPEG those before its pixels.
    """
    if data.startswith(PNG):
        return _png(data)
    if data.startswith(_JPEG):
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _riff(data)
    return _boxes(data) if data[4:8] in (b"ftyp", b"JXL ") else None


def png_text(kind: bytes, body: bytes, *, most: int) -> tuple[str, bytes] | None:
    """Return the name and the words of a text chunk, unpacked up to `most` bytes.

    None for any other chunk, or a broken one.
    """
    name, _, rest = body.partition(b"\0")
    words: bytes | None = None
    if kind in (b"tEXt", b"comf"):
        words = rest
    elif kind == b"zTXt":
        words = _unpacked(rest[1:], most)
    elif kind == b"iTXt":
        packed = rest[2:].split(b"\0", 2)[-1]
        words = _unpacked(packed, most) if rest[:1] == b"\1" else packed
    return None if words is None else (name.decode("latin-1"), words)


def png_info(texts: Mapping[str, str]) -> PngInfo:
    """Return the text chunks of a PNG that Pillow writes; XMP in the kind of chunk that XMP is looked for in."""
    from PIL.PngImagePlugin import PngInfo

    from .xmp import KEYWORD

    info = PngInfo()
    for name, words in texts.items():
        if name == KEYWORD:
            info.add_itxt(name, words)
        else:
            info.add_text(name, words)
    return info


def _png(data: bytes) -> Iterator[Chunk]:
    view, at = memoryview(data), len(PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], view[at + 8 : at + 8 + length]
        at += 12 + length


def _jpeg(data: bytes) -> Iterator[Chunk]:
    view, at = memoryview(data), 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _STANDALONE:  # any number of fill bytes may stand before a marker
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _SCAN or length < 2:
            return
        yield data[at : at + 2], view[at + 4 : at + 2 + length]
        at += 2 + length


def _riff(data: bytes) -> Iterator[Chunk]:
    view, at = memoryview(data), 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], view[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _boxes(data: bytes) -> Iterator[Chunk]:
    view, at = memoryview(data), 0
    while at + 8 <= len(data):
        length, head = int.from_bytes(data[at : at + 4], "big"), 8
        if length == 1:
            length, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif length == 0:
            length = len(data) - at
        if length < head:
            return
        yield data[at + 4 : at + 8], view[at + head : at + length]
        at += length


def _unpacked(packed: bytes, most: int) -> bytes | None:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, most)
    except zlib.error:
        return None
    return None if unpacker.unconsumed_tail else text
