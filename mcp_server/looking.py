"""The tools that look: view_image, list_generations, list_models, get_account."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from mcp.types import ImageContent

from flux_nodes.core.errors import InvalidImage
from mcp_server.arguments import ListArguments, NoArguments, ViewArguments
from mcp_server.facts import AccountFacts, Entries, Models, account_facts, entry, models, spent
from mcp_server.tool import LOOKS, tool

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context
    from mcp.server.mcpserver.tools import Tool

    from mcp_server.state import State

MOST_BYTES = 500_000
"""The largest picture that is shown: with base64 it stays well under the megabyte that clients allow a result."""


async def view_image(context: Context[State], given: ViewArguments) -> ImageContent:
    """Show a stored image, made small enough for any client."""
    generations = await context.request_context.lifespan_context.generations()
    known = await generations.get(given.generation_id)
    data = await generations.data(known)
    from flux_nodes.core.decoding import in_background
    from flux_nodes.core.images import preview
    from flux_nodes.core.xmp import TRAINED, packet

    xmp = packet(TRAINED)
    try:
        small = await in_background(preview, data, longest=given.max_size, most=MOST_BYTES, xmp=xmp)
    except InvalidImage as error:
        raise generations.unreadable(known, error) from error
    return ImageContent(data=base64.b64encode(small).decode("ascii"), mime_type="image/jpeg")


async def list_generations(context: Context[State], given: ListArguments) -> Entries:
    """List the newest generations, and what was spent."""
    generations = await context.request_context.lifespan_context.generations()
    statuses = () if given.status is None else (given.status,)
    found = await generations.recent(most=given.most, statuses=statuses)
    spending = [spent(one) for one in await generations.spending()]
    return Entries(generations=[await entry(one, generations) for one in found], spending=spending)


async def list_models(context: Context[State], given: NoArguments) -> Models:
    """List the models and the arguments that shape their images."""
    del context, given
    return models()


async def get_account(context: Context[State], given: NoArguments) -> AccountFacts:
    """Tell the credits that are left."""
    del given
    generations = await context.request_context.lifespan_context.generations()
    return account_facts(await generations.account())


def tools() -> list[Tool]:
    """Return the tools of this module."""
    return [
        tool(
            view_image,
            title="View an image",
            description=(
                "Show the image of a stored generation: a JPEG of at most max_size pixels a side, and nothing else. "
                "Free. The full image is the file that get_generation names."
            ),
            arguments=ViewArguments,
            output=None,
            hints=LOOKS,
        ),
        tool(
            list_generations,
            title="List generations",
            description=(
                "List the newest generations of this machine with their ids, wherever they were started, and the "
                "credits spent by day and door. Free."
            ),
            arguments=ListArguments,
            output=Entries,
            hints=LOOKS,
        ),
        tool(
            list_models,
            title="List models",
            description="List the FLUX models, and which arguments of generate_image each takes. Free.",
            arguments=NoArguments,
            output=Models,
            hints=LOOKS,
        ),
        tool(
            get_account,
            title="Get the account",
            description="Tell how many credits the user's APIFRAME account has left. Free.",
            arguments=NoArguments,
            output=AccountFacts,
            hints=LOOKS,
        ),
    ]
