"""Replies that are right in substance and odd in form: too deep, too long, unstorable, without end, no HTTP at all."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse

from .replies import RAW, Severed, Sleep, json_reply, no_raw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from .faults import Fault

INSTEAD = frozenset({"errors"})
"""Kinds that come instead of the step: a submit is not accepted."""

ODD = frozenset({"errors", "half-emoji", "deep", "unended", "long-id", "drip", "continue", "garbled"})
"""Kinds that `odd` makes."""

_UNSTORABLE = "\0\ud83d"
_LEVELS = 600
_LONG_ID = 1_000_000
_REST = 0.05
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_GARBAGE = b"\x17\x03\x03\x00\x20" + bytes(range(32))
"""To TLS a record that nobody sealed, to HTTP no answer."""


def odd(fault: Fault, right: Response | None, sleep: Sleep) -> Response:
    """Return the odd form of the right reply (None for a kind that comes instead of it)."""
    if right is None:
        return json_reply({"errors": [{"msg": fault.message or "Insufficient credits"}]})
    if fault.kind == "drip":
        return StreamingResponse(_drops(max(fault.seconds or _REST, 0.01), sleep), media_type="application/json")
    if fault.kind == "continue":
        return _Interim()
    if fault.kind == "garbled":
        return _Garbled()
    if fault.kind == "unended":
        return Severed(right, kept=len(right.body) - 1)
    return _document(fault, json.loads(bytes(right.body)), right.status_code)


def _document(fault: Fault, document: Any, status: int) -> Response:
    if fault.kind == "half-emoji":
        return json_reply(_unstorable(document), status)
    if fault.kind == "long-id":
        return json_reply({**document, "task_id": document["task_id"] + "x" * (fault.size or _LONG_ID)}, status)
    return Response(_deep(json.dumps(document), fault.size or _LEVELS), status, media_type="application/json")


def _deep(text: str, levels: int) -> str:
    """Put nested lists in front of what a document holds; by hand, for what writes JSON would recurse."""
    nested = "[" * levels + "]" * levels
    return f'{{"deep":{nested},{text[1:]}' if text.startswith("{") else f"[{nested},{text[1:]}"


def _unstorable(value: Any) -> Any:
    """Let every text end in NUL and half an emoji, but for the status, which says what the reply means."""
    if isinstance(value, str):
        return value + _UNSTORABLE
    if isinstance(value, list):
        return [_unstorable(each) for each in value]
    if isinstance(value, dict):
        return {name: each if name == "status" else _unstorable(each) for name, each in value.items()}
    return value


async def _drops(seconds: float, sleep: Sleep) -> AsyncIterator[bytes]:
    """Send a blank, which JSON may begin with, again and again."""
    while True:
        yield b" "
        await sleep(seconds)


class _Interim(Response):
    """`100 Continue` for ever, and never an answer."""

    async def __call__(self, scope: Scope, receive: Receive, _: Send) -> None:
        """Send until the client has gone."""
        write = scope.get("extensions", {}).get(RAW) or no_raw
        gone = asyncio.ensure_future(_gone(receive))
        while not gone.done():
            write(_CONTINUE)
            await asyncio.wait([gone], timeout=_REST)


class _Garbled(Response):
    """Bytes that are no HTTP, put on the wire below TLS where the sandbox is served with it."""

    async def __call__(self, scope: Scope, receive: Receive, _: Send) -> None:
        """Send them, and wait until the client has gone."""
        write = scope.get("extensions", {}).get(RAW) or no_raw
        write(_GARBAGE, below_tls=True)
        await _gone(receive)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
