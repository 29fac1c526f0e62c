"""What lives as long as the server: the opened generations, and the carriages that carry them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

import anyio

from mcp_server.carriage import LAST_WORDS, Carrier
from mcp_server.leaving import heard_out

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from flux_nodes.core import Generations, Settings

DOOR = "assistant"
"""How the journal names what was started here."""


_SANDBOX = "sandbox"
"""The name that the settings give the pretended service; settings are not loaded before a tool needs them."""


class State:
    """The lifespan state. Nothing is read or opened before a tool needs it: a server without a key starts as well."""

    def __init__(
        self,
        source: Callable[[], Settings],
        *,
        image_folders: tuple[Path, ...],
        patience: float,
        stack: AsyncExitStack,
    ) -> None:
        self.carrier = Carrier(patience)
        self._image_folders = image_folders
        self._source = source
        self._stack = stack
        self._opening: asyncio.Task[Generations] | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, source: Callable[[], Settings], image_folders: tuple[Path, ...], patience: float, *, by_signal: bool
    ) -> AsyncIterator[State]:
        """Hold the state for as long as a server runs; at the end, stop what it carries and close what it opened.

        One that is ended `by_signal` hears out what may be paid then, too.
        """
        async with AsyncExitStack() as stack:
            state = cls(source, image_folders=image_folders, patience=patience, stack=stack)
            with heard_out(state.carrier) if by_signal else nullcontext():
                try:
                    yield state
                finally:
                    with anyio.move_on_after(LAST_WORDS + 1, shield=True):
                        await state.carrier.aclose()

    async def generations(self) -> Generations:
        """Return the generations, opened by the first call. Raises InvalidSettings, StorageError.

        While no key is set, each call looks for one anew: whoever stores a key need not restart the server.
        """
        if self._opening is None or self._is_useless(self._opening):
            # A task of the server's own: a call that is cancelled must not leave a half opened journal.
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    @property
    def is_pretended(self) -> bool:
        """Whether the service that was opened is the sandbox; False while none is."""
        opening = self._opening
        if opening is None or not opening.done() or opening.cancelled() or opening.exception() is not None:
            return False
        return opening.result().settings.service_name == _SANDBOX

    def image_folders(self, generations: Generations) -> tuple[Path, ...]:
        """Return the folders in which a file may be read as an image prompt: the image store, and those named."""
        return (generations.settings.images, *self._image_folders)

    def _is_useless(self, opening: asyncio.Task[Generations]) -> bool:
        if not opening.done():
            return False
        if opening.cancelled() or opening.exception() is not None:
            return True
        return opening.result().settings.api_key is None and self._source().api_key is not None

    async def _open(self) -> Generations:
        from flux_nodes.core.generations import Generations  # numpy, Pillow and SQLAlchemy come with the first use

        return await self._stack.enter_async_context(Generations.open(self._source(), door=DOOR))
