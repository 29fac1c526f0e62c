"""The node that collects what was started before (FLUX Fetch)."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from .batch import batch
from .face import Context, Input, Node, Result, Step
from .imagine import CATEGORY, IMAGE
from .together import Together

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def fetch(context: Context, *, task: str | None = None, generation_id: str = "") -> AsyncGenerator[Step, None]:
    """Collect generations that were started before, by any door.

    Raises InvalidRequest, UnknownGeneration, and what `Together.all` raises.
    """
    together = Together(context)
    await together.join(_wanted(task or generation_id))
    async with aclosing(together.moves()) as moves:
        async for moved in moves:
            yield moved
    found = together.all()
    images, text = await batch(context, found, collected=True)
    yield Result((images,), text=text, generations=found)


def _wanted(ids: str) -> list[str]:
    wanted = ids.replace(",", " ").split()
    if not wanted:
        from ..core.errors import Fault, InvalidRequest

        raise InvalidRequest([Fault("task", "nothing is linked, and generation_id is empty", "one of the two")])
    return list(dict.fromkeys(wanted))


FETCH = Node(
    id="FluxFetch",
    label="FLUX Fetch",
    category=CATEGORY,
    description="Collects generations that were started before: by FLUX Submit, an assistant or the terminal. Free.",
    inputs=(
        Input(
            name="generation_id",
            type="STRING",
            label="Generation id",
            tooltip=(
                "The id of a generation from anywhere, or several ids with spaces or commas between. Not needed when "
                "a task is linked."
            ),
            default="",
        ),
        Input(
            name="task",
            type="FLUX_TASK",
            label="Task",
            tooltip="What was submitted, from FLUX Submit.",
            optional=True,
        ),
    ),
    outputs=(IMAGE,),
    run=fetch,
    search=("collect", "resume", "result", "wait", "load generation", "flux", "apiframe"),
)
