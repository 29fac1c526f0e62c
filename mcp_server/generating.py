"""The tools that bring an image about: generate_image, get_generation and confirm_generation."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flux_nodes.core import catalog
from flux_nodes.core.errors import InvalidRequest
from mcp_server.arguments import MOST_WAIT, ConfirmArguments, GetArguments
from mcp_server.facts import GenerationFacts, generation_facts
from mcp_server.image_prompt import image_prompt
from mcp_server.imagine_arguments import ImagineArguments
from mcp_server.progress import Progress
from mcp_server.tool import CREATES, LOOKS, SETTLES, tool

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context
    from mcp.server.mcpserver.tools import Tool

    from flux_nodes.core import Generation, Generations, ImagineRequest
    from mcp_server.carriage import Carriage
    from mcp_server.state import State


async def generate_image(context: Context[State], given: ImagineArguments) -> GenerationFacts:
    """Start one generation and wait a bounded time for its image."""
    state = context.request_context.lifespan_context
    generations = await state.generations()
    request = await _request(given, state, generations)
    carriage = state.carrier.start(generations, request, fresh=given.fresh)
    await _watch(carriage, given.wait_seconds, context)
    return await _told(await carriage.stands(), generations)


async def get_generation(context: Context[State], given: GetArguments) -> GenerationFacts:
    """Look how a generation stands, or wait a bounded time for it."""
    state = context.request_context.lifespan_context
    generations = await state.generations()
    known = await generations.get(given.generation_id)
    carriage = state.carrier.of(known.id)
    if carriage is None and not known.settled and known.task_id is not None and given.wait_seconds:
        carriage = state.carrier.follow(generations, known)
    if carriage is None:
        return await _told(await generations.refresh(known.id), generations)
    await _watch(carriage, given.wait_seconds, context)
    # If it was reused, then by another call, not by this.
    return await _told(replace(await carriage.stands(), reused=False), generations)


async def confirm_generation(context: Context[State], given: ConfirmArguments) -> GenerationFacts:
    """Give a generation whose answer was lost its task id, and look how it stands."""
    generations = await context.request_context.lifespan_context.generations()
    confirmed = await generations.confirm_task(given.generation_id, given.task_id)
    return await _told(await generations.refresh(confirmed.id), generations)


async def _watch(carriage: Carriage, seconds: float, context: Context[State]) -> None:
    progress = Progress(context)
    async with aclosing(carriage.watch(seconds)) as moves:
        async for moved in moves:
            await progress.tell(moved)


async def _told(known: Generation, generations: Generations) -> GenerationFacts:
    """Tell a generation that is well or on its way. Raises what `require_image` raises for one that is neither."""
    return await generation_facts(generations.require_image(known) if known.settled else known, generations)


async def _request(given: ImagineArguments, state: State, generations: Generations) -> ImagineRequest:
    """Make the request of a call. Raises InvalidRequest with the faults of all its arguments together."""
    from flux_nodes.core.decoding import in_background
    from flux_nodes.core.request import ImagineRequest

    values: dict[str, Any] = dict(given.values)
    faults = list(given.faults)
    if given.image_prompt is not None:
        try:
            folders = state.image_folders(generations)
            values["image_prompt"] = await image_prompt(given.image_prompt, generations, folders)
        except InvalidRequest as error:
            faults += error.faults
            del values["image_prompt"]
    try:
        request = await in_background(ImagineRequest, **values)  # it decodes an image prompt
    except InvalidRequest as error:
        faults += error.faults
    if faults:
        raise InvalidRequest(faults)
    return request.seeded()  # so that its image can be made again


def _price() -> str:
    prices = {model.credits for model in catalog.MODELS}
    words = " to ".join(str(price) for price in sorted({min(prices), max(prices)}))
    return f"{words} {'credit' if prices == {1} else 'credits'}"


def tools() -> list[Tool]:
    """Return the tools of this module."""
    return [
        tool(
            generate_image,
            title="Generate an image",
            description=(
                f"Generate one image from words with a FLUX model. COSTS {_price()} a call, from the user's account. "
                "Waits up to wait_seconds for the image and returns its facts and its generation_id; what is not ready "
                "by then goes on by itself and is collected with get_generation, free of charge. Never call this "
                "again for a generation that is still running. Wrong arguments cost nothing, nor does a picture with a "
                "seed that was asked for before in the same words: that one is given again, unless fresh is true. "
                "Returns no pixels: the facts name the file, and view_image shows it."
            ),
            arguments=ImagineArguments,
            output=GenerationFacts,
            hints=CREATES,
        ),
        tool(
            get_generation,
            title="Get a generation",
            description=(
                "Tell how a generation stands, and collect its image when it is ready. Free. With wait_seconds "
                f"(up to {MOST_WAIT}) it waits for the image. Takes generations started anywhere: here, at the "
                "terminal, in a node graph."
            ),
            arguments=GetArguments,
            output=GenerationFacts,
            hints=LOOKS,
        ),
        tool(
            confirm_generation,
            title="Confirm a generation",
            description=(
                "Give a generation whose answer was lost (unconfirmed) the service's task id, when the user has "
                "found it: in an error that said to note it, or at the service. The service is asked whether it knows "
                "that task. Free. Nothing is sent again, and a task id that is there is not replaced. Never guess one."
            ),
            arguments=ConfirmArguments,
            output=GenerationFacts,
            hints=SETTLES,
        ),
    ]
