"""The sandbox's own routes: faults on demand and what was seen, for clients in any language."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from .fault_text import fault_to_json, faults_from_json
from .faults import FaultError
from .replies import errors, json_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from .app import Sandbox


@dataclass(frozen=True)
class RecordedRequest:
    """One request as it arrived.

    Attributes:
        method: The HTTP method.
        path: The path, without the query.
        headers: Header names in lower case, with their values; of Authorization only the scheme is kept.
        json: The body, when it was JSON; otherwise None.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    json: Any


def record(request: Request, raw: bytes) -> RecordedRequest:
    """Keep a request, with its key blotted out."""
    headers = dict(request.headers)
    if "authorization" in headers:
        bearer = headers["authorization"].lower().startswith("bearer ")
        headers["authorization"] = "Bearer ***" if bearer else "***"
    try:
        body = json.loads(raw) if raw else None
    except (ValueError, RecursionError):
        body = None
    return RecordedRequest(request.method, request.url.path, headers, body)


class Controls:
    """Answers the routes under /sandbox/."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/sandbox/faults", self._list_faults, methods=["GET"]),
            Route("/sandbox/faults", self._add_faults, methods=["POST"]),
            Route("/sandbox/faults", self._clear_faults, methods=["DELETE"]),
            Route("/sandbox/state", self._tell_state, methods=["GET"]),
            Route("/sandbox/requests", self._tell_requests, methods=["GET"]),
        ]

    async def _list_faults(self, _: Request) -> Response:
        return json_reply({"faults": [fault_to_json(fault) for fault in self._sandbox.faults]})

    async def _add_faults(self, request: Request) -> Response:
        try:
            faults = faults_from_json(json.loads(await request.body()))
        except FaultError as error:
            return errors([str(error)])
        except ValueError:
            return errors(["The body is not valid JSON"])
        for fault in faults:
            self._sandbox.inject(fault)
        return await self._list_faults(request)

    async def _clear_faults(self, request: Request) -> Response:
        self._sandbox.clear()
        return await self._list_faults(request)

    async def _tell_state(self, _: Request) -> Response:
        return json_reply(self._sandbox.counts())

    async def _tell_requests(self, _: Request) -> Response:
        return json_reply({"requests": [asdict(request) for request in self._sandbox.requests]})
