"""Our routes on ComfyUI's own server, for its frontend: /flux-nodes/….

Lists, pictures and graphs of what every door generated, and how things are set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..core.errors import FluxNodesError
from . import routes_generations, routes_settings
from .routes_catalog import catalog
from .routes_exchange import MOST_BYTES, Answer, Asked, Refused, complaint, is_loopback, refuse_strangers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@dataclass(frozen=True)
class Route:
    """One route: `path` as aiohttp takes it, and the function that answers."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    function: Callable[[Asked], Awaitable[Answer]]


ROUTES = (
    Route("GET", "/flux-nodes/state", routes_settings.state),
    Route("POST", "/flux-nodes/key", routes_settings.store_key),
    Route("DELETE", "/flux-nodes/key", routes_settings.forget_key),
    Route("GET", "/flux-nodes/account", routes_settings.account),
    Route("POST", "/flux-nodes/sandbox", routes_settings.switch_sandbox),
    Route("GET", "/flux-nodes/catalog", catalog),
    Route("GET", "/flux-nodes/recent", routes_generations.recent),
    Route("GET", "/flux-nodes/generations", routes_generations.listed),
    Route("GET", "/flux-nodes/generations/{id}/thumbnail", routes_generations.thumbnail),
    Route("GET", "/flux-nodes/generations/{id}/image", routes_generations.image),
    Route("GET", "/flux-nodes/generations/{id}/original", routes_generations.original),
    Route("GET", "/flux-nodes/generations/{id}/workflow", routes_generations.workflow),
    Route("POST", "/flux-nodes/collect", routes_generations.collect),
)

_FOR_OURSELVES = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
"""On every answer: no page of another site embeds it, and none takes it for what it is not."""


async def answered(route: Route, asked: Asked) -> Answer:
    """Answer one request; an error that was raised on purpose is answered with its sentence."""
    try:
        refuse_strangers(asked)
        return await route.function(asked)
    except (Refused, FluxNodesError, OSError) as error:
        return complaint(error)


def register() -> None:
    """Put the routes on ComfyUI's server, which also serves them below /api. Call it while custom nodes load."""
    from server import PromptServer

    table = PromptServer.instance.routes
    # A second copy of this pack would keep the whole server from starting: a route is taken only once.
    taken = {(known.method, known.path) for known in table if hasattr(known, "method")}  # static folders have none
    for route in ROUTES:
        if (route.method, route.path) not in taken:
            table.route(route.method, route.path)(_handler(route))


def _handler(route: Route) -> Callable[[Any], Awaitable[Any]]:
    async def handle(request: Any) -> Any:
        from aiohttp import web

        answer = await answered(route, await _asked(request))
        headers = {**_FOR_OURSELVES, **answer.headers, "Content-Type": answer.media_type}
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    return handle


async def _asked(request: Any) -> Asked:
    return Asked(
        loopback_only=listens_on_loopback_only(),
        headers={name.lower(): value for name, value in request.headers.items()},
        parts=dict(request.match_info),
        query=dict(request.query),
        body=await _body(request),
    )


def listens_on_loopback_only() -> bool:
    """Tell whether every address of ComfyUI's --listen is a loopback one; an empty one means all interfaces."""
    from comfy.cli_args import args

    return all(is_loopback(address.strip()) for address in args.listen.split(","))


async def _body(request: Any) -> bytes:
    """Read the body, and no more of it than tells that it is too long."""
    body = b""
    while len(body) <= MOST_BYTES and (chunk := await request.content.read(MOST_BYTES + 1 - len(body))):
        body += chunk
    return body
