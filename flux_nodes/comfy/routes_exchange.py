"""What is asked of a route and what it answers, apart from any web server; and who may ask at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..core.errors import FluxNodesError, NothingSent, OtherService, StorageError, UnknownGeneration
from .guidance import Run, guided

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES = 2**16
"""The longest body that any route reads."""

_PORTS = {"http": 80, "https": 443}
_JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request: names of `headers` in lower case, `parts` of the path by name, at most MOST_BYTES + 1 of `body`."""

    headers: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)  # it may hold a key


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer."""

    status: int = HTTPStatus.OK
    body: bytes = b""
    media_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request that a route does not answer: its status, and a sentence for people."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def told(document: object, *, status: int = HTTPStatus.OK) -> Answer:
    """Answer with a JSON document, which nobody keeps: prompts are private."""
    return Answer(
        status=status,
        body=json.dumps(document, ensure_ascii=False).encode(errors="replace"),
        headers={"Cache-Control": "no-store"},
    )


def complaint(error: Refused | FluxNodesError | OSError) -> Answer:
    """Answer with an error's sentence, as it is told in ComfyUI."""
    status = _status(error)
    return told({"error": str(guided(error, Run(alone=True)))}, status=status)


def _status(error: Exception) -> HTTPStatus:
    if isinstance(error, Refused):
        return error.status
    if isinstance(error, UnknownGeneration):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, OtherService):
        return HTTPStatus.CONFLICT
    if isinstance(error, NothingSent):
        return HTTPStatus.BAD_REQUEST
    storage = isinstance(error, (StorageError, OSError))
    return HTTPStatus.INTERNAL_SERVER_ERROR if storage else HTTPStatus.CONFLICT


def refuse_strangers(asked: Asked) -> None:
    """Let in what another site's page has not sent: it must neither store a key nor read what was generated.

    ComfyUI itself compares `Origin` and `Host` on a loopback address only, and not at all with --enable-cors-header.
    Raises Refused.
    """
    site = asked.headers.get("sec-fetch-site")
    # Where the browser says it, it knows best: behind a proxy the two addresses may differ on a page of ComfyUI's own.
    stranger = _is_foreign(asked) if site is None else site not in {"same-origin", "none"}
    if stranger:
        raise Refused(HTTPStatus.FORBIDDEN, "Only ComfyUI's own page may ask this; the request came from another site.")


def _is_foreign(asked: Asked) -> bool:
    origin = asked.headers.get("origin")
    if origin is None:
        return False
    scheme = origin.partition("://")[0]
    ours = _place(f"{scheme}://{asked.headers.get('host', '')}")
    return ours is None or _place(origin) != ours


def _place(address: str) -> tuple[str, int] | None:
    """Return host and port of an address; None for what is none, such as the `null` of a page without an origin."""
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return None if parts.hostname is None else (parts.hostname, port)


def document(asked: Asked, *, most: int = MOST_BYTES) -> dict[str, Any]:
    """Return the JSON object that the body is.

    Only application/json is taken: a form of another site cannot send that. Raises Refused.
    """
    if asked.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The body must be JSON, with Content-Type: {_JSON}.")
    if len(asked.body) > most:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is too long; {most} bytes are allowed.")
    try:
        found = json.loads(asked.body)
    except (ValueError, RecursionError):
        # Without its cause, whose words would hold the body.
        raise Refused(HTTPStatus.BAD_REQUEST, "The body is no JSON that can be read.") from None
    if not isinstance(found, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "The body must be one JSON object.")
    return found
