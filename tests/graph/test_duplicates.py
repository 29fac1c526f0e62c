"""An id that is used twice: one fault for each, that names it, before anything is paid."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.core.errors import InvalidWorkflow
from flux_nodes.graph import read_workflow
from tests.graph.drawings import colour, converted, link, node, show, slot, subgraph

if TYPE_CHECKING:
    from flux_nodes.graph import Registry

OUT = (slot("out", "IMAGE"),)


def inside(id_: str, *nodes: dict[str, Any]) -> dict[str, Any]:
    return subgraph(id_, [*nodes], [link(1, 11, 0, -20, 0)], (), OUT)


TWICE: dict[str, tuple[list[Any], list[Any], list[Any], list[str]]] = {
    "two nodes": ([colour(2), colour(2), show(None)], [], [], ["node 2"]),
    "a number and a text": ([colour(2), colour("2"), show(None)], [], [], ["node 2"]),  # type: ignore[arg-type]  # as a file may have it
    "three of one, two of another": (
        [colour(2), colour(2), colour(2), show(None), show(None)],
        [],
        [],
        ["node 2", "node 9"],
    ),
    "a node and a note": ([colour(2), node(2, "Note", ["x"]), show(None)], [], [], ["node 2"]),
    "nodes in a subgraph": ([node(4, "s")], [], [inside("s", colour(11), colour(11))], ['node 11 in subgraph "s"']),
    "two subgraphs": (
        [node(4, "s")],
        [],
        [inside("s", colour(11)), inside("s", colour(11, title="Other"))],
        ["subgraph s"],
    ),
    "two links from different outputs": (
        [colour(1), colour(2), show(5), show(5, 10)],
        [[5, 1, 0, 9, 0, "IMAGE"], [5, 2, 0, 10, 0, "IMAGE"]],
        [],
        ["link 5"],
    ),
}


@pytest.mark.parametrize(("nodes", "links", "subgraphs", "named"), TWICE.values(), ids=TWICE)
def test_every_id_that_is_used_twice_is_named_once(
    registry: Registry, nodes: list[Any], links: list[Any], subgraphs: list[Any], named: list[str]
) -> None:
    with pytest.raises(InvalidWorkflow, match="nothing was paid") as caught:
        converted(registry, nodes, links, definitions={"subgraphs": subgraphs})
    assert [fault.where for fault in caught.value.faults] == named


def test_a_node_inside_a_subgraph_may_have_the_id_of_one_outside(registry: Registry) -> None:
    workflow = converted(registry, [colour(11), node(4, "s")], definitions={"subgraphs": [inside("s", colour(11))]})
    assert set(workflow.nodes) == {"11", "4:11"}


def test_a_subgraph_that_is_defined_twice_alike_is_one(registry: Registry) -> None:
    definitions = {"subgraphs": [inside("s", colour(11)), inside("s", colour(11))]}
    assert set(converted(registry, [node(4, "s")], definitions=definitions).nodes) == {"4:11"}


def test_an_id_that_an_api_file_has_twice_is_named(registry: Registry) -> None:
    colours = ['"2": {"class_type": "Colour", "inputs": {"seed": 1}}', '"2": {"class_type": "Colour", "inputs": {}}']
    text = f'{{{", ".join([*colours, *colours])}, "3": {{"class_type": "Show", "inputs": {{}}}}}}'
    with pytest.raises(InvalidWorkflow, match="nothing was paid") as caught:
        read_workflow(text, registry)
    assert [fault.where for fault in caught.value.faults] == ["node 2"]


def test_a_value_that_a_file_has_twice_is_the_last_as_in_javascript(registry: Registry) -> None:
    text = '{"2": {"class_type": "Colour", "inputs": {"seed": 1, "seed": 2}}}'
    assert read_workflow(text, registry).nodes["2"].inputs == {"seed": 2}
    assert json.loads(text)["2"]["inputs"] == {"seed": 2}
