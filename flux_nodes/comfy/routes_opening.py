"""Opens the generations for a route: its libraries load off the event loop, which is the whole server's."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from .quiet import quiet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..core.generations import Generations
    from ..core.settings import Settings

DOOR = "comfyui"
"""What this door is called in the journal."""


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Generations]:
    """Open the generations for one request, which takes milliseconds. Raises InvalidSettings, StorageError."""
    kind = await asyncio.to_thread(_loaded)
    with quiet():
        async with kind.open(settings, door=DOOR) as generations:
            yield generations


def _loaded() -> type[Generations]:
    import_module("..core.journal", __package__)
    from ..core.generations import Generations

    return Generations
