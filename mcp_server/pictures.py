"""The files that answers name: each image as a PNG that carries its graph, made once, when it is first told.

They are copies: the service's own bytes stay in the image store.
"""

from __future__ import annotations

import asyncio
import os
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from flux_nodes.core.content_credentials import PNG_CHUNK as MANIFEST
from flux_nodes.core.errors import StorageError, UnreadableImage
from flux_nodes.core.store import write_whole
from flux_nodes.graph.provenance import file_name, picture

if TYPE_CHECKING:
    from flux_nodes.core import Generation, Generations, Settings

_SIGNATURE, _FRAME = 8, 12
"""Bytes of a PNG's signature, and of a chunk beside its body."""

_NAMED = re.compile(r".*\b(g-[0-9a-z]{4,20})\.png")


def folder(settings: Settings) -> Path:
    """Return the folder that holds them."""
    return (settings.home / "pictures").absolute()


async def picture_file(generation: Generation, generations: Generations, *, collect: bool = True) -> Path | None:
    """Return the file of a generation's picture; None while it has no image, and of one that nothing here can open.

    Its image is collected again if it is damaged or missing, unless `collect` is false: None then.
    Raises StorageError, ImageUnavailable.
    """
    if generation.status != "stored":
        return None
    file = folder(generations.settings) / file_name(generation)
    if not await asyncio.to_thread(_is_whole, file):
        original = generations.file(generation)
        if not collect and (original is None or not original.is_file()):
            return None
        try:
            data = await picture(generations, generation)
        except UnreadableImage:
            return None  # its original is told, and in words
        try:
            await asyncio.to_thread(write_whole, file, data)
        except OSError as error:
            raise StorageError(
                f"The picture of {generation.id} cannot be written to {file.parent}: {error.strerror or error}. "
                f"Its image is stored all the same: {generations.file(generation)}"
            ) from error
    return file


def _is_whole(file: Path) -> bool:
    """Tell whether a PNG is there whole, by the checksum of each of its chunks: a copy has no digest to go by.

    One with a manifest is a copy that version 0.3 made of a signed image, and would be called forged: it is made again.

    Source: PNG specification, section 5.3.
    """
    try:
        data = memoryview(file.read_bytes())
    except OSError:
        return False
    at, kind = _SIGNATURE, b""
    while kind != b"IEND" and at + _FRAME <= len(data):
        end = at + _FRAME + int.from_bytes(data[at : at + 4], "big")
        kind = bytes(data[at + 4 : at + 8])
        if kind == MANIFEST:
            return False
        if end > len(data) or zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return False
        at = end
    return kind == b"IEND" and at == len(data)


def shown_by(path: Path, settings: Settings) -> str | None:
    """Return the id of the generation whose picture a path names; None for any other path."""
    bare = Path(os.path.normpath(path))
    named = _NAMED.fullmatch(bare.name) if bare.parent == folder(settings) else None
    return None if named is None else named[1]
