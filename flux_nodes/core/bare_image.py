"""An image file without what is beside its pixels: texts, profiles, checksums of those, a missing end mark.

Whether a picture can be used is decided by its pixels. Sources: PNG specification, section 5; JPEG (ITU-T T.81),
annex B; the WebP container specification.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT"})
_PNG_KEPT = frozenset({b"tRNS", b"eXIf"})
"""Chunks that say how the pixels show: what is transparent, which side is up."""

_PNG_UNPACKED = 2**20
"""Bytes that a compressed text or profile may have for Pillow to take it (PngImagePlugin.MAX_TEXT_CHUNK)."""

_WEBP_PIXELS = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})
_WEBP_ALPHA_OR_MOVING, _WEBP_EXIF = 0x12, 0x08


@dataclass(frozen=True)
class _Chunk:
    """A piece of a file from `start` to `end`, frame included; it is `sound` if it is whole and its checksum right."""

    kind: bytes
    start: int
    end: int
    sound: bool


def bare(data: bytes) -> bytes | None:
    """Return the file with nothing but its pixels and how they show; None where that cannot be told apart."""
    if data.startswith(PNG):
        return _bare_png(data)
    if data.startswith(JPEG):
        return _bare_jpeg(data)
    return _bare_webp(data) if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def png_fault(data: bytes) -> str | None:
    """Say what is wrong with the pixels of a PNG before they are decoded: a chunk that is cut, or changed."""
    for chunk in _png_chunks(data):
        if chunk.kind in _PNG_PIXELS and not chunk.sound:
            return "its pixels are cut off" if chunk.end > len(data) else "the checksum of its pixels is wrong"
    return None


def is_plain_png(data: bytes) -> bool:
    """Tell whether Pillow takes every chunk of a PNG as it is: whole, with the right checksum, and not too large."""
    kind = b""
    for chunk in _png_chunks(data):
        kind = chunk.kind
        if not chunk.sound or _unpacks_to_much(data, chunk):
            return False
    return kind == b"IEND"


def _unpacks_to_much(data: bytes, chunk: _Chunk) -> bool:
    packed = _packed(chunk.kind, data[chunk.start + 8 : chunk.end - 4])
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(packed, _PNG_UNPACKED)
    except zlib.error:
        return False
    return bool(unpacker.unconsumed_tail)


def _packed(kind: bytes, body: bytes) -> bytes:
    """Return the compressed part of a text or a profile."""
    rest = body.partition(b"\0")[2]
    if kind == b"iTXt" and rest[:1] == b"\1":
        return rest[2:].split(b"\0", 2)[-1]
    return rest[1:] if kind in {b"zTXt", b"iCCP"} else b""


def _png_chunks(data: bytes) -> Iterator[_Chunk]:
    """Yield the chunks up to the end mark, the last of them perhaps cut off."""
    at, kind = len(PNG), b""
    while kind != b"IEND" and at + 8 <= len(data):
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        checksum = int.from_bytes(data[end - 4 : end], "big")
        yield _Chunk(kind, at, end, end <= len(data) and zlib.crc32(memoryview(data)[at + 4 : end - 4]) == checksum)
        at = end


def _bare_png(data: bytes) -> bytes:
    kept = [
        data[chunk.start : chunk.end]
        for chunk in _png_chunks(data)
        if chunk.kind in _PNG_PIXELS or (chunk.kind in _PNG_KEPT and chunk.sound)
    ]
    return b"".join((PNG, *kept, _PNG_END))


def _bare_jpeg(data: bytes) -> bytes | None:
    """Keep the segments that the decoder needs, and which side is up, then everything from the first scan on."""
    kept, at = [JPEG], 2
    while data[at : at + 1] == b"\xff":
        marker, size = data[at + 1 : at + 2], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == b"\xff":  # a byte that fills
            at += 1
            continue
        if marker == b"\xda":
            return b"".join((*kept, data[at:]))
        segment = data[at : at + 2 + size]
        if _is_wanted(marker, segment[4:]):
            kept.append(segment)
        at += 2 + size
    return None


def _is_wanted(marker: bytes, body: bytes) -> bool:
    if marker == b"\xe0":
        return body.startswith(b"JFIF\0") and len(body) >= 14
    if marker == b"\xe1":
        return body.startswith(b"Exif\0")
    if marker == b"\xee":
        return body.startswith(b"Adobe") and len(body) >= 12  # says which colours the numbers mean
    return not (0xE0 <= marker[0] <= 0xEF or marker == b"\xfe") if marker else False


def _bare_webp(data: bytes) -> bytes | None:
    chunks = list(_webp_chunks(data))
    pixels = [chunk for chunk in chunks if chunk.kind in _WEBP_PIXELS]
    if not pixels or not pixels[0].sound or (pixels[0].kind == b"ALPH" and not all(chunk.sound for chunk in pixels)):
        return None
    exif = [chunk for chunk in chunks if chunk.kind == b"EXIF" and chunk.sound][:1]
    head = [chunk for chunk in chunks if chunk.kind == b"VP8X" and chunk.sound][:1]
    kept = [chunk for chunk in (*pixels, *(exif if head else ())) if chunk.sound]
    body = b"WEBP" + b"".join(_webp_head(data, chunk, has_exif=bool(exif)) for chunk in head)
    body += b"".join(data[chunk.start : chunk.end].ljust(chunk.end - chunk.start, b"\0") for chunk in kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _webp_head(data: bytes, head: _Chunk, *, has_exif: bool) -> bytes:
    flags = data[head.start + 8] & _WEBP_ALPHA_OR_MOVING | (_WEBP_EXIF if has_exif else 0)
    return data[head.start : head.start + 8] + bytes([flags]) + data[head.start + 9 : head.end]


def _webp_chunks(data: bytes) -> Iterator[_Chunk]:
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield _Chunk(data[at : at + 4], at, at + 8 + size + size % 2, at + 8 + size <= len(data))
        at += 8 + size + size % 2
