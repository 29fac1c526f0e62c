"""Ask our routes for ComfyUI without ComfyUI: each request goes the way that one from its server goes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from flux_nodes.comfy.routes import ROUTES, answered
from flux_nodes.comfy.routes_exchange import Asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flux_nodes.comfy.routes_exchange import Answer

JSON = {"content-type": "application/json"}


async def ask(method: str, address: str, body: object = None, *, headers: Mapping[str, str] | None = None) -> Answer:
    """Send a request, its body as JSON unless it is bytes."""
    place = urlsplit(address)
    for route in ROUTES:
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path), place.path)
        if found and route.method == method:
            payload = body if isinstance(body, bytes) else json.dumps(body).encode()
            asked = Asked(
                headers={**JSON, **(headers or {})},
                parts=found.groupdict(),
                query=dict(parse_qsl(place.query)),
                body=b"" if body is None else payload,
            )
            return await answered(route, asked)
    raise AssertionError(f"there is no route {method} {address}")


async def told(method: str, address: str, body: object = None, *, status: int = 200) -> Any:
    """Send a request that is to be answered with this status; return the JSON of the answer."""
    answer = await ask(method, address, body)
    document = json.loads(answer.body)
    assert answer.status == status, document
    return document
