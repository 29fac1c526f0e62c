"""Request bodies, bounded before anything of them is kept."""

from __future__ import annotations

import asyncio
import json
import weakref
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

MOST_BYTES = 48 * 2**20
"""The longest body: an image prompt of 36 MiB, in base64."""

MOST_VALUES = 100_000
"""How many values a document may hold: each takes many times the memory of its text."""

MOST_DEPTH = 32

_LARGE = 2**20
_LARGE_AT_ONCE = 2


class MalformedBody(ValueError):
    """The body is not what the endpoint takes; the text says why."""


class BodyTooLarge(ValueError):
    """The body is longer than any that the endpoint takes."""


class BodyReader:
    """Reads bodies: any number of small ones at once, and few large ones."""

    def __init__(self) -> None:
        # A semaphore belongs to one event loop, and several may serve one sandbox.
        self._turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            weakref.WeakKeyDictionary()
        )

    @asynccontextmanager
    async def reading(self, request: Request, most: int = MOST_BYTES) -> AsyncIterator[bytes]:
        """Give a body; a large one has its turn until the block ends. Raises BodyTooLarge."""
        pieces = _pieces(request, most)
        body = bytearray()
        async for piece in pieces:
            body += piece
            if len(body) > _LARGE:
                break
        else:
            yield bytes(body)
            return
        async with self._turn():
            async for piece in pieces:
                body += piece
            yield bytes(body)

    def _turn(self) -> asyncio.Semaphore:
        return self._turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_LARGE_AT_ONCE))


async def skip_body(request: Request) -> None:
    """Read a body without keeping any of it, so that its sender comes to hear the reply."""
    try:
        async for _ in _pieces(request, MOST_BYTES):
            pass
    except BodyTooLarge:
        pass


async def _pieces(request: Request, most: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            msg = f"The body is longer than {most} bytes"
            raise BodyTooLarge(msg)
        yield piece


def require_json(request: Request) -> None:
    """Refuse a body that is not declared as JSON: a page of another site can send any other kind unasked.

    Raises:
        MalformedBody: It is declared as something else, or not at all.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        msg = "Content-Type must be application/json"
        raise MalformedBody(msg)


def parse_json(raw: bytes) -> Any:
    """Read a JSON document of bounded depth and number of values.

    Raises:
        MalformedBody: It is no JSON, or more than is taken. `NaN` and `Infinity` are no JSON.
    """
    if raw.count(b"{") + raw.count(b"[") + raw.count(b",") > MOST_VALUES:
        msg = f"The body holds more than {MOST_VALUES} values"
        raise MalformedBody(msg)
    try:
        document = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        msg = "The body is not valid JSON"
        raise MalformedBody(msg) from None
    if _is_deep(document):
        msg = f"The body is nested deeper than {MOST_DEPTH} levels"
        raise MalformedBody(msg)
    return document


def _no_constant(name: str) -> None:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _is_deep(document: object) -> bool:
    level: list[object] = [document]
    for _ in range(MOST_DEPTH + 1):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return False
    return True


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
