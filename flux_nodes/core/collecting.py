"""Collects what was started: follows each generation to its end, and brings its image into the store."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from .errors import ImageUnavailable, ServiceError, ServiceUnreachable, StillRunning, StorageError
from .restore import Restorer
from .unbroken import Shared, blocking

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from .client import ApiframeClient
    from .download import Downloader
    from .generation import Generation
    from .journal import Journal
    from .store import ImageStore
    from .task import Task
    from .watch import Watcher

    _Bring = Callable[[Generation, str, list[str]], Coroutine[Any, Any, Generation]]

_LOOK = 0.2
"""Seconds between two looks into the journal at a generation that another process is sending."""


class Collector:
    """Collects for one door."""

    def __init__(
        self,
        *,
        client: ApiframeClient,
        watcher: Watcher,
        downloader: Downloader,
        journal: Journal,
        store: ImageStore,
        service: str,
    ) -> None:
        self._client = client
        self._watcher = watcher
        self._downloader = downloader
        self._journal = journal
        self._store = store
        self._service = service
        self._downloads: dict[str, _Download] = {}
        self._restorer = Restorer(client=client, journal=journal, store=store, service=service, bring=self._bring)
        self._following: dict[str, _Following] = {}

    async def follow(self, known: Generation, *, seconds: float) -> AsyncGenerator[Generation, None]:
        """Yield one generation now and whenever it has moved, until it is settled. Raises StillRunning.

        A stored image that is damaged or missing on the disk is collected again.
        """
        known = await self._checked(known)
        yield known
        until = asyncio.get_running_loop().time() + seconds
        if known.status == "intent":
            known = await self._sent(known, until)
            yield known
        if known.settled or known.task_id is None:
            return
        if known.was_lost:
            yield await self._restored_in_time(known, until)
            return
        async with aclosing(self._polled(known, until)) as moves:
            async for moved in moves:
                yield moved

    async def _polled(self, known: Generation, until: float) -> AsyncGenerator[Generation, None]:
        known.require_service(self._service)
        left = until - asyncio.get_running_loop().time()
        try:
            polls = self._watcher.follow([str(known.task_id)], seconds=left)
            async with self._followed(known), aclosing(polls) as tasks:
                async for task in tasks:
                    async with aclosing(self._take(known, task, until)) as moves:
                        async for moved in moves:
                            yield moved
        except TimeoutError as error:
            if isinstance(error.__cause__, ServiceError):
                raise _not_lost(error.__cause__, known) from None
            raise StillRunning([known.id]) from None
        except ServiceUnreachable as error:
            raise _not_lost(error, known) from None

    @asynccontextmanager
    async def _followed(self, known: Generation) -> AsyncIterator[None]:
        """Let others know meanwhile that a generation is followed in this process."""
        following = self._following.setdefault(known.id, _Following())
        following.followers += 1
        try:
            yield
        finally:
            following.followers -= 1
            if not following.followers:
                del self._following[known.id]
                following.ended.set()

    async def notice(self, known: Generation, *, seconds: float) -> None:
        """Follow up word that a generation has moved: ask once, or hurry whoever follows it already.

        It is awaited that they end, for at most these seconds: should they leave it unfinished, it is asked for after
        all. Raises what `refresh` raises.
        """
        following = self._following.get(known.id)
        if following is not None and known.task_id is not None:
            self._watcher.hurry(known.task_id)
            try:
                async with asyncio.timeout(seconds):
                    await following.ended.wait()
            except TimeoutError:
                return
            known = await blocking(self._journal.get, known.id)
        await self.refresh(known)

    async def refresh(self, known: Generation) -> Generation:
        """Ask the service once, and collect the image if it is ready, or if it is damaged or missing on the disk."""
        known = await self._checked(known)
        if known.status == "intent":
            await blocking(self._journal.settle_abandoned)
            known = await blocking(self._journal.get, known.id)
        if known.settled or known.task_id is None:
            return known
        if known.was_lost:
            return await self._restorer.restored(known)
        known.require_service(self._service)
        async with aclosing(self._take(known, await self._client.fetch(known.task_id))) as moves:
            async for moved in moves:
                known = moved
        return known

    async def data(self, known: Generation) -> bytes:
        """Return the bytes of a stored image, which is collected again if it is damaged or missing on the disk.

        Raises StorageError, ImageUnavailable.
        """
        found = await blocking(self._store.read, known)
        if found is None:
            known = await self._restorer.restored(await blocking(self._journal.lost, known.id))
            found = await blocking(self._store.read, known)
        if found is None:
            raise StorageError(f"The image of {known.id} is not where it was put: something else changes the store.")
        return found

    async def _checked(self, known: Generation) -> Generation:
        if known.status == "stored" and not await blocking(self._store.holds, known):
            return await blocking(self._journal.lost, known.id)
        return known

    async def _restored_in_time(self, known: Generation, until: float) -> Generation:
        try:
            async with asyncio.timeout_at(until):
                return await self._restorer.restored(known)
        except TimeoutError:
            raise StillRunning([known.id]) from None

    async def _sent(self, known: Generation, until: float) -> Generation:
        """Wait while a process is sending it; an intent whose process has ended becomes unconfirmed."""
        while known.status == "intent":
            if asyncio.get_running_loop().time() > until:
                raise StillRunning([known.id])
            await asyncio.sleep(_LOOK)
            await blocking(self._journal.settle_abandoned)
            known = await blocking(self._journal.get, known.id)
        return known

    async def _take(
        self, known: Generation, task: Task, until: float | None = None
    ) -> AsyncGenerator[Generation, None]:
        """Write down what the service told of a task, and collect the image when there is one, before `until`."""
        if task.state == "failed":
            yield await blocking(self._journal.failed, known.id, "; ".join(task.messages))
        elif task.state == "running":
            yield await blocking(self._journal.running, known.id, task.percentage)
        elif task.image_url is not None:
            yield await blocking(self._journal.finished, known.id, task.image_url)
            yield await self._collect(known, task.image_url, until)

    async def _collect(self, known: Generation, url: str, until: float | None) -> Generation:
        """Bring an image into the store; all who ask for it at once in this process share one download."""
        download = self._downloads.get(known.id)
        if download is None or download.over:
            download = self._downloads[known.id] = _Download(self._bring, known, url)
        try:
            async with asyncio.timeout_at(until):
                return await download.result()
        except ImageUnavailable as error:
            raise self._unavailable(known, str(error)) from error
        except TimeoutError:
            if not download.failures:
                raise
            why = f"The image could not be downloaded within the time allowed: {download.failures[-1]}."
            raise self._unavailable(known, why) from None
        finally:
            if download.over and self._downloads.get(known.id) is download:
                del self._downloads[known.id]

    def _unavailable(self, known: Generation, why: str) -> ImageUnavailable:
        return ImageUnavailable(
            f"{why} Generation {known.id} is paid for and not lost: `flux-nodes wait {known.id}` asks for its image "
            "again, free of charge.",
            generation_id=known.id,
        )

    async def _bring(self, known: Generation, url: str, failures: list[str], insist: float | None = None) -> Generation:
        try:
            image = await self._downloader.download(url, failures=failures, insist=insist)
        except ImageUnavailable as error:
            if error.data is None:
                raise
            raise ImageUnavailable(f"{error} Its bytes are kept: {await self._kept(error.data)}.") from error
        from .result_image import unopened  # what judges images is there by now

        sha256, file = await blocking(self._store.put, image.data, image.facts.extension)
        words = unopened(image.facts, file)
        return await blocking(self._journal.stored, known.id, sha256, len(image.data), image.facts, words)

    async def _kept(self, data: bytes) -> Path:
        """Keep bytes that were paid for and are not taken for the image: a bound may be raised, the address be gone."""
        from .images import ImageFacts
        from .media_type import UNKNOWN, sniffed

        facts = ImageFacts(media_type=sniffed(data) or UNKNOWN)
        return (await blocking(self._store.put, data, facts.extension))[1]


class _Following:
    """How many follow a generation in this process, and the moment when the last of them ends."""

    def __init__(self) -> None:
        self.followers = 0
        self.ended = asyncio.Event()


class _Download(Shared["Generation"]):
    """One download that several may wait for; `failures` are the reasons why its tries failed so far."""

    def __init__(self, bring: _Bring, known: Generation, url: str) -> None:
        self.failures: list[str] = []
        super().__init__(bring(known, url, self.failures))


def _not_lost(error: ServiceError, known: Generation) -> ServiceUnreachable:
    kind = type(error) if isinstance(error, ServiceUnreachable) else ServiceUnreachable
    return kind(
        f"{error} Generation {known.id} is not lost: collect it later, free of charge, with "
        f"`flux-nodes wait {known.id}`."
    )
