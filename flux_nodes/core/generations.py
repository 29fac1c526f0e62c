"""Generations: start, follow, collect. The life of a generation, made of the rooms before it.

Every step is written to the journal before the step that it guards can be lost: the intent before the POST, the task
id as soon as it is there, the image before it is called stored. What one door starts, any door can follow and
collect.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from .client import ApiframeClient
from .download import Downloaded, Downloader
from .errors import (
    FluxNodesError,
    GenerationFailed,
    ImageUnavailable,
    ServiceError,
    StillRunning,
    StorageError,
    SubmitUnconfirmed,
    UnknownGeneration,
)
from .images import ImageFacts, decoded
from .merge import merge
from .store import ImageStore
from .watch import Pace, Watcher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from typing_extensions import ParamSpec

    from .generation import Generation, Status
    from .images import Array
    from .journal import Journal
    from .request import ImagineRequest
    from .settings import Settings
    from .task import Account, Task

    Arguments = ParamSpec("Arguments")

Answer = TypeVar("Answer")


class Generations:
    """All generations of one person or server, as seen by one door (`door` names it in the journal).

    Open with `Generations.open`.
    """

    def __init__(
        self,
        *,
        client: ApiframeClient,
        downloader: Downloader,
        journal: Journal,
        settings: Settings,
        door: str,
    ) -> None:
        self.settings = settings
        self.door = door
        self._client = client
        self._downloader = downloader
        self._journal = journal
        self._store = ImageStore(settings.home / "images")
        self._watcher = Watcher(client, pace=Pace(first=settings.first_poll))

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, *, door: str) -> AsyncIterator[Generations]:
        """Open the journal and the connections; both are closed at the end. Raises InvalidSettings, StorageError.

        A missing key is no error until something is asked of the service.
        """
        from .journal import (
            Journal,
        )  # SQLAlchemy loads when a journal is opened, not when this module is imported

        async with AsyncExitStack() as stack:
            journal = await asyncio.to_thread(Journal, settings.journal_url)
            stack.callback(journal.close)
            client = await stack.enter_async_context(ApiframeClient(key=settings.api_key, base_url=settings.base_url))
            downloader = await stack.enter_async_context(
                Downloader(
                    base_url=settings.base_url,
                    most_bytes=settings.max_image_mib * 2**20,
                    most_pixels=settings.max_image_megapixels * 1_000_000,
                )
            )
            generations = cls(client=client, downloader=downloader, journal=journal, settings=settings, door=door)
            stack.push_async_callback(generations._watcher.aclose)
            yield generations

    async def start(self, request: ImagineRequest) -> Generation:
        """Write a request down, send it, and return it with its task id. This is what costs.

        Being cancelled does not lose it: the answer is awaited and written down first.

        Raises:
            MissingKey, ServiceRefused, ServiceUnreachable: it was not accepted; nothing was paid.
            SubmitUnconfirmed: it may have been accepted; it stays in the journal and is not sent again.
            StorageError: the journal cannot be written, so nothing was sent.
        """
        intent = await self._write(self._journal.intend, request, door=self.door, service=self.settings.service_name)
        return await _to_the_end(self._submit(intent, request))

    async def _submit(self, intent: Generation, request: ImagineRequest) -> Generation:
        try:
            task_id = await self._client.submit(request)
        except SubmitUnconfirmed as error:
            error.generation_id = intent.id
            await self._write(self._journal.unconfirmed, intent.id, str(error))
            raise
        except FluxNodesError as error:
            await self._write(self._journal.refused, intent.id, str(error))
            raise
        return await self._write(self._journal.submitted, intent.id, task_id)

    async def get(self, id_: str) -> Generation:
        """Return what the journal knows, by id or task id; asks nobody. Raises UnknownGeneration."""
        return await self._write(self._journal.get, id_)

    async def recent(self, *, most: int = 50, statuses: Sequence[Status] = ()) -> list[Generation]:
        """Return the newest generations first, of these statuses only when any are named."""
        return await self._write(self._journal.recent, most=most, statuses=statuses)

    async def account(self) -> Account:
        """Return the account behind the key. Raises MissingKey, ServiceError."""
        return await self._client.account()

    async def refresh(self, id_: str) -> Generation:
        """Ask the service once how a generation stands, collect its image if it is ready, and return it."""
        known = await self.get(id_)
        if known.settled:
            return known
        async for moved in self._take(known, await self._fetch(known)):
            known = moved
        return known

    async def follow(self, *ids: str, seconds: float | None = None) -> AsyncGenerator[Generation, None]:
        """Yield each generation now and whenever it has moved, until all are settled; images are collected on the way.

        A generation that fails is yielded as failed and stops nobody else. After all others have ended, raises
        StillRunning for those that ran longer than `seconds` (default: the settings' timeout), and otherwise the
        first other error.
        """
        limit = self.settings.timeout if seconds is None else seconds
        known = [await self.get(id_) for id_ in dict.fromkeys(ids)]
        late: list[str] = []
        async with aclosing(merge([self._carry(generation, limit, late) for generation in known])) as moves:
            async for moved in moves:
                yield moved
        if late:
            raise StillRunning(late)

    async def wait(self, id_: str, *, seconds: float | None = None) -> Generation:
        """Follow one generation to its stored image. Raises what `follow` and `require_image` raise."""
        last = await self.get(id_)
        async for moved in self.follow(id_, seconds=seconds):
            last = moved
        return self.require_image(last)

    def require_image(self, generation: Generation) -> Generation:
        """Return the generation if its image is stored.

        Raises GenerationFailed, SubmitUnconfirmed, StillRunning, ServiceError.
        """
        if generation.status == "stored":
            return generation
        words = generation.message or "The service gave no reason."
        if generation.status == "failed":
            raise GenerationFailed(
                f'Generation {generation.id} failed at the service: "{words}"',
                generation_id=generation.id,
                task_id=generation.task_id,
            )
        if generation.status == "unconfirmed":
            raise SubmitUnconfirmed(f"Generation {generation.id}: {words}", generation_id=generation.id)
        if generation.status == "refused":
            raise ServiceError(f"Generation {generation.id} was never accepted: {words}")
        raise StillRunning([generation.id])

    def file(self, generation: Generation) -> Path | None:
        """Return where its image is stored: the service's own bytes. None while there is none."""
        if generation.sha256 is None:
            return None
        facts = ImageFacts(media_type=generation.media_type or "", width=0, height=0)
        return self._store.path(generation.sha256, facts.extension)

    async def data(self, generation: Generation) -> bytes:
        """Return the image file's bytes. Raises what `require_image` raises, and StorageError."""
        file = self.file(self.require_image(generation))
        assert file is not None  # noqa: S101 - a stored generation has a file; this tells the type checker
        try:
            return await asyncio.to_thread(file.read_bytes)
        except OSError as error:
            raise StorageError(f"The image {file} cannot be read: {error.strerror}.") from error

    async def array(self, generation: Generation) -> Array:
        """Return the image as float32 [1, H, W, C] in 0..1. Raises what `data` raises, and InvalidImage."""
        return await decoded(await self.data(generation))

    async def _carry(self, known: Generation, limit: float, late: list[str]) -> AsyncIterator[Generation]:
        """Carry one generation to its end, yielding each move."""
        yield known
        if known.settled:
            return
        if known.task_id is None:
            raise UnknownGeneration(
                f"Generation {known.id} has no task id: it was never sent, or its sending was cut short."
            )
        try:
            async with aclosing(self._watcher.follow([known.task_id], seconds=limit)) as tasks:
                async for task in tasks:
                    async for moved in self._take(known, task):
                        yield moved
        except TimeoutError:
            late.append(known.id)

    async def _fetch(self, known: Generation) -> Task:
        if known.task_id is None:
            raise UnknownGeneration(
                f"Generation {known.id} has no task id: it was never sent, or its sending was cut short."
            )
        return await self._client.fetch(known.task_id)

    async def _take(self, known: Generation, task: Task) -> AsyncIterator[Generation]:
        """Write down what the service told of a task, and collect the image when there is one."""
        if task.state == "failed":
            yield await self._write(self._journal.failed, known.id, "; ".join(task.messages))
        elif task.state == "running":
            yield await self._write(self._journal.running, known.id, task.percentage)
        elif task.image_url is not None:
            yield await self._write(self._journal.finished, known.id, task.image_url)
            yield await self._collect(known, task.image_url)

    async def _collect(self, known: Generation, url: str) -> Generation:
        try:
            image = await self._downloader.download(url)
        except ImageUnavailable as error:
            error.generation_id = known.id
            raise
        return await self._keep(known, image)

    async def _keep(self, known: Generation, image: Downloaded) -> Generation:
        sha256, _ = await self._write(self._store.put, image.data, image.facts.extension)
        return await self._write(self._journal.stored, known.id, sha256, len(image.data), image.facts)

    async def _write(
        self,
        function: Callable[Arguments, Answer],
        *args: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Answer:
        """Call something that blocks (the journal, the store) off the event loop, to its end even when cancelled."""
        return await _to_the_end(asyncio.to_thread(function, *args, **options))


async def _to_the_end(work: Awaitable[Answer]) -> Answer:
    """Await work that must not be cut in half: a cancellation is passed on after it has ended."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen: the cancellation goes first
        raise
