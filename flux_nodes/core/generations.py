"""Generations: start, follow, collect. The life of a generation, made of the rooms before it.

Every step is written to the journal before the step that it guards can be lost: the intent before the POST, the task
id as soon as it is there, the image before it is called stored. What one door starts, any door can follow and collect.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from .client import ApiframeClient
from .collecting import Collector
from .confirming import confirm
from .download import Downloader
from .errors import (
    Fault,
    GenerationFailed,
    ImageUnavailable,
    InvalidImage,
    InvalidRequest,
    ServiceError,
    StillRunning,
    StorageError,
    SubmitUnconfirmed,
    UnreadableImage,
)
from .merge import merge
from .money import money
from .process import Owner
from .sending import Sender
from .store import GRAPH, ImageStore
from .unbroken import blocking
from .watch import Pace, Watcher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence
    from pathlib import Path

    from .generation import Generation, Status
    from .images import Array
    from .journal import Journal, Spending
    from .request import ImagineRequest
    from .settings import Settings
    from .task import Account


_NOTICE_SECONDS = 10.0
"""How long a webhook's word is followed up where somebody else follows the generation already."""

_DIGEST = re.compile("[0-9a-f]{64}")

Graph = Mapping[str, Any]
"""The graph that asks for generations, as ComfyUI's files carry it: `prompt` (API format) and `workflow` (drawing)."""


class Generations:
    """All generations of one person or server, as seen by one door (`door` names it in the journal).

    Open with `Generations.open`.
    """

    def __init__(
        self,
        *,
        client: ApiframeClient,
        watcher: Watcher,
        downloader: Downloader,
        journal: Journal,
        settings: Settings,
        door: str,
    ) -> None:
        self.settings = settings
        self.door = door
        self._client = client
        self._watcher = watcher
        self._journal = journal
        self._store = ImageStore(settings.images)
        self._sender = Sender(client=client, journal=journal, store=self._store, settings=settings, door=door)
        self._collector = Collector(
            client=client,
            watcher=watcher,
            downloader=downloader,
            journal=journal,
            store=self._store,
            service=settings.service_name,
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, *, door: str) -> AsyncIterator[Generations]:
        """Open the journal and the connections; both are closed at the end. Raises InvalidSettings, StorageError.

        A missing key is no error until something is asked of the service.
        """
        from .journal import Journal  # SQLAlchemy loads when a journal is opened, not when this module is imported

        async with AsyncExitStack() as stack:
            journal = await asyncio.to_thread(Journal, settings.journal_url)
            stack.callback(journal.close)
            client = await stack.enter_async_context(
                ApiframeClient(
                    key=settings.api_key,
                    base_url=settings.base_url,
                    submit_seconds=settings.submit_seconds,
                    read_seconds=settings.read_seconds,
                )
            )
            downloader = await stack.enter_async_context(
                Downloader(
                    base_url=settings.base_url,
                    most_bytes=settings.max_image_mib * 2**20,
                    most_pixels=settings.max_image_megapixels * 1_000_000,
                )
            )
            watcher = Watcher(client, pace=Pace(first=settings.first_poll))
            stack.push_async_callback(watcher.aclose)
            yield cls(
                client=client,
                watcher=watcher,
                downloader=downloader,
                journal=journal,
                settings=settings,
                door=door,
            )

    async def start(
        self,
        request: ImagineRequest,
        *,
        fresh: bool = False,
        graph: Graph | None = None,
        seconds: float | None = None,
    ) -> Generation:
        """Write a request down, send it, and return it with its task id. This is what costs.

        Where the same picture (the same request with an explicit seed) is stored or under way already, started by any
        door, that generation is returned instead, `reused` and free; `fresh` pays again. Being cancelled does not lose
        what was sent: the answer is awaited and written down first. `graph` is the graph that asks, to be kept with it.
        After `seconds` nothing is tried again; the answer to what is on its way then is awaited.

        Raises:
            BudgetReached, MissingKey: nothing was sent.
            ServiceRefused, ServiceUnreachable: it was not accepted; nothing was paid.
            SubmitUnconfirmed: it may have been accepted; it stays in the journal and is not sent again.
            StorageError: the journal cannot be written, so nothing was sent; or it could not be written after the
                service had accepted, and then the sentence names the task id.
        """
        intent = await self.intend(request, fresh=fresh, graph=graph)
        return intent if intent.reused else await self.send(intent, request, seconds=seconds)

    async def intend(self, request: ImagineRequest, *, fresh: bool = False, graph: Graph | None = None) -> Generation:
        """Do the first half of `start`: write the request down, so that it has an id, and send nothing yet.

        A generation that is `reused` is not to be sent. Raises BudgetReached, MissingKey, SubmitUnconfirmed,
        StorageError.
        """
        # A browser that cuts a text inside an emoji leaves half a character in a note: no reason not to run the graph.
        kept = None if graph is None else json.dumps(graph, ensure_ascii=False, sort_keys=True)
        graph_file = None if kept is None else kept.encode(errors="surrogatepass")
        return await self._sender.intend(request, fresh=fresh, graph=graph_file)

    async def send(self, intent: Generation, request: ImagineRequest, *, seconds: float | None = None) -> Generation:
        """Do the second half of `start`: send what was written down. This is what costs."""
        return await self._sender.send(intent, request, seconds=seconds)

    async def again(self, id_: str, *, fresh: bool = False) -> Generation:
        """Send anew a generation that failed, was refused, or of which nobody knows; it may cost a second time.

        One that was sent again already is not sent a third time, whoever did it: its resend is returned,
        `reused` and free. `fresh` sends it once more, and pays once more.

        Raises NothingSent when it is under way or stored, or when its resend is lost too, and what `start`
        raises.
        """
        return await self._sender.again(await self.get(id_), fresh=fresh)

    async def sent_again(self, id_: str) -> Generation | None:
        """Return the generation that this one was sent again as, if it was. Raises UnknownGeneration."""
        return await blocking(self._journal.sent_again, (await self.get(id_)).id)

    async def resends(self, id_: str) -> list[Generation]:
        """Return all that this one was sent again as; the last is what `sent_again` gives. Raises UnknownGeneration."""
        return await blocking(self._journal.resends, (await self.get(id_)).id)

    async def get(self, id_: str) -> Generation:
        """Return what the journal knows, by id or task id; asks nobody. Raises UnknownGeneration."""
        return await blocking(self._journal.get, id_)

    async def recent(
        self,
        *,
        most: int | None = 50,
        statuses: Sequence[Status] = (),
        service: str | None = None,
        words: str = "",
    ) -> list[Generation]:
        """Return the newest generations first.

        Only those of these statuses and this service when any are named, and that have all the `words` in their
        prompt, model, door or ids, whatever their case.
        """
        return await blocking(self._journal.recent, most=most, statuses=statuses, service=service, words=words)

    async def confirm(self, id_: str, task_id: str) -> Generation:
        """Give a generation whose own answer was lost its task id, from a webhook that names both.

        A generation that has a task id keeps it. Raises UnknownGeneration, and NotConfirmed where the id is another
        generation's.
        """
        known = await self.get(id_)
        return known if known.task_id else await blocking(self._journal.confirm, known.id, task_id)

    async def confirm_task(self, id_: str, task_id: str) -> Generation:
        """Give a generation whose own answer was lost the task id that a person found, if the service knows the task.

        Nothing is sent again, and nothing is paid. Raises UnknownGeneration; NotConfirmed when it has another task id,
        was never accepted, or the task is unknown to the service or that of another generation; ServiceError when the
        service could not be asked.
        """
        known = await self.get(id_)
        return await confirm(
            known, task_id, client=self._client, journal=self._journal, service=self.settings.service_name
        )

    async def unfinished(self) -> list[Generation]:
        """Return what this service still owes: all that was accepted and is not stored, the newest first.

        Intents whose program has ended become unconfirmed on the way. An image that was lost from the disk and that
        the service no longer has is owed no more.
        """
        from .journal import UNFINISHED

        await blocking(self._journal.settle_abandoned)
        found = await self.recent(most=None, statuses=UNFINISHED, service=self.settings.service_name)
        return [generation for generation in found if not (generation.was_lost and generation.message)]

    async def owed(self) -> list[Generation]:
        """Return what `unfinished` does, and all that was stored and is damaged or missing on the disk now.

        It looks at every stored image: at its size and times, and at its bytes where those say that it was changed.
        """
        await blocking(self._look_for_losses)
        return await self.unfinished()

    def _look_for_losses(self) -> None:
        service = self.settings.service_name
        for generation in self._journal.recent(most=None, statuses=["stored"], service=service):
            # Programs on several machines may share a journal, and each has a store of its own.
            is_kept_here = self._journal.is_local or Owner.parse(generation.owner).is_of_this_host
            if is_kept_here and not self._store.seems_whole(generation):
                self._journal.lost(generation.id)

    async def spending(self, *, days: int = 30) -> list[Spending]:
        """Return what was spent, by day (UTC), door and service; the newest day first."""
        return await blocking(self._journal.spending, days=days)

    async def account(self) -> Account:
        """Return the account behind the key. Raises MissingKey, ServiceError."""
        return await self._client.account()

    async def refresh(self, id_: str) -> Generation:
        """Ask the service once how a generation stands, collect its image if it is ready, and return it."""
        return await self._collector.refresh(await self.get(id_))

    async def notice(self, id_: str) -> None:
        """Follow up a webhook's word that a generation has moved: collect its image if it is ready.

        Where the generation is followed already, nobody asks twice. Raises what `refresh` raises.
        """
        await self._collector.notice(await self.get(id_), seconds=_NOTICE_SECONDS)

    async def follow(self, *ids: str, seconds: float | None = None) -> AsyncGenerator[Generation, None]:
        """Yield each generation now and whenever it has moved, until all are settled; images are collected on the way.

        A generation that fails is yielded as failed and stops nobody else. After all others have ended, raises
        StillRunning for those that ran longer than `seconds` (default: the settings' timeout), or else the first
        other error.
        """
        limit = self.settings.timeout if seconds is None else seconds
        late: list[str] = []
        known = {generation.id: generation for generation in [await self.get(id_) for id_ in ids]}
        async with aclosing(merge([self._in_time(each, limit, late) for each in known.values()])) as moves:
            async for moved in moves:
                yield moved
        if late:
            raise StillRunning(late)

    async def resume(self, *, seconds: float | None = None) -> AsyncGenerator[Generation, None]:
        """Carry on with everything unfinished, from any door, as `follow` does; `owed` tells what that is."""
        owed = [generation.id for generation in await self.owed()]
        async with aclosing(self.follow(*owed, seconds=seconds)) as moves:
            async for moved in moves:
                yield moved

    async def wait(self, id_: str, *, seconds: float | None = None) -> Generation:
        """Follow one generation to its stored image. Raises what `follow` and `require_image` raise."""
        async with aclosing(self.follow(id_, seconds=seconds)) as moves:
            async for _ in moves:
                continue
        return self.require_image(await self.get(id_))

    def require_image(self, generation: Generation) -> Generation:
        """Return the generation if its image is stored.

        Raises GenerationFailed, SubmitUnconfirmed, StillRunning, ServiceError, ImageUnavailable.
        """
        if generation.status == "stored":
            return generation
        if generation.was_lost and generation.message:
            raise ImageUnavailable(generation.message, generation_id=generation.id)
        words = generation.message or "The service gave no reason."
        if generation.status == "failed":
            raise GenerationFailed(
                f'Generation {generation.id} failed at the service: "{words}". {money(generation)}',
                generation_id=generation.id,
                task_id=generation.task_id,
            )
        if generation.status == "unconfirmed":
            raise SubmitUnconfirmed(f"Generation {generation.id}: {words}", generation_id=generation.id)
        if generation.status == "refused":
            raise ServiceError(f"Generation {generation.id} was never accepted: {words}").without_cost()
        raise StillRunning([generation.id])

    def file(self, generation: Generation) -> Path | None:
        """Return where its image is stored: the service's own bytes. None while there is none."""
        return self._store.file(generation) if generation.status == "stored" else None

    async def holds(self, generation: Generation) -> bool:
        """Tell whether its image is stored here byte for byte. Raises StorageError."""
        return generation.status == "stored" and await blocking(self._store.holds, generation)

    def kept_data(self, generation: Generation) -> bytes | None:
        """Return the image file's bytes if they are stored here, whole; None otherwise. Blocks. Raises StorageError."""
        return self._store.read(generation)

    async def data(self, generation: Generation) -> bytes:
        """Return the image file's bytes; an image that is damaged or missing on the disk is collected again, free.

        Raises what `require_image` raises, ImageUnavailable where that is of no use, and StorageError.
        """
        return await self._collector.data(self.require_image(generation))

    def is_signed(self, generation: Generation) -> bool:
        """Tell whether the stored image brings content credentials; False while none is stored. Blocks for a moment."""
        from .content_credentials import is_signed

        try:
            return is_signed(self._store.read(generation) or b"")
        except StorageError:
            return False

    async def graph(self, generation: Generation) -> Graph | None:
        """Return the graph that asked for it, as it was kept; None when none was. Raises StorageError."""
        if generation.graph is None:
            return None
        kept: Graph = json.loads(await blocking(self._store.get, generation.graph, GRAPH))
        return kept

    async def kept_image(self, sha256: str) -> bytes:
        """Return an image prompt that was sent before, by the SHA-256 of its file.

        Raises InvalidRequest for what is no digest, and StorageError.
        """
        if not _DIGEST.fullmatch(sha256):  # it comes from a graph, and becomes part of a file's name
            raise InvalidRequest([Fault("sha256", f"{sha256[:80]!r} is no SHA-256", "64 digits of 0-9 and a-f")])
        try:
            return await blocking(self._store.get, sha256, "")
        except StorageError as error:
            raise StorageError(
                f"{error} It was sent as an image prompt before, and only the store of the machine that sent it keeps "
                "it. Put the file there again, or load the image from a file of yours."
            ) from error

    async def array(self, generation: Generation) -> Array:
        """Return the image as float32 [1, H, W, C] in 0..1. Raises what `data` raises, and UnreadableImage."""
        from .images import decoded  # numpy and Pillow load when the first pixels are asked for

        try:
            return await decoded(await self.data(generation))
        except InvalidImage as error:
            raise self.unreadable(generation, error) from error

    def unreadable(self, generation: Generation, error: InvalidImage) -> UnreadableImage:
        """Return the error that tells where the stored bytes are which could not be decoded."""
        return UnreadableImage(str(error), generation_id=generation.id, file=self.file(generation))

    async def _in_time(self, known: Generation, limit: float, late: list[str]) -> AsyncIterator[Generation]:
        """Follow one generation; if the deadline comes first, note that it is late and end."""
        try:
            async with aclosing(self._collector.follow(known, seconds=limit)) as moves:
                async for moved in moves:
                    yield moved
        except StillRunning as error:
            late += error.generation_ids
