"""The images of generations as the one batch that a node gives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .words import summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.generation import Generation
    from ..core.images import Array
    from .face import Context


async def batch(context: Context, generations: Sequence[Generation], *, collected: bool = False) -> tuple[Array, str]:
    """Return the images of stored generations as one array [B, H, W, C], and what to say of them on the node.

    Images of another size than the first's are scaled and cropped to it, which is said. Raises StorageError and
    UnreadableImage.
    """
    from .joining import joined

    apart = {generation.id: generation for generation in generations}
    loaded = await asyncio.gather(*(context.generations.array(each) for each in apart.values()))
    arrays = dict(zip(apart, loaded, strict=True))
    images = [arrays[generation.id] for generation in generations]
    rows, columns = images[0].shape[1:3]
    fitted = any(image.shape[1:3] != (rows, columns) for image in images)
    note = f" · in the first one's size, {columns}×{rows}" if fitted else ""
    return await asyncio.to_thread(joined, images), summary(generations, collected=collected) + note
