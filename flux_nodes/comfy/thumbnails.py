"""Small pictures of stored images, each made once and kept in the home by the digest of what it shows."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..core.generation import Generation
    from ..core.generations import Generations

LONGEST = 320
"""The longest side, in pixels."""

_AT_ONCE = ThreadPoolExecutor(2, thread_name_prefix="flux-thumbnails")
"""A sidebar asks for fifty together: they must neither take every core nor hold fifty images in memory."""


async def thumbnail(generations: Generations, generation: Generation) -> bytes:
    """Return a JPEG of a stored image, at most LONGEST pixels a side.

    Raises UnreadableImage, StorageError, and FileNotFoundError when the image is missing or damaged on the disk: so
    small a picture is no reason to ask the service.
    """
    from ..core.errors import InvalidImage

    kept = generations.settings.home / "thumbnails" / f"{generation.sha256}.jpg"
    try:
        return await asyncio.get_running_loop().run_in_executor(
            _AT_ONCE, _thumbnail, kept, partial(generations.kept_data, generation)
        )
    except InvalidImage as error:
        raise generations.unreadable(generation, error) from error


def _thumbnail(kept: Path, read: Callable[[], bytes | None]) -> bytes:
    from ..core.images import preview  # the image libraries load with the first picture
    from ..core.store import write_whole
    from ..core.xmp import TRAINED, packet

    with suppress(OSError):
        return kept.read_bytes()
    data = read()
    if data is None:
        raise FileNotFoundError("the image is missing or damaged")
    small = preview(data, longest=LONGEST, xmp=packet(TRAINED))
    with suppress(OSError):  # on a full disk it is made anew each time
        write_whole(kept, small)
    return small
