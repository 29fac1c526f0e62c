"""What is asked of a route and what it answers, apart from any web server; and who may ask at all."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..core.errors import (
    FluxNodesError,
    InvalidSettings,
    NothingSent,
    OtherService,
    StorageError,
    UnknownGeneration,
)
from .guidance import Run, guided

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES = 2**16
"""The longest body that any route reads."""

_PORTS = {"http": 80, "https": 443}
_JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request: names of `headers` in lower case, `parts` of the path by name, at most MOST_BYTES + 1 of `body`.

    `loopback_only` tells that the server listens on loopback addresses and nowhere else.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    loopback_only: bool = False
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

    Where ComfyUI listens on loopback only, only loopback names are let in, and those that the settings allow.

    ComfyUI itself compares `Origin` and `Host` on a loopback address only, and not at all with --enable-cors-header.
    Raises Refused.
    """
    _refuse_rebinding(asked)
    site = asked.headers.get("sec-fetch-site")
    # Where the browser says it, it knows best: behind a proxy the two addresses may differ on a page of ComfyUI's own.
    stranger = _is_foreign(asked) if site is None else site not in {"same-origin", "none"}
    if stranger:
        raise Refused(HTTPStatus.FORBIDDEN, "Only ComfyUI's own page may ask this; the request came from another site.")


def _refuse_rebinding(asked: Asked) -> None:
    """Refuse a name that is not this machine's where only this machine is listened to.

    A site can let its own name lead to 127.0.0.1 (DNS rebinding). For the browser its page is then ComfyUI's, and only
    the name in `Host` tells them apart. Browsers always send one. Raises Refused.
    """
    host = asked.headers.get("host")
    if not asked.loopback_only or host is None:
        return
    name = _host_name(host)
    if name is None or not (is_loopback(name) or name in _allowed_hosts()):
        from ..core.settings import ENVIRONMENT  # pydantic loads with the first request, not while ComfyUI starts

        raise Refused(
            HTTPStatus.FORBIDDEN,
            "ComfyUI listens on this machine only, and the request names another host: open ComfyUI as localhost or "
            f"127.0.0.1. If a proxy of yours leads there, name its host in {ENVIRONMENT['allowed_hosts']}.",
        )


_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:/?#@\\\[\]]+))(?::[0-9]*)?", re.ASCII)


def _host_name(host: str) -> str | None:
    """Return the name or address of a `Host` header, in lower case, without port and without a dot at its end."""
    match = _HOST.fullmatch(host.strip().lower())
    return None if match is None else match[1] or match[2].removesuffix(".")


def is_loopback(name: str) -> bool:
    """Tell whether a name or an address means this machine and can mean no other (RFC 6761, section 6.3)."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _allowed_hosts() -> frozenset[str]:
    from ..core.settings import Settings

    try:
        return Settings.load().allowed_hosts
    except InvalidSettings:
        return frozenset()


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
