"""The nodes that generate: all at once (FLUX Imagine), or started only (FLUX Submit)."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from . import fields
from .batch import batch
from .face import Context, Node, Output, Result, Step
from .parts import parts
from .together import Together
from .words import submitted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from ..core.generation import Generation
    from ..core.images import Array

CATEGORY = "FLUX (APIFRAME)"

IMAGE = Output(
    name="image", type="IMAGE", label="Image", tooltip="The generated image, or the batch of all that were asked for."
)
_ID = Output(
    name="generation_id",
    type="STRING",
    label="Generation id",
    tooltip="Names this generation everywhere: here, at the terminal, to the assistant. Of several, one id a line.",
)
_TASK = Output(name="task", type="FLUX_TASK", label="Task", tooltip="What was submitted, for FLUX Fetch to collect.")


async def _started(
    context: Context, values: Mapping[str, Any], image_prompt: Array | None, *, fresh: bool, count: int
) -> Together:
    from ..core.decoding import in_background  # Pillow waits until a graph runs

    asked = await in_background(parts, values, image_prompt=image_prompt, count=count)
    together = Together(context)
    await together.start(asked, fresh=fresh)
    return together


async def imagine(
    context: Context, *, image_prompt: Array | None = None, fresh: bool = False, count: int = 1, **values: Any
) -> AsyncGenerator[Step, None]:
    """Generate images and wait for them. Raises InvalidRequest, and what `Together.all` raises."""
    together = await _started(context, values, image_prompt, fresh=fresh, count=count)
    async with aclosing(together.moves()) as moves:
        async for moved in moves:
            yield moved
    made = together.all()
    images, text = await batch(context, made)
    yield Result((images, _ids(made)), text=text, generations=made)


async def submit(
    context: Context, *, image_prompt: Array | None = None, fresh: bool = False, count: int = 1, **values: Any
) -> AsyncGenerator[Step, None]:
    """Start generations and return at once. Raises InvalidRequest, and what `Together.all` raises."""
    together = await _started(context, values, image_prompt, fresh=fresh, count=count)
    for generation in together.started:
        yield generation
    made = together.all()
    yield Result((_ids(made), _ids(made)), text=submitted(made), generations=made)


def _ids(generations: tuple[Generation, ...]) -> str:
    return "\n".join(generation.id for generation in generations)


IMAGINE = Node(
    id="FluxImagine",
    label="FLUX Imagine",
    category=CATEGORY,
    description="Generates an image, or several, with a FLUX model through APIFRAME, and waits for it.",
    inputs=fields.inputs(),
    outputs=(IMAGE, _ID),
    run=imagine,
    paid=True,
    check=fields.faults,
    size=fields.size,
    search=("text to image", "txt2img", "image to image", "img2img", "flux", "apiframe", "generate", "prompt", "batch"),
)

SUBMIT = Node(
    id="FluxSubmit",
    label="FLUX Submit",
    category=CATEGORY,
    description="Starts generations and goes on at once; FLUX Fetch collects them, in this graph or any other.",
    inputs=fields.inputs(),
    outputs=(_TASK, _ID),
    run=submit,
    paid=True,
    check=fields.faults,
    size=fields.size,
    is_output=True,  # a graph may do nothing but submit: the id on the node is what it is for
    search=("queue", "async", "background", "start", "flux", "apiframe"),
)
