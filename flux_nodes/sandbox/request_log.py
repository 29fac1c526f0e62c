"""The requests that the sandbox has seen, bounded in number and in bytes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

_MOST_KEPT = 2_000
_MOST_BYTES = 64 * 2**20
_LONGEST_TEXT = 2_000
_MOST_HEADERS = 50


@dataclass(frozen=True)
class RecordedRequest:
    """One request as it arrived.

    Attributes:
        method: The HTTP method.
        path: The path, without the query.
        headers: Header names in lower case, with their values; of Authorization only the scheme is kept.
        json: The body, when it was JSON and its key was known; otherwise None.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    json: Any


class RequestLog:
    """The last 2,000 requests; of bodies that are more than 64 MiB together the older ones are forgotten."""

    def __init__(self) -> None:
        self._kept: deque[tuple[RecordedRequest, int]] = deque(maxlen=_MOST_KEPT)

    def add(self, request: Request, json: Any = None, size: int = 0) -> None:
        """Keep a request, with its key blotted out, and its body, which has `size` bytes."""
        headers = dict(list(request.headers.items())[:_MOST_HEADERS])
        if "authorization" in headers:
            bearer = headers["authorization"].lower().startswith("bearer ")
            headers["authorization"] = "Bearer ***" if bearer else "***"
        headers = {name[:_LONGEST_TEXT]: value[:_LONGEST_TEXT] for name, value in headers.items()}
        path = request.url.path[:_LONGEST_TEXT]
        self._kept.append((RecordedRequest(request.method, path, headers, json), size))
        self._forget_bodies()

    def all(self) -> list[RecordedRequest]:
        """Return them, oldest first."""
        return [record for record, _ in self._kept]

    def _forget_bodies(self) -> None:
        together = sum(size for _, size in self._kept)
        for place, (record, size) in enumerate(list(self._kept)[:-1]):
            if together <= _MOST_BYTES:
                return
            together -= size
            self._kept[place] = (replace(record, json=None), 0)
