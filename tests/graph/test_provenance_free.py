"""However few words asked for a picture: its graph, which fills every field, asks for the same one, and is free."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flux_nodes.core import ImagineRequest
from flux_nodes.core.catalog import MODEL_NAMES
from flux_nodes.core.images import decode
from flux_nodes.graph import Folders, Registry, read_workflow, run, stock_nodes
from flux_nodes.graph.events import Saved
from flux_nodes.graph.provenance import picture
from flux_nodes.nodes import NODES, Context

if TYPE_CHECKING:
    from flux_nodes.core import Generations
    from flux_nodes.sandbox import Sandbox

MEADOW = (Path(__file__).parents[2] / "workflows" / "flux-nodes-meadow.jpg").read_bytes()


@pytest.mark.parametrize(
    ("model", "more"),
    [
        *((name, {}) for name in MODEL_NAMES),
        ("flux-schnell", {"image_prompt": MEADOW}),
        ("flux-pro", {"guidance": 3, "steps": 30}),
        ("flux-pro-1.1-ultra", {"image_prompt": MEADOW, "image_prompt_strength": 1, "aspect_ratio": "1:1"}),
    ],
)
async def test_an_image_made_of_few_words_runs_again_and_gives_the_same_pixels_free(
    generations: Generations, sandbox: Sandbox, tmp_path: Path, model: str, more: dict[str, Any]
) -> None:
    started = await generations.start(ImagineRequest(model=model, prompt="a lake", seed=3, **more))
    data = await picture(generations, await generations.wait(started.id))
    registry = Registry([*NODES, *stock_nodes(Folders(input=tmp_path, output=tmp_path, temp=tmp_path))])

    events = [event async for event in run(read_workflow(data, registry), registry, Context(generations))]

    (saved,) = [event.file.path for event in events if isinstance(event, Saved)]
    assert np.array_equal(decode(saved.read_bytes()), decode(data))
    assert sandbox.charges == 1
