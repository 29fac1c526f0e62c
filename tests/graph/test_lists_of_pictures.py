"""Lists through our own nodes: several prompts in one graph, on the sandbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from flux_nodes.core.errors import GenerationFailed
from flux_nodes.graph import Finished, Folders, NodeFailed, Registry, Saved, read_workflow, run
from flux_nodes.nodes import Context

if TYPE_CHECKING:
    from pathlib import Path

    from flux_nodes.core import Generations
    from flux_nodes.graph import Event, Workflow


def asking(registry: Registry, prompts: str) -> Workflow:
    """Return the graph of a Prompt List whose pictures are saved, and laid out under their prompts."""
    face = registry["FluxImagine"]
    asked: dict[str, Any] = {item.name: item.default for item in face.inputs if item.is_widget}
    asked |= {"model": "flux-schnell", "prompt": ["1", 0], "seed": 5, "width": 256, "height": 256}
    sheet = {"labels": ["1", 0], "title": "", "columns": 0, "cell": 64, "image_1": ["2", 0]}
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "1": ("FluxPromptList", {"prompts": prompts}),
        "2": ("FluxImagine", asked),
        "3": ("SaveImage", {"images": ["2", 0], "filename_prefix": "list"}),
        "4": ("FluxContactSheet", sheet),
        "5": ("SaveImage", {"images": ["4", 0], "filename_prefix": "sheet"}),
    }
    data = {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()}
    return read_workflow(json.dumps(data), registry)


async def events_of(generations: Generations, registry: Registry, prompts: str) -> list[Event]:
    context = Context(generations=generations)
    return [event async for event in run(asking(registry, prompts), registry, context)]


def prompts_in(path: Path) -> list[str]:
    """Return the prompts of the generations that a file tells."""
    with Image.open(path) as image:
        told = json.loads(image.info["flux_nodes"])
    return [each["prompt"] for each in told["nodes"]["2"]]


async def test_each_prompt_of_a_list_is_a_picture_of_its_own_and_all_stand_on_one_sheet(
    generations: Generations, registry: Registry, folders: Folders
) -> None:
    events = await events_of(generations, registry, "a fox\nan owl\na hen")
    files = [event.file.path for event in events if isinstance(event, Saved)]
    assert sorted(path.name for path in files) == [
        "list_00001_.png",
        "list_00002_.png",
        "list_00003_.png",
        "sheet_00001_.png",
    ]
    told = {path.name: prompts_in(path) for path in files}
    assert told["list_00001_.png"] == ["a fox"]
    assert told["list_00003_.png"] == ["a hen"]
    assert told["sheet_00001_.png"] == ["a fox", "an owl", "a hen"]
    made = await generations.recent()
    assert {(each.prompt, each.seed) for each in made} == {("a fox", 5), ("an owl", 5), ("a hen", 5)}
    (text,) = (event.result.text for event in events if isinstance(event, Finished) and event.node.id == "2")
    assert len(text.splitlines()) == 3
    assert (folders.output / "sheet_00001_.png").is_file()


async def test_a_file_of_a_list_runs_the_whole_list_again_for_nothing(
    generations: Generations, registry: Registry, folders: Folders
) -> None:
    await events_of(generations, registry, "a fox\nan owl")
    again = read_workflow(folders.output / "list_00002_.png", registry)
    before = await generations.recent()
    events = [event async for event in run(again, registry, Context(generations=generations))]
    assert len([event for event in events if isinstance(event, Saved)]) == 3
    assert {each.id for each in await generations.recent()} == {each.id for each in before}


async def test_a_prompt_that_is_refused_does_not_lose_the_others(generations: Generations, registry: Registry) -> None:
    prompts = "a fox\nan owl [sandbox: fail moderation]\na hen"
    with pytest.raises(NodeFailed) as caught:
        await events_of(generations, registry, prompts)
    assert isinstance(caught.value.cause, GenerationFailed)
    stored = {each.prompt: each.id for each in await generations.recent(statuses=["stored"])}
    assert set(stored) == {"a fox", "a hen"}
    events = await events_of(generations, registry, prompts.replace(" [sandbox: fail moderation]", ""))
    assert len([event for event in events if isinstance(event, Saved)]) == 4
    now = {each.prompt: each.id for each in await generations.recent(statuses=["stored"])}
    assert {prompt: now[prompt] for prompt in stored} == stored
    assert len(now) == 3
