"""What the runner lends nodes of the graph that runs, and what saved files tell of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from flux_nodes.core.facts import facts
from flux_nodes.core.generation import Generation
from flux_nodes.graph import Finished, Folders, Registry, Saved, read_workflow, run, stock_nodes
from flux_nodes.nodes.face import Context, Input, Node, Output, Result

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from flux_nodes.graph import Event

Nodes: TypeAlias = dict[str, tuple[str, dict[str, Any]]]
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def generation(word: str) -> Generation:
    return Generation(
        id=f"g-{word}",
        door="test",
        service="sandbox",
        fingerprint="secret",
        request={"model": "flux-dev", "prompt": word, "seed": 7},
        status="stored",
        created_at=NOON,
        updated_at=NOON,
    )


async def make(context: Context, *, word: str, image: Any = None) -> AsyncGenerator[Any, None]:
    del context, image
    yield Result((np.zeros((1, 2, 2, 3), np.float32),), text=word, generations=(generation(word),))


async def words(context: Context, *, text: str) -> AsyncGenerator[Any, None]:
    del context
    yield Result((text.split(),))


async def sheet(context: Context, *, image: Any) -> AsyncGenerator[Any, None]:
    del context
    yield Result((np.concatenate(image),))


async def tell(context: Context, *, image: Any) -> AsyncGenerator[Any, None]:
    del image
    yield Result((), text=json.dumps(context.graph))


IMAGE_IN = Input(name="image", type="IMAGE", label="", tooltip="", optional=True)
IMAGE_OUT = Output(name="image", type="IMAGE", label="", tooltip="")
TEXT_OUT = Output(name="words", type="STRING", label="", tooltip="", is_list=True)


def text(name: str) -> Input:
    return Input(name=name, type="STRING", label="", tooltip="", default="")


def node(id_: str, run_: Any, inputs: tuple[Input, ...], *outputs: Output, **more: Any) -> Node:
    return Node(id=id_, label=id_, category="", description="", inputs=inputs, outputs=outputs, run=run_, **more)


NODES = (
    node("Make", make, (text("word"), IMAGE_IN), IMAGE_OUT),
    node("Words", words, (text("text"),), TEXT_OUT),
    node("Sheet", sheet, (IMAGE_IN,), IMAGE_OUT, takes_lists=True),
    node("Tell", tell, (IMAGE_IN,), is_output=True),
)


def prompt(nodes: Nodes) -> dict[str, Any]:
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()}


async def ran(folders: Folders, context: Context, source: dict[str, Any]) -> list[Event]:
    registry = Registry([*NODES, *stock_nodes(folders)])
    return [event async for event in run(read_workflow(json.dumps(source), registry), registry, context)]


async def saved(folders: Folders, context: Context, nodes: Nodes) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for event in await ran(folders, context, prompt(nodes)):
        if isinstance(event, Saved):
            files.setdefault(event.node.id, []).append(event.file.path)
    return files


def chunks(path: Path) -> dict[str, Any]:
    with Image.open(path) as image:
        texts = {str(name): text for name, text in image.info.items()}
    return {name: json.loads(text) for name, text in texts.items() if name not in ("XML:com.adobe.xmp", "xmp")}


def made(path: Path) -> dict[str, list[str]]:
    """Return the ids of the generations that a file tells, by node."""
    told = chunks(path)["flux_nodes"]["nodes"]
    return {node_id: [each["generation_id"] for each in generations] for node_id, generations in told.items()}


def saving(source: str) -> tuple[str, dict[str, Any]]:
    return "SaveImage", {"images": [source, 0], "filename_prefix": "x"}


async def test_a_saved_file_tells_the_generations_that_it_comes_from_and_no_others(
    folders: Folders, context: Context
) -> None:
    nodes: Nodes = {
        "1": ("Make", {"word": "fox"}),
        "2": ("Make", {"word": "hen", "image": ["1", 0]}),
        "3": ("Make", {"word": "owl"}),
        "7": saving("2"),
        "8": saving("3"),
    }
    files = await saved(folders, context, nodes)
    assert made(files["7"][0]) == {"1": ["g-fox"], "2": ["g-hen"]}
    assert made(files["8"][0]) == {"3": ["g-owl"]}
    assert chunks(files["8"][0])["flux_nodes"]["nodes"]["3"] == [facts(generation("owl"))]
    assert b"secret" not in files["8"][0].read_bytes()


async def test_each_file_of_a_list_tells_of_its_own_picture(folders: Folders, context: Context) -> None:
    nodes: Nodes = {
        "1": ("Words", {"text": "fox hen"}),
        "2": ("Make", {"word": ["1", 0]}),
        "3": ("Sheet", {"image": ["2", 0]}),
        "7": saving("2"),
        "8": saving("3"),
    }
    files = await saved(folders, context, nodes)
    assert [made(path) for path in files["7"]] == [{"2": ["g-fox"]}, {"2": ["g-hen"]}]
    assert [made(path) for path in files["8"]] == [{"2": ["g-fox", "g-hen"]}] * 2


async def test_a_preview_tells_it_too(folders: Folders, context: Context) -> None:
    nodes: Nodes = {"1": ("Make", {"word": "fox"}), "2": ("PreviewImage", {"images": ["1", 0]})}
    files = await saved(folders, context, nodes)
    assert made(files["2"][0]) == {"1": ["g-fox"]}


async def test_a_file_that_comes_from_no_generation_says_nothing_of_any(folders: Folders, context: Context) -> None:
    folders.output.mkdir()
    Image.new("RGB", (2, 2)).save(folders.input / "a.png")
    nodes: Nodes = {"1": ("LoadImage", {"image": "a.png"}), "2": saving("1")}
    files = await saved(folders, context, nodes)
    assert "flux_nodes" not in chunks(files["2"][0])


async def test_a_finished_node_holds_the_generations_of_all_its_runs(folders: Folders, context: Context) -> None:
    nodes: Nodes = {"1": ("Words", {"text": "fox hen"}), "2": ("Make", {"word": ["1", 0]}), "3": saving("2")}
    events = await ran(folders, context, prompt(nodes))
    (result,) = (event.result for event in events if isinstance(event, Finished) and event.node.id == "2")
    assert [each.id for each in result.generations] == ["g-fox", "g-hen"]
    assert result.text == "fox\nhen"


async def test_a_node_is_lent_the_graph_that_it_runs_in(folders: Folders, context: Context) -> None:
    ui = {
        "nodes": [
            {"id": 1, "type": "Make", "widgets_values": ["fox"]},
            {"id": 2, "type": "Tell", "inputs": [{"name": "image", "type": "IMAGE", "link": 1}]},
        ],
        "links": [[1, 1, 0, 2, 0, "IMAGE"]],
        "version": 0.4,
    }
    events = await ran(folders, context, ui)
    (told,) = (event.result.text for event in events if isinstance(event, Finished) and event.node.id == "2")
    graph = json.loads(told)
    assert graph["workflow"] == ui
    assert graph["prompt"]["1"]["inputs"] == {"word": "fox"}


async def test_of_a_graph_that_came_without_a_drawing_what_runs_is_drawn(folders: Folders, context: Context) -> None:
    nodes: Nodes = {"1": ("Make", {"word": "fox"}), "2": saving("1")}
    idle: Nodes = {"5": ("Make", {"image": ["5", 9]}), "6": ("Make", {"word": [1, 2], "image": ["5", 0]})}
    file = (await saved(folders, context, nodes | idle))["2"][0]
    told = chunks(file)
    assert told["prompt"]["1"]["inputs"] == {"word": "fox"}
    assert set(told["prompt"]) == {"1", "2", "5", "6"}
    registry = Registry([*NODES, *stock_nodes(folders)])
    drawn = read_workflow(json.dumps(told["workflow"]), registry)
    meant = read_workflow(json.dumps(prompt(nodes)), registry)
    assert {key: node.inputs for key, node in drawn.nodes.items()} == {
        key: node.inputs for key, node in meant.nodes.items()
    }
