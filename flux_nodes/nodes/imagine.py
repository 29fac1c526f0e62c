"""The nodes that generate: all at once (FLUX Imagine), or in two steps (FLUX Submit, FLUX Fetch)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import fields
from .face import Context, Input, Node, Output, Result, Step

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from ..core.generation import Generation
    from ..core.images import Array

CATEGORY = "FLUX (APIFRAME)"

_IMAGE = Output(name="image", type="IMAGE", label="Image", tooltip="The generated image.")
_ID = Output(
    name="generation_id",
    type="STRING",
    label="Generation id",
    tooltip="Names this generation in every door: the terminal, the assistant, FLUX Fetch.",
)
_TASK = Output(
    name="task", type="FLUX_TASK", label="Task", tooltip="The submitted generation, for FLUX Fetch to collect."
)


async def _submitted(
    context: Context, values: Mapping[str, Any], image_prompt: Array | None, *, fresh: bool
) -> Generation:
    request = await asyncio.to_thread(fields.request, values, image_prompt=image_prompt)
    return await context.generations.start(request, fresh=fresh)


async def _image(context: Context, generation: Generation) -> Result:
    image = await context.generations.array(generation)
    text = f"{generation.model} {generation.width}×{generation.height} · {_named(generation)}"
    return Result((image,), text=text)


def _named(generation: Generation) -> str:
    return f"{generation.id} · reused, free" if generation.reused else generation.id


async def imagine(
    context: Context, *, image_prompt: Array | None = None, fresh: bool = False, **values: Any
) -> AsyncGenerator[Step, None]:
    """Generate an image and wait for it. Raises what `Generations.start` and `Generations.follow` raise."""
    started = last = await _submitted(context, values, image_prompt, fresh=fresh)
    async for moved in context.generations.follow(started.id):
        last = replace(moved, reused=started.reused)
        yield last
    image = await _image(context, last)
    yield Result((*image.values, last.id), text=image.text)


async def submit(
    context: Context, *, image_prompt: Array | None = None, fresh: bool = False, **values: Any
) -> AsyncGenerator[Step, None]:
    """Start a generation and return at once. Raises what `Generations.start` raises."""
    started = await _submitted(context, values, image_prompt, fresh=fresh)
    yield started
    stands = started.status if started.reused else "submitted"
    yield Result((started.id, started.id), text=f"{started.model} {stands} · {_named(started)}")


async def fetch(context: Context, *, task: str | None = None, generation_id: str = "") -> AsyncGenerator[Step, None]:
    """Collect a generation that was started before, by any door. Raises UnknownGeneration and what `follow` raises."""
    wanted = task or generation_id.strip()
    if not wanted:
        from ..core.errors import Fault, InvalidRequest

        raise InvalidRequest([Fault("task", "nothing is linked, and generation_id is empty", "one of the two")])
    known = last = await context.generations.get(wanted)
    async for last in context.generations.follow(known.id):
        yield last
    yield await _image(context, last)


IMAGINE = Node(
    id="FluxImagine",
    label="FLUX Imagine",
    category=CATEGORY,
    description="Generates an image with a FLUX model through APIFRAME, and waits for it.",
    inputs=fields.inputs(),
    outputs=(_IMAGE, _ID),
    run=imagine,
    paid=True,
    check=fields.faults,
    search=("text to image", "txt2img", "image to image", "img2img", "flux", "apiframe", "generate", "prompt"),
)

SUBMIT = Node(
    id="FluxSubmit",
    label="FLUX Submit",
    category=CATEGORY,
    description="Starts a generation and goes on at once; FLUX Fetch collects it, in this graph or any other.",
    inputs=fields.inputs(),
    outputs=(_TASK, _ID),
    run=submit,
    paid=True,
    check=fields.faults,
    is_output=True,  # a graph may do nothing but submit: the id on the node is what it is for
    search=("queue", "async", "background", "start", "flux", "apiframe"),
)

FETCH = Node(
    id="FluxFetch",
    label="FLUX Fetch",
    category=CATEGORY,
    description="Collects a generation that was started before: by FLUX Submit, an assistant or the terminal.",
    inputs=(
        Input(
            name="generation_id",
            type="STRING",
            label="Generation id",
            tooltip="The id of a generation from any door. Not needed when a task is linked.",
            default="",
        ),
        Input(
            name="task",
            type="FLUX_TASK",
            label="Task",
            tooltip="A submitted generation, from FLUX Submit.",
            optional=True,
        ),
    ),
    outputs=(_IMAGE,),
    run=fetch,
    search=("collect", "resume", "result", "wait", "load generation", "flux", "apiframe"),
)
