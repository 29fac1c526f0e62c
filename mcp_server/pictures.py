"""The files that answers name: each image as a PNG that carries its graph, made once, when it is first told.

They are copies: the service's own bytes stay in the image store.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from flux_nodes.core.errors import StorageError, UnreadableImage
from flux_nodes.core.store import write_whole
from flux_nodes.graph.provenance import file_name, picture

if TYPE_CHECKING:
    from flux_nodes.core import Generation, Generations, Settings

_NAMED = re.compile(r".*\b(g-[0-9a-z]{4,20})\.png")


def folder(settings: Settings) -> Path:
    """Return the folder that holds them."""
    return (settings.home / "pictures").absolute()


async def picture_file(generation: Generation, generations: Generations) -> Path | None:
    """Return the file of a generation's picture; None while it has no image, and of one that nothing here can open.

    Raises StorageError.
    """
    if generation.status != "stored":
        return None
    file = folder(generations.settings) / file_name(generation)
    if not file.is_file():
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


def shown_by(path: Path, settings: Settings) -> str | None:
    """Return the id of the generation whose picture a path names; None for any other path."""
    bare = Path(os.path.normpath(path))
    named = _NAMED.fullmatch(bare.name) if bare.parent == folder(settings) else None
    return None if named is None else named[1]
