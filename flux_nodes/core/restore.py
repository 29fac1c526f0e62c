"""Brings stored images back that are damaged or missing on the disk: they are paid for, so that is free."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from .errors import (
    FluxNodesError,
    ImageUnavailable,
    KeyRefused,
    MissingKey,
    OtherService,
    ServiceRefused,
    StorageError,
    TooManyRequests,
)
from .unbroken import blocking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .client import ApiframeClient
    from .generation import Generation
    from .journal import Journal
    from .store import ImageStore

    Bring = Callable[[Generation, str, list[str], float | None], Awaitable[Generation]]
    """Brings the image at an address into the store, and records it, insisting for so many seconds."""

_INSIST = 5.0
"""Seconds in which an image that was here before is asked for again: its host has had the time to get it."""

_GONE = frozenset({403, 404, 410})
"""Answers of an image's host that no later one will differ from, where the image was there before."""


class Restorer:
    """Restores for one door."""

    def __init__(
        self, *, client: ApiframeClient, journal: Journal, store: ImageStore, service: str, bring: Bring
    ) -> None:
        self._client = client
        self._journal = journal
        self._store = store
        self._service = service
        self._bring = bring

    async def restored(self, known: Generation) -> Generation:
        """Bring an image back. Raises StorageError, and ImageUnavailable, whose words say all that is known."""
        if await blocking(self._store.holds, known):  # somebody has put the file back
            from .result_image import unopened  # Pillow loads when a lost image is looked at

            return await blocking(self._journal.found, known.id, unopened(known, self._store.file(known)))
        try:
            return await self._again(known)
        except StorageError:
            raise
        except FluxNodesError as error:
            words = self._in_words(known, error)
            if _is_final(error):
                await blocking(self._journal.gone, known.id, words)
            raise ImageUnavailable(words, generation_id=known.id) from error

    async def _again(self, known: Generation) -> Generation:
        """Bring an image into the store for the second time. Raises what kept it from being had."""
        try:
            url = await self._where_it_is(known)
        except (ServiceRefused, MissingKey, OtherService):
            # The service says nothing of it any more, or cannot be asked: its image may still be where it was.
            with suppress(ImageUnavailable):
                return await self._bring(known, known.image_url or "", [], _INSIST)
            raise
        return await self._bring(known, url, [], _INSIST)

    async def _where_it_is(self, known: Generation) -> str:
        known.require_service(self._service)
        task = await self._client.fetch(str(known.task_id))
        if task.image_url is None:
            said = task.status or task.state
            raise ServiceRefused(f'The service no longer has an image of it: it says "{said}".', status=200)
        return task.image_url

    def _in_words(self, known: Generation, error: FluxNodesError) -> str:
        from .settings import PRETENDED  # it is loaded by now: no generation is without its service

        file = self._store.file(known)
        happened = "" if file is None else f" {self._store.loss(file)}"
        flag = " --sandbox" if known.service == PRETENDED else ""
        asked = "It was asked for once more, which is free, and could not be had:"
        if isinstance(error, (MissingKey, OtherService)):
            asked = "Its service was not asked for it (asking is free):"
        return (
            f"The image of generation {known.id} was stored, and is lost.{happened} {asked} {error} "
            f"Nothing was paid now. If you have a copy of the file, put it "
            f"there again; `flux-nodes wait {known.id}{flag}` tries again. To make the picture anew, and pay for it: "
            "`flux-nodes generate` with the same words and --fresh."
        )


def _is_final(error: FluxNodesError) -> bool:
    """Tell whether asking again will be of no use."""
    if isinstance(error, ImageUnavailable):
        return error.status in _GONE
    return isinstance(error, ServiceRefused) and not isinstance(error, (KeyRefused, TooManyRequests))
