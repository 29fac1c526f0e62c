"""The node that loads a past generation, made by any door."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from .face import Context, Input, Node, Output, Result, Step
from .imagine import CATEGORY
from .together import Together
from .words import summary

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def load_generation(
    context: Context, *, generation: str = "", generation_id: str = ""
) -> AsyncGenerator[Step, None]:
    """Load a past generation, and what it was asked for with; one that is unfinished is collected first, free.

    Raises InvalidRequest, UnknownGeneration and what `Generations.follow` raises.
    """
    together = Together(context)
    await together.join([_chosen(generation, generation_id)])
    async with aclosing(together.moves()) as moves:
        async for moved in moves:
            yield moved
    (found,) = together.all()
    image = await context.generations.array(found)
    values = (image, found.id, found.prompt, found.seed or 0, found.model)
    yield Result(values, text=summary([found], collected=True), generations=(found,))


def _chosen(generation: str, generation_id: str) -> str:
    """Return the id: what stands behind it in the list is for people."""
    from ..core.errors import Fault, InvalidRequest

    ids = generation_id.split()
    if len(ids) > 1:
        raise InvalidRequest([Fault("generation_id", f"holds {len(ids)} words", "one id; FLUX Fetch takes several")])
    chosen = ids or generation.split()
    if not chosen:
        raise InvalidRequest([Fault("generation", "nothing is chosen", "one of the list, or a generation id")])
    return chosen[0]


LOAD_GENERATION = Node(
    id="FluxLoadGeneration",
    label="FLUX Load Generation",
    category=CATEGORY,
    description="Loads an image that was generated before, here, by an assistant or at the terminal. Always free.",
    inputs=(
        Input(
            name="generation",
            type="COMBO",
            label="Generation",
            tooltip="One of the recent generations, the newest first.",
            default="",
            optional=True,
            recent=True,
        ),
        Input(
            name="generation_id",
            type="STRING",
            label="Generation id",
            tooltip="The id of any generation, also of one that is not in the list; it goes before the list.",
            default="",
            optional=True,
        ),
    ),
    outputs=(
        Output(name="image", type="IMAGE", label="Image", tooltip="The image of this generation."),
        Output(
            name="id",
            type="STRING",
            label="Generation id",
            tooltip="Names this generation everywhere: here, at the terminal, to the assistant.",
        ),
        Output(name="prompt", type="STRING", label="Prompt", tooltip="The prompt that it was made with."),
        Output(
            name="seed",
            type="INT",
            label="Seed",
            tooltip="The seed that it was made with; 0 where the service chose one, which it does not tell.",
        ),
        Output(name="model", type="STRING", label="Model", tooltip="The FLUX model that made it."),
    ),
    run=load_generation,
    search=("history", "recent", "past", "reload", "previous", "gallery", "load image", "open", "flux", "apiframe"),
)
