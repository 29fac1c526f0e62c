"""The sandbox's own routes: faults on demand and what was seen, for clients in any language."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .bodies import BodyReader, BodyTooLarge, MalformedBody, parse_json, require_json
from .fault_text import fault_to_json, faults_from_json
from .faults import FaultError
from .replies import errors, json_reply

if TYPE_CHECKING:
    from .app import Sandbox

_Answer = Callable[[Request], Awaitable[Response]]

_MOST_BYTES = 2**16
_MOST_FAULTS = 1_000
_PORTS = {"http": 80, "https": 443}


class Controls:
    """Answers the routes under /sandbox/."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._bodies = BodyReader()

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/sandbox/faults", _guarded(self._list_faults), methods=["GET"]),
            Route("/sandbox/faults", _guarded(self._add_faults), methods=["POST"]),
            Route("/sandbox/faults", _guarded(self._clear_faults), methods=["DELETE"]),
            Route("/sandbox/state", _guarded(self._tell_state), methods=["GET"]),
            Route("/sandbox/requests", _guarded(self._tell_requests), methods=["GET"]),
        ]

    async def _list_faults(self, _: Request) -> Response:
        return json_reply({"faults": [fault_to_json(fault) for fault in self._sandbox.faults]})

    async def _add_faults(self, request: Request) -> Response:
        try:
            require_json(request)
            async with self._bodies.reading(request, _MOST_BYTES) as raw:
                faults = faults_from_json(parse_json(raw))
        except (FaultError, MalformedBody, BodyTooLarge) as error:
            return errors([str(error)])
        if len(self._sandbox.faults) + len(faults) > _MOST_FAULTS:
            return errors([f"More than {_MOST_FAULTS} faults would wait; DELETE forgets them"])
        for fault in faults:
            self._sandbox.inject(fault)
        return await self._list_faults(request)

    async def _clear_faults(self, request: Request) -> Response:
        self._sandbox.clear()
        return await self._list_faults(request)

    async def _tell_state(self, _: Request) -> Response:
        return json_reply(self._sandbox.counts())

    async def _tell_requests(self, _: Request) -> Response:
        return json_reply({"requests": [vars(request) for request in self._sandbox.requests]})


def _guarded(answer: _Answer) -> _Answer:
    async def guarded(request: Request) -> Response:
        if _is_of_a_page(request) or _is_rebound(request):
            return errors(["Only programs may ask this, not the page of a website"], 403)
        return await answer(request)

    return guarded


def _is_of_a_page(request: Request) -> bool:
    """Tell whether the page of another origin has asked, by what a browser says of it."""
    if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        return True
    origin = request.headers.get("origin")
    if origin is None:
        return False
    scheme = origin.partition("://")[0]
    return _place(origin) is None or _place(origin) != _place(f"{scheme}://{request.headers.get('host', '')}")


def _place(address: str) -> tuple[str, int] | None:
    """Return host and port of an address; None for what is none, such as the `null` of a page without an origin."""
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return None if parts.hostname is None else (parts.hostname, port)


def _is_rebound(request: Request) -> bool:
    """Tell whether a name that is not this machine's has led to it, which a site can arrange (DNS rebinding).

    A browser then takes the site's page for ours. Where others may reach the sandbox, it can have any name.
    """
    local, host = request.scope.get("server"), request.headers.get("host")
    if not local or host is None or not _is_loopback(str(local[0])):
        return False
    found = _HOST.fullmatch(host.strip().lower())
    return found is None or not _is_loopback((found[1] or found[2]).removesuffix("."))


_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:/?#@\\\[\]]+))(?::[0-9]*)?", re.ASCII)


def _is_loopback(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
