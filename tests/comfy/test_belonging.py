"""What ComfyUI finds in the pack's folders by itself: subgraph blueprints, and templates with thumbnails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from flux_nodes.graph import Folders, Registry, Saved, read_workflow, require, run, stock_nodes
from flux_nodes.nodes import NODES, Context
from tests.hosts.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from flux_nodes.core import Generations

BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))
TEMPLATES = sorted((ROOT / "workflows").glob("*.json"))


def inserted(blueprint: Path) -> dict[str, Any]:
    """Give the graph that stands on the canvas when a blueprint is inserted and each of its outputs is saved."""
    graph: dict[str, Any] = json.loads(blueprint.read_text("ascii"))
    (node,) = graph["nodes"]
    for slot, output in enumerate(node["outputs"]):
        link = 1000 + slot
        output["links"] = [link]
        graph["links"].append([link, node["id"], slot, link, 0, "IMAGE"])
        graph["nodes"].append(
            {
                "id": link,
                "type": "SaveImage",
                "mode": 0,
                "inputs": [{"name": "images", "type": "IMAGE", "link": link}],
                "outputs": [],
                "widgets_values": [output["name"]],
            }
        )
    return graph


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(input=ROOT / "workflows", output=tmp_path / "output", temp=tmp_path / "temp")


@pytest.mark.parametrize("blueprint", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_is_one_subgraph_that_bears_the_name_of_its_file_and_tells_what_it_does(blueprint: Path) -> None:
    graph = json.loads(blueprint.read_text("ascii"))  # ComfyUI reads it in the system's own encoding
    (node,), (subgraph,) = graph["nodes"], graph["definitions"]["subgraphs"]
    assert node["type"] == subgraph["id"]
    assert node["title"] == subgraph["name"] == blueprint.stem
    assert subgraph["description"] == graph["extra"]["BlueprintDescription"] != ""
    assert [slot["name"] for slot in node["outputs"]] == [slot["name"] for slot in subgraph["outputs"]]
    assert {inner["type"] for inner in subgraph["nodes"]} <= {item.id for item in NODES}


@pytest.mark.parametrize("blueprint", BLUEPRINTS, ids=lambda path: path.stem)
async def test_an_inserted_blueprint_runs_with_the_values_that_it_brings(
    blueprint: Path, folders: Folders, generations: Generations
) -> None:
    registry = Registry([*NODES, *stock_nodes(folders)])
    graph = inserted(blueprint)
    workflow = read_workflow(json.dumps(graph).encode(), registry)
    require(workflow, registry)
    events = [event async for event in run(workflow, registry, Context(generations))]
    saved = [event.file.path for event in events if isinstance(event, Saved)]
    sizes = {file.name.partition("_")[0]: size(file) for file in saved}
    assert sorted(sizes) == sorted(slot["name"] for slot in graph["nodes"][0]["outputs"])
    if "Sketch" in sizes:
        assert sizes["Image"][0] > sizes["Sketch"][0], "the sketch is the small one"


def size(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        found: tuple[int, int] = image.size
    return found


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_has_a_small_thumbnail_and_a_note(template: Path) -> None:
    thumbnail = template.with_suffix(".jpg")
    assert size(thumbnail) == (400, 400)
    assert thumbnail.stat().st_size < 40_000
    types = [node["type"] for node in json.loads(template.read_text("utf-8"))["nodes"]]
    assert types.count("MarkdownNote") == 1
