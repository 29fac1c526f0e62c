"""The workflow inside an image file, as ComfyUI writes it there.

PNG: text chunks `prompt` and `workflow` (nodes.py, SaveImage; an animated PNG keeps them in `comf` chunks). WebP and
JPEG: EXIF texts "prompt:{…}" and "workflow:{…}" (comfy_extras/nodes_images.py, SaveAnimatedWEBP).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

NAMES = ("prompt", "workflow")
_PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = frozenset({b"tEXt", b"comf", b"zTXt", b"iTXt"})
_MOST_TEXT = 32 * 2**20
"""A compressed text may unpack to this much."""


def is_image(data: bytes) -> bool:
    """Tell whether a file is of a kind that ComfyUI writes workflows into."""
    return data.startswith((_PNG, b"\xff\xd8\xff")) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def texts(data: bytes, names: Collection[str] = NAMES) -> dict[str, str]:
    """Return the texts of these names that an image file carries; a damaged file gives what comes before."""
    pairs = _png_texts(data, names) if data.startswith(_PNG) else _exif_texts(data)
    found: dict[str, str] = {}
    for name, text in pairs:
        if name in names:
            found.setdefault(name, text)
    return found


def _png_texts(data: bytes, names: Collection[str]) -> Iterator[tuple[str, str]]:
    wanted = {name.encode() for name in names}
    for kind, body in _chunks(data):
        name, _, rest = body.partition(b"\0")
        if kind in _TEXTS and name in wanted:
            wanted.remove(name)  # a small file can hold thousands that each unpack to the most
            text = _text(kind, rest)
            if text is not None:
                yield name.decode(), _decoded(text)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _text(kind: bytes, rest: bytes) -> bytes | None:
    """Return the words of a text chunk, after its name (PNG specification, sections 11.3.3.2 to 11.3.3.4)."""
    if kind in (b"tEXt", b"comf"):
        return rest
    if kind == b"zTXt":
        return _unpacked(rest[1:])
    if kind == b"iTXt":
        words = rest[2:].split(b"\0", 2)[-1]
        return _unpacked(words) if rest[:1] == b"\1" else words
    return None


def _unpacked(packed: bytes) -> bytes | None:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, _MOST_TEXT)
    except zlib.error:
        return None
    return None if unpacker.unconsumed_tail else text


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _exif_texts(data: bytes) -> Iterator[tuple[str, str]]:
    from ..core.decoding import exif_texts  # Pillow loads with the first image that is no PNG

    for value in exif_texts(data):
        name, _, text = value.partition(":")
        yield name.strip().lower(), _as_utf_8(text)


def _as_utf_8(text: str) -> str:
    """Undo that Pillow reads EXIF as Latin-1: what saves a workflow there with letters beyond ASCII writes UTF-8."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text
