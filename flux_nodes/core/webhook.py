"""Receives the service's webhooks: settles at once what polling would find later, and what a lost answer left open.

A webhook is a hint, not a source: it says which generation has moved, and the service itself is then asked. So a forged
one can do no more than cause a question, and one that comes twice, late or out of order does no harm. Only the task id
of a generation whose own answer was lost is taken from it, and that only with the right secret.
Source: flux-imagine page (`webhook_url`, `webhook_secret`); apiframe wire notes, section 6.
"""

from __future__ import annotations

import asyncio
import hmac
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from .errors import FluxNodesError, NotConfirmed, StorageError, UnknownGeneration
from .reply import read_reply, usable_task_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from pydantic import SecretStr

    from .generations import Generations

    Message = MutableMapping[str, Any]

CORRELATION = "generation"
"""The query parameter by which a webhook's address names the generation that it is for."""

_MOST_BYTES = 64 * 1024
_BODY_SECONDS = 30.0
"""How long a webhook may take to arrive as a whole."""


def address_for(webhook_url: str, id_: str) -> str:
    """Return the address at which a generation's webhooks arrive: the receiver's own, with the generation's id."""
    parts = urlsplit(webhook_url)
    query = "&".join(part for part in (parts.query, urlencode({CORRELATION: id_})) if part)
    return urlunsplit(parts._replace(query=query))


class WebhookReceiver:
    """An ASGI app that takes the service's webhooks, at any path. Serve it where `FLUX_NODES_WEBHOOK_URL` points.

    It answers 204 to what it took, 401 to a wrong secret, 404 to an unknown generation, 409 to a task of another
    generation, 400, 405, 408 or 413 to what is no webhook, and 503 while the journal cannot be used. What a webhook
    sets off is awaited by `aclose`.
    """

    def __init__(self, generations: Generations, *, secret: SecretStr) -> None:
        self._generations = generations
        self._secret = secret.get_secret_value().encode()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._words: dict[str, bytes] = {}

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Serve one request, as ASGI asks."""
        if scope["type"] == "http":
            status = await self._status(scope, receive)
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

    async def aclose(self) -> None:
        """Wait for what webhooks have set off."""
        await asyncio.gather(*self._under_way.values())

    async def _status(self, scope: Message, receive: Callable[[], Awaitable[Message]]) -> int:
        if scope["method"] != "POST":
            return 405
        given = dict(scope["headers"]).get(b"x-webhook-secret", b"")
        if not hmac.compare_digest(given, self._secret):
            return 401
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await _body(receive)
        except TimeoutError:
            return 408
        if body is None:
            return 413
        ids = parse_qs(scope.get("query_string", b"").decode("latin-1")).get(CORRELATION, [])
        task_id = _task_id(body)
        if len(ids) != 1 or not task_id:
            return 400
        return await self._take(ids[0], task_id, body)

    async def _take(self, id_: str, task_id: str, body: bytes) -> int:
        try:
            known = await self._generations.confirm(id_, task_id)
        except UnknownGeneration:
            return 404
        except NotConfirmed:
            return 409
        except StorageError:
            return 503
        if known.task_id != task_id:
            return 409
        self._words[known.id] = body
        if known.id not in self._under_way:
            self._under_way[known.id] = asyncio.create_task(self._ask(known.id))
        return 204

    async def _ask(self, id_: str) -> None:
        """Ask for a generation; once more where other words of it came meanwhile. A copy is no reason to."""
        asked: bytes | None = None
        while (words := self._words.pop(id_, asked)) != asked:
            asked = words
            with suppress(FluxNodesError):  # whoever follows it is told; the next webhook or `resume` asks again
                await self._generations.notice(id_)
        del self._under_way[id_]


async def _body(receive: Callable[[], Awaitable[Message]]) -> bytes | None:
    content = b""
    while True:
        message = await receive()
        content += bytes(message.get("body", b""))
        if len(content) > _MOST_BYTES:
            return None
        if not message.get("more_body"):
            return content


def _task_id(body: bytes) -> str:
    """Return the task id that a webhook names, or "" when it names none that there can be."""
    told = read_reply(body)
    task_id = told.get("task_id") if isinstance(told, dict) else None
    # Not stripped: here an id is compared, and one with a space around it is nobody's.
    return task_id if isinstance(task_id, str) and usable_task_id(task_id) == task_id and " " not in task_id else ""
