"""Replies, right ones and spoiled ones, as ASGI responses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate
from typing import TYPE_CHECKING, NoReturn

from starlette.responses import Response, StreamingResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from .faults import Fault

ABORT = "flux_nodes.sandbox.abort"
"""The ASGI extension by which our server lets a reply cut its connection: `abort(reset: bool)`."""

RAW = "flux_nodes.sandbox.raw"
"""The ASGI extension by which our server puts bytes on its connection: `write(data, below_tls=False)`."""

Sleep = Callable[[float], Awaitable[None]]

_SLOW_PIECES = 20
_PIECE = b"\0" * 65_536
_HUGE = 10 * 2**30
_MOST_SENT = 256 * 2**20
_HTML = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1><p>sandbox</p></body></html>"
_BODIES = {400: '{"errors": [{"msg": "Invalid request"}]}', 429: '{"message": "Too many requests"}'}


def json_reply(document: object, status: int = 200) -> Response:
    """Return a JSON reply, in ASCII: half of a surrogate pair, which JSON may hold, has no other form."""
    text = json.dumps(document, separators=(",", ":"))
    return Response(text, status, media_type="application/json")


def errors(messages: list[str], status: int = 400) -> Response:
    """Return the page's 400 reply, with every fault in it; or one of the same form with another status."""
    return json_reply({"errors": [{"msg": message} for message in messages]}, status)


async def spoil(fault: Fault, answer: Callable[[], Awaitable[Response]], *, sleep: Sleep, now: float) -> Response:
    """Return the reply that a fault makes of the right answer, which is only made when the step is still done."""
    if fault.kind in {"lost-before", "refuse", "redirect", "html", "empty", "not-json"}:
        if fault.kind != "lost-before" and 200 <= _status(fault) < 300:
            await answer()
        return Severed() if fault.kind == "lost-before" else _instead(fault, now)
    right = await answer()
    if fault.kind == "lost-after":
        return Severed()
    if fault.kind == "reset":
        return Severed(right)
    if fault.kind == "slow":
        return _paced(right, fault.seconds if fault.seconds is not None else 1.0, sleep)
    return right


def _status(fault: Fault) -> int:
    defaults = {"refuse": 500, "redirect": 302, "html": 502}
    return fault.status or defaults.get(fault.kind, 200)


def _instead(fault: Fault, now: float) -> Response:
    status = _status(fault)
    headers = _retry_after(fault, now)
    if fault.kind == "redirect":
        return Response(status_code=status, headers={**headers, "location": fault.location or ""})
    if fault.kind == "html":
        return Response(_HTML.format(f"{status} from a proxy"), status, headers, "text/html")
    if fault.kind == "empty":
        return Response(b"", status, headers, "application/json")
    if fault.kind == "not-json":
        return Response('{"task_id": "64cd', status, headers, "application/json")
    body = fault.body if fault.body is not None else _BODIES.get(status, "{}")
    return Response(body, status, headers, "application/json" if _is_json(body) else "text/plain")


def _retry_after(fault: Fault, now: float) -> dict[str, str]:
    if fault.retry_after is None:
        return {}
    if fault.retry_as == "date":
        return {"retry-after": formatdate(now + fault.retry_after, usegmt=True)}
    return {"retry-after": f"{fault.retry_after:g}"}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


class Severed(Response):
    """A connection that ends before its reply: at once, or reset after half of the reply's body, or `kept` bytes."""

    def __init__(self, half_sent: Response | None = None, *, kept: int | None = None) -> None:
        super().__init__()
        self._half_sent = half_sent
        self._kept = kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Cut the connection.

        Raises:
            ConnectionResetError: The app is not served by our own server, which alone can cut it.
        """
        if self._half_sent is not None:
            await _send_half(self._half_sent, send, self._kept)
        abort = scope.get("extensions", {}).get(ABORT)
        if abort is None:
            no_raw()
        abort(reset=self._half_sent is not None)
        while (await receive())["type"] != "http.disconnect":
            pass


def no_raw(*_: object, **__: object) -> NoReturn:
    """Stand in for the extensions where another server than ours serves. Raises ConnectionResetError."""
    msg = "The sandbox cut the connection, as a fault asked."
    raise ConnectionResetError(msg)


async def _send_half(right: Response, send: Send, kept: int | None) -> None:
    await send({"type": "http.response.start", "status": right.status_code, "headers": right.raw_headers})
    half = bytes(right.body)[: kept or max(1, len(right.body) // 2)]
    await send({"type": "http.response.body", "body": half, "more_body": True})


def _paced(right: Response, seconds: float, sleep: Sleep) -> Response:
    body = bytes(right.body)
    step = max(1, -(-len(body) // _SLOW_PIECES))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), step):
            await sleep(seconds * step / len(body))
            yield body[start : start + step]

    headers = {"content-length": str(len(body)), "content-type": right.headers["content-type"]}
    return StreamingResponse(pieces(), right.status_code, headers)


def oversized(picture: bytes, size: int | None, *, declared: bool) -> Response:
    """Return an image that goes on and on: with a huge Content-Length, or with none at all."""
    total = size if size is not None else _HUGE

    async def pieces() -> AsyncIterator[bytes]:
        yield picture[:total]
        sent = len(picture)
        while sent < min(total, _MOST_SENT):
            piece = _PIECE[: total - sent]
            sent += len(piece)
            yield piece

    headers = {"content-length": str(total)} if declared else {}
    return _Bounded(pieces(), headers=headers, media_type="image/png", cut=declared and total > _MOST_SENT)


class _Bounded(StreamingResponse):
    """A stream that cuts its connection where a body ends short of its declared length."""

    def __init__(self, content: AsyncIterator[bytes], *, headers: dict[str, str], media_type: str, cut: bool) -> None:
        super().__init__(content, headers=headers, media_type=media_type)
        self._cut = cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._cut:
            await super().__call__(scope, receive, send)
            return

        async def open_ended(message: object) -> None:
            if isinstance(message, dict) and not message.get("more_body", True):
                await Severed()(scope, receive, send)
            else:
                await send(message)  # type: ignore[arg-type]  # the message that starlette made, passed on

        await super().__call__(scope, receive, open_ended)
