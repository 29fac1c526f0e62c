"""Workflows that earlier versions saved: they open, mean what they meant, and run.

The files lie in `yesterday/VERSION/` as that version wrote them, and are never changed. A version is added by copying
its `workflows/*.json` there when it is released.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.graph import Finished, Folders, Link, Registry, Saved, check, read_workflow, run, stock_nodes
from flux_nodes.nodes import NODES, Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flux_nodes.core import Generations
    from flux_nodes.graph import Workflow

HERE = Path(__file__).parent
YESTERDAY = sorted((HERE / "yesterday").glob("*/*.json"))
WORKFLOWS = HERE.parents[1] / "workflows"

GENERATING = (
    "model",
    "prompt",
    "image_prompt_strength",
    "prompt_upsampling",
    "width",
    "height",
    "aspect_ratio",
    "steps",
    "guidance",
    "interval",
    "seed",
    "(control)",
    "safety_tolerance",
    "raw",
)
"""What FluxImagine and FluxSubmit kept in a file of 0.2.0, in this order, before `fresh` and all that came later."""

WIDGETS: dict[str, Mapping[str, tuple[str, ...]]] = {
    "0.2.0": {
        "FluxImagine": GENERATING,
        "FluxSubmit": GENERATING,
        "FluxFetch": ("generation_id",),
        "FluxContactSheet": ("labels", "title", "columns", "cell"),
        "SaveImage": ("filename_prefix",),
        "LoadImage": ("image", "(upload)"),
        "PrimitiveStringMultiline": ("value",),
        "PrimitiveInt": ("value", "(control)"),
    }
}
"""What the values in a file meant to the version that wrote it; those in brackets never reached a node."""

TELLING: dict[tuple[str, str, str], dict[str, Any]] = {
    ("0.2.0", "text_to_image", "2"): {
        "model": "flux-pro-1.1",
        "prompt": "a sunflower field in the wind",
        "width": 1024,
        "height": 768,
        "seed": 7,
        "safety_tolerance": 2,
    },
    ("0.2.0", "ultra_wide_raw", "2"): {"aspect_ratio": "21:9", "raw": True, "seed": 3},
    ("0.2.0", "image_to_image", "3"): {"image_prompt": Link("2", 0), "image_prompt_strength": 0.35},
    ("0.2.0", "submit_and_fetch", "2"): {"model": "flux-dev", "prompt": "waves on a stormy sea", "seed": 11},
    ("0.2.0", "submit_and_fetch", "3"): {"task": Link("2", 0), "generation_id": ""},
    ("0.2.0", "five_models", "10"): {"prompt": Link("2", 0), "seed": Link("3", 0), "aspect_ratio": "4:3"},
    ("0.2.0", "five_models", "4"): {"columns": 3, "cell": 512, "image_5": Link("10", 0)},
}
"""By version, file and node: written down here by hand, for what is worked out may be worked out wrong."""

GIVEN: dict[tuple[str, str], dict[str, Any]] = {
    ("0.2.0", "FluxImagine"): {"fresh": False, "count": 1},
    ("0.2.0", "FluxSubmit"): {"fresh": False, "count": 1},
}
"""What a node holds in inputs that its version did not have: whatever leaves it doing what it did."""

each_file = pytest.mark.parametrize("path", YESTERDAY, ids=lambda path: f"{path.parent.name}-{path.stem}")


@pytest.fixture
def registry(folders: Folders) -> Registry:
    shutil.copy(WORKFLOWS / "flux-nodes-meadow.jpg", folders.input / "meadow.jpg")
    return Registry([*NODES, *stock_nodes(folders)])


def written(path: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return type and widget values of every node in a file, by id, as its version meant them."""
    widgets = WIDGETS[path.parent.name]
    drawn = [node for node in json.loads(path.read_text())["nodes"] if node["type"] != "MarkdownNote"]
    return {
        str(node["id"]): (node["type"], dict(zip(widgets[node["type"]], node["widgets_values"], strict=True)))
        for node in drawn
    }


def test_every_version_that_was_released_is_here() -> None:
    assert {path.parent.name for path in YESTERDAY} == set(WIDGETS)
    assert {(path.parent.name, path.stem) for path in YESTERDAY} >= {key[:2] for key in TELLING}


@each_file
def test_a_file_of_an_earlier_version_has_no_fault(path: Path, registry: Registry) -> None:
    assert check(read_workflow(path, registry), registry) == ()


@each_file
def test_every_widget_keeps_the_value_that_it_had(path: Path, registry: Registry) -> None:
    nodes = read_workflow(path, registry).nodes
    before = written(path)
    assert {id_: node.class_type for id_, node in nodes.items()} == {id_: type_ for id_, (type_, _) in before.items()}
    for id_, (_, values) in before.items():
        known = {name: value for name, value in values.items() if not name.startswith("(")}
        now = {name: nodes[id_].inputs[name] for name in known}
        assert now == {name: now[name] if isinstance(now[name], Link) else value for name, value in known.items()}


@each_file
def test_what_a_version_did_not_know_is_left_as_it_was_without_it(path: Path, registry: Registry) -> None:
    nodes = read_workflow(path, registry).nodes
    for id_, (type_, values) in written(path).items():
        linked = nodes[id_].links
        new = {name: value for name, value in nodes[id_].inputs.items() if name not in values and name not in linked}
        assert new == GIVEN.get((path.parent.name, type_), {})


@pytest.mark.parametrize("place", TELLING, ids=lambda place: "-".join(place))
def test_a_telling_value_is_what_it_was(place: tuple[str, str, str], registry: Registry) -> None:
    version, name, node_id = place
    nodes = read_workflow(HERE / "yesterday" / version / f"{name}.json", registry).nodes
    inputs = {**nodes[node_id].inputs}
    assert {key: inputs[key] for key in TELLING[place]} == TELLING[place]


def small(workflow: Workflow, registry: Registry) -> Workflow:
    """Return a workflow of small pictures: the sandbox paints them sooner."""
    sizes = ("width", "height", "cell")
    sides = {f"{node.id}.{name}": 256 for node in workflow.nodes.values() for name in sizes if name in node.inputs}
    return workflow.with_values(sides, registry)


@each_file
async def test_a_file_of_an_earlier_version_runs(path: Path, registry: Registry, generations: Generations) -> None:
    workflow = small(read_workflow(path, registry), registry)
    events = [event async for event in run(workflow, registry, Context(generations=generations))]
    files = [event.file for event in events if isinstance(event, Saved)]
    assert {event.node.id for event in events if isinstance(event, Finished)} == set(workflow.nodes)
    assert [file.filename for file in files] == [f"{path.stem}_00001_.png"]
    asked = await generations.recent()
    paid = [node for node in workflow.nodes.values() if registry[node.class_type].paid]
    assert len(asked) == len(paid)
    for made in asked:
        assert await generations.graph(made) == {"prompt": workflow.to_api(), "workflow": workflow.ui}


async def test_a_file_of_an_earlier_version_asks_the_service_for_what_it_did(
    folders: Folders, registry: Registry, generations: Generations
) -> None:
    workflow = read_workflow(HERE / "yesterday" / "0.2.0" / "text_to_image.json", registry)
    async for _ in run(workflow, registry, Context(generations=generations)):
        pass
    (made,) = await generations.recent()
    assert dict(made.request) == {
        "model": "flux-pro-1.1",
        "prompt": "a sunflower field in the wind",
        "prompt_upsampling": False,
        "width": 1024,
        "height": 768,
        "seed": 7,
        "safety_tolerance": 2,
    }
    assert (made.status, made.width, made.height) == ("stored", 1024, 768)
    assert (folders.output / "flux" / "text_to_image_00001_.png").is_file()
