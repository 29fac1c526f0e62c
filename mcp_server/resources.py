"""The stored images as resources of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import Context  # noqa: TC002 - the SDK finds a handler's context by its annotation
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

from flux_nodes.core.errors import FluxNodesError, UnknownGeneration
from flux_nodes.graph.provenance import picture
from mcp_server.refusals import in_words

if TYPE_CHECKING:
    from mcp.server import MCPServer

    from flux_nodes.core import Generations
    from mcp_server.state import State

URI = "flux-nodes://generations/{generation_id}/image"


def add_to(server: MCPServer[State]) -> None:
    """Publish the images of a server's generations."""
    server.resource(
        URI,
        name="generation_image",
        title="Image of a generation",
        description="The full image of a stored generation as a PNG file, with the graph that makes it for ComfyUI.",
        mime_type="image/png",
    )(generation_image)


async def generation_image(generation_id: str, context: Context[Any, Any]) -> bytes:
    """Return the image of a stored generation. Raises ResourceNotFoundError, ResourceError."""
    state: State = context.request_context.lifespan_context
    try:
        return await _png(generation_id, await state.generations())
    except UnknownGeneration as error:
        raise ResourceNotFoundError(in_words(error)) from error
    except FluxNodesError as error:
        raise ResourceError(in_words(error)) from error


async def _png(generation_id: str, generations: Generations) -> bytes:
    known = generations.require_image(await generations.get(generation_id))
    return await picture(generations, known)
