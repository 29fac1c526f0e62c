"""Sends requests, each of them once: the intent is written down first, the task id as soon as it is there."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .catalog import model
from .errors import NothingSent, ServiceError, StorageError, SubmitUnconfirmed
from .generation import SENT_AGAIN
from .money import LOOK
from .reply import storable
from .request import ImagineRequest
from .signals import unanswered
from .store import GRAPH
from .unbroken import blocking, surely, to_the_end
from .webhook import address_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import ApiframeClient
    from .generation import Generation
    from .journal import Intent, Journal
    from .settings import Settings
    from .store import ImageStore


class Sender:
    """Sends for one door."""

    def __init__(
        self, *, client: ApiframeClient, journal: Journal, store: ImageStore, settings: Settings, door: str
    ) -> None:
        self._client = client
        self._journal = journal
        self._store = store
        self._settings = settings
        self._door = door

    async def intend(
        self, request: ImagineRequest, *, fresh: bool, retry_of: str | None = None, graph: bytes | None = None
    ) -> Generation:
        """Do what `Generations.intend` tells."""
        try:
            return await self._intended(request, fresh=fresh, retry_of=retry_of, graph=graph)
        except StorageError as error:
            raise StorageError(f"{error} Nothing was sent, nothing was paid.") from error

    async def _intended(
        self, request: ImagineRequest, *, fresh: bool, retry_of: str | None, graph: bytes | None
    ) -> Generation:
        if request.image_prompt is not None:
            # The journal names it by its digest; the file is kept so that it can be sent again.
            await blocking(self._store.put, request.image_prompt, "")
        digest = None if graph is None else (await blocking(self._store.put, graph, GRAPH))[0]
        terms = self._terms(request, fresh=fresh, retry_of=retry_of, graph=digest)
        writing = asyncio.ensure_future(blocking(self._intend, terms))
        try:
            return await to_the_end(writing)
        except asyncio.CancelledError:
            await self._withdraw(writing)
            raise

    async def _withdraw(self, writing: asyncio.Future[Generation]) -> None:
        """Settle an intent that nobody will send any more: left as it is, it would hold its picture for minutes."""
        if writing.cancelled() or writing.exception() is not None or writing.result().reused:
            return
        with suppress(StorageError):
            await blocking(
                self._journal.refused, writing.result().id, "Cancelled before it was sent: nothing was paid."
            )

    async def send(self, intent: Generation, request: ImagineRequest, *, seconds: float | None = None) -> Generation:
        """Do what `Generations.send` tells, to the end even when cancelled."""
        stop = asyncio.Event()
        deadline = None if seconds is None else asyncio.get_running_loop().call_later(max(seconds, 0.0), stop.set)
        try:
            with unanswered():
                return await to_the_end(self._submit(intent, request, stop), stop=stop)
        finally:
            if deadline is not None:
                deadline.cancel()

    async def again(self, known: Generation, *, fresh: bool) -> Generation:
        """Do what `Generations.again` tells."""
        if known.status not in SENT_AGAIN:
            raise NothingSent(
                f"Generation {known.id} is {known.status}: there is nothing to send again. "
                f"`flux-nodes wait {known.id}` collects it, free of charge."
            )
        known.require_service(self._settings.service_name)  # a pretended one, sent here, would be paid
        before = None if fresh else await blocking(self._journal.sent_again, known.id)
        if before is not None:
            return _sent_before(known, before)
        request = await self._request_of(known)
        intent = await self.intend(request, fresh=fresh, retry_of=known.id, graph=await self._graph_of(known))
        return _sent_before(known, intent) if intent.reused else await self.send(intent, request)

    async def _graph_of(self, known: Generation) -> bytes | None:
        if known.graph is None:
            return None
        with suppress(StorageError):  # a generation is not held back for want of its graph
            return await blocking(self._store.get, known.graph, GRAPH)
        return None

    async def _request_of(self, known: Generation) -> ImagineRequest:
        values: dict[str, Any] = dict(known.request)
        image = values.pop("image_prompt", None)
        try:
            data = await blocking(self._store.get, str(image).removeprefix("sha256:"), "") if image else None
        except StorageError as error:
            raise StorageError(
                f"{error} It is the image prompt of {known.id}, which only this store kept. Nothing was sent, nothing "
                "was paid. Put the file there again, or generate anew with the image prompt."
            ) from error
        return ImagineRequest(image_prompt=data, **values)

    def _terms(self, request: ImagineRequest, *, fresh: bool, retry_of: str | None, graph: str | None) -> Intent:
        from .journal import Intent  # SQLAlchemy is there by now: the journal was opened

        return Intent(
            request=request,
            door=self._door,
            service=self._settings.service_name,
            credits=float(model(request.model).credits),
            budget=self._settings.budget,
            fresh=fresh,
            retry_of=retry_of,
            graph=graph,
        )

    def _intend(self, terms: Intent) -> Generation:
        """Write an intent down, or find who holds the picture. Blocks."""
        found = self._journal.holder(terms)
        if found is not None and found.status == "intent" and self._journal.settle_abandoned():
            found = self._journal.holder(terms)
        if found is None:
            # Before anything is written down that could not be sent; what is there already needs no key.
            self._client.require_key()
            self._client.require_network()
            found = self._journal.intend(terms)
        if found.reused and found.status == "unconfirmed" and terms.retry_of is None:
            raise SubmitUnconfirmed(
                f"The same picture was asked for before, as generation {found.id}, and its answer was lost: it may be "
                f"paid already. Nothing was sent. `flux-nodes status {found.id}` tells more; to send it again and "
                f"perhaps pay twice, use `flux-nodes retry {found.id}`.",
                generation_id=found.id,
            )
        if found.reused and found.status == "stored" and not self._store.holds(found):
            # Paid for and lost from the disk: to be collected again, which is free.
            return replace(self._journal.lost(found.id), reused=True)
        return found

    def _delivered(self, intent: Generation, request: ImagineRequest) -> ImagineRequest:
        """Ask for webhooks that name the generation, unless the request has its own."""
        url, secret = self._settings.webhook_url, self._settings.webhook_secret
        if url is None or secret is None or "webhook_url" in request.values:
            return request
        return request.delivered(webhook_url=address_for(url, intent.id), webhook_secret=secret.get_secret_value())

    async def _submit(self, intent: Generation, request: ImagineRequest, stop: asyncio.Event) -> Generation:
        try:
            task_id = await self._client.submit(self._delivered(intent, request), stop=stop)
        except SubmitUnconfirmed as lost:
            raise await self._unconfirmed(intent, str(lost)) from lost
        except (NothingSent, ServiceError) as error:
            await self._settle(self._journal.refused, intent, str(error))
            raise
        except Exception as error:
            # A bug of ours, no memory left: whatever it was, the request may have been sent.
            raise await self._unconfirmed(intent, _ended_by(error)) from error
        except BaseException as error:
            # An intent that nobody sends any more must not be left, by a cancellation either.
            await self._settle(self._journal.unconfirmed, intent, _ended_by(error))
            raise
        return await self._accepted(intent, task_id)

    async def _unconfirmed(self, intent: Generation, words: str) -> SubmitUnconfirmed:
        # Made before the journal is written: whatever becomes of that, this is what the person is told.
        error = SubmitUnconfirmed(
            f"{words} `flux-nodes status {intent.id}` tells what can be done.", generation_id=intent.id
        )
        await self._settle(self._journal.unconfirmed, intent, words)
        return error

    async def _accepted(self, intent: Generation, task_id: str) -> Generation:
        """Write down the task id of what is paid; where that cannot be, the person is the last place to keep it."""
        paid = (
            f"The service accepted generation {intent.id} as task {task_id}: note this id, it is paid. "
            f"`flux-nodes confirm {intent.id} {task_id}` writes it down as soon as that is possible again."
        )
        try:
            return await self._written(intent, task_id)
        except Exception as error:
            await self._settle(self._journal.unconfirmed, intent, paid)
            why = error if isinstance(error, StorageError) else f"The journal cannot be written: {error!r}."
            raise StorageError(f"{why} {paid}") from error

    async def _written(self, intent: Generation, task_id: str) -> Generation:
        try:
            return await surely(self._journal.submitted, intent.id, task_id)
        except StorageError:
            # Once more: whoever kept the journal from being written may have let go of it meanwhile.
            return await surely(self._journal.submitted, intent.id, task_id)

    async def _settle(self, enter: Callable[[str, str], Generation], intent: Generation, words: str) -> None:
        """Write down how a submit ended. What happened to the money goes first: a failure here does not hide it."""
        with suppress(Exception):
            await surely(enter, intent.id, storable(words))


def _ended_by(error: BaseException) -> str:
    return (
        f"Something broke while this was being sent ({type(error).__name__}). It may have been accepted and charged; "
        f"it was not sent again. {LOOK}"
    )


def _sent_before(known: Generation, found: Generation) -> Generation:
    """Return what a generation was sent again as, if that may bring its image. Raises NothingSent."""
    if found.status in SENT_AGAIN:
        raise NothingSent(
            f"Generation {known.id} was sent again already, as {found.id}, which is {found.status}. Nothing was sent, "
            f"nothing was paid now. `flux-nodes retry {found.id}` sends that again; "
            f"`flux-nodes retry {known.id} --fresh` sends {known.id} once more, and "
            "pays once more."
        )
    return replace(found, reused=True)
