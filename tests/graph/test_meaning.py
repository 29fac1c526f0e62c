"""Saved graphs that people reported: each means here what it means in ComfyUI's own frontend, or nothing runs."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.core.errors import InvalidWorkflow
from flux_nodes.graph import Link, Saved, check, read_workflow, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flux_nodes.graph import Folders, Registry
    from flux_nodes.nodes import Context

HERE = Path(__file__).parent / "meaning"

MEANT: Mapping[str, Mapping[tuple[str, str], Any]] = {
    "named-values-disagree": {("1", "image"): "list.png", ("6", "filename_prefix"): "listprefix"},
    "subgraph-input-fans-out": {("5:11", "width"): 64, ("5:12", "width"): 64, ("5:12", "height"): 48},
    "nested-promotion-prompt": {("4:12:5", "prompt"): "outer words"},
    "nested-promotion-path": {("4:12:5", "prompt"): "outer words"},
    "nested-promotion-seed": {("4:12:5", "seed"): 77, ("4:12:5", "prompt"): "middle"},
    "promoted-widgets-as-text": {("4:5", "prompt"): "outside words", ("4:5", "seed"): 42},
    "promoted-widgets-as-list": {("4:5", "prompt"): "outside words", ("4:5", "seed"): 42},
    "group-node": {("5:0", "width"): 256, ("5:0", "image"): Link("1", 0), ("2", "images"): Link("5:0", 0)},
    "set-and-get": {("3", "images"): Link("1", 0)},
    "unlinked-label": {("2", "prompt"): "a red kite", ("3", "images"): Link("2", 0)},
}

RUNNING = {"group-node": {"1", "2", "5:0"}, "set-and-get": {"1", "3"}, "unlinked-label": {"2", "3"}}


@pytest.mark.parametrize("name", MEANT)
def test_a_graph_means_what_it_means_in_the_frontend(registry: Registry, name: str) -> None:
    nodes = read_workflow(HERE / f"{name}.json", registry).nodes
    assert {(id_, key): nodes[id_].inputs[key] for id_, key in MEANT[name]} == MEANT[name]
    assert set(nodes) == RUNNING.get(name, set(nodes))


@pytest.mark.parametrize("name", RUNNING)
def test_nodes_that_only_the_page_knows_are_no_fault(registry: Registry, name: str) -> None:
    assert check(read_workflow(HERE / f"{name}.json", registry), registry) == ()


@pytest.mark.parametrize(("name", "id_"), [("duplicate-ids", "2"), ("duplicate-save-ids", "3")])
def test_an_id_that_is_used_twice_is_one_fault_that_names_it(registry: Registry, name: str, id_: str) -> None:
    with pytest.raises(InvalidWorkflow, match="nothing was paid") as caught:
        read_workflow(HERE / f"{name}.json", registry)
    assert [fault.where for fault in caught.value.faults] == [f"node {id_}"]


async def test_a_file_name_tells_what_the_widget_of_a_muted_node_holds(
    registry: Registry, folders: Folders, context: Context
) -> None:
    graph = json.loads((HERE / "prefix-names-muted-node.json").read_text())
    made = next(node for node in graph["nodes"] if node["type"] == "FluxImagine")
    made |= {"type": "Colour", "inputs": [], "widgets_values": [5, "fixed", "blue", 3]}
    workflow = read_workflow(json.dumps(graph), registry)
    saved = [event async for event in run(workflow, registry, context) if isinstance(event, Saved)]
    assert [event.file.path.parent for event in saved] == [folders.output / "myname"]


def places(part: Any) -> list[tuple[Any, Any]]:
    """Return every place in a document that holds something: its list or object, and its index or name there."""
    found: list[tuple[Any, Any]] = []
    waiting = [part]
    while waiting:
        at = waiting.pop()
        keys = at if isinstance(at, dict) else range(len(at)) if isinstance(at, list) else ()
        found += [(at, key) for key in keys]
        waiting += [at[key] for key in keys]
    return found


ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    1,
    10**30,
    1.5,
    "",
    "-10",
    "12:5",
    "workflow>Two",
    [],
    {},
    [[1]],
    '[["5","seed"]]',
)
DAMAGED = {
    "a setter without an input": ("set-and-get", ("nodes", 1, "inputs"), []),
    "outputs that are a number": ("group-node", ("extra", "groupNodes", "Small", "external"), 5),
    "outputs that are lists": ("group-node", ("extra", "groupNodes", "Small", "external"), [[[], 0, "IMAGE"]]),
}


@pytest.mark.parametrize(("name", "place", "value"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_place_is_passed_over(registry: Registry, name: str, place: tuple[Any, ...], value: Any) -> None:
    graph = json.loads((HERE / f"{name}.json").read_text())
    at = graph
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    assert "1" in read_workflow(json.dumps(graph), registry).nodes


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("*.json")))
def test_a_damaged_graph_is_read_or_refused_and_nothing_else(registry: Registry, name: str) -> None:
    text, dice = (HERE / f"{name}.json").read_text(), random.Random(name)  # noqa: S311 (the same graphs each time)
    for _ in range(60):
        graph = json.loads(text)
        for _ in range(dice.randint(1, 3)):
            part, key = dice.choice(places(graph))
            part[key] = json.loads(json.dumps(dice.choice(ODD)))
        with suppress(InvalidWorkflow):
            json.dumps(read_workflow(json.dumps(graph), registry).to_api())
