"""Drawings that are made of nodes: they mean what the nodes mean, and a person can read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_nodes.graph import Folders, Link, Registry, Workflow, WorkflowNode, read_workflow, stock_nodes
from flux_nodes.graph.sketch import drawing
from flux_nodes.nodes import NODES, Input

WORKFLOWS = sorted((Path(__file__).parents[2] / "workflows").glob("*.json"))
HERE = Path()
REGISTRY = Registry([*NODES, *stock_nodes(Folders(input=HERE, output=HERE, temp=HERE))])


def node(id_: str, kind: str, **inputs: Any) -> WorkflowNode:
    return WorkflowNode(id=id_, class_type=kind, title=REGISTRY[kind].label, inputs=inputs)


def read_back(nodes: dict[str, WorkflowNode]) -> Workflow:
    """What the drawing means, once it was a file."""
    return read_workflow(json.dumps(drawing(nodes, REGISTRY)), REGISTRY)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "STRING": st.text(max_size=20),
    "INT": st.integers(-(2**53), 2**53),
    "FLOAT": st.floats(allow_nan=False, allow_infinity=False),
    "BOOLEAN": st.booleans(),
}


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, WorkflowNode]:
    """Nodes of all kinds, with every widget set or linked, and some of the sockets linked."""
    nodes: dict[str, WorkflowNode] = {}
    for number in range(1, draw(st.integers(2, 6))):
        face = REGISTRY[draw(st.sampled_from(sorted(REGISTRY)))]
        inputs = {item.name: draw(values(item, nodes)) for item in face.inputs}
        given = {name: value for name, value in inputs.items() if value is not None}
        id_ = draw(st.sampled_from([str(number), f"12:{number}"]))
        title = draw(st.sampled_from([face.label, "One of mine"]))
        nodes[id_] = WorkflowNode(id=id_, class_type=face.id, title=title, inputs=given)
    return nodes


def values(item: Input, nodes: dict[str, WorkflowNode]) -> st.SearchStrategy[Any]:
    links = [
        Link(id_, slot)
        for id_, source in nodes.items()
        for slot, output in enumerate(REGISTRY[source.class_type].outputs)
        if output.type == item.type
    ]
    linked = [st.sampled_from(links)] if links else []
    if not item.is_widget:
        return st.one_of(st.none(), *linked)
    return st.one_of(st.sampled_from(item.choices) if item.choices else VALUES.get(item.type, st.text()), *linked)


@given(graphs())
def test_a_drawing_means_what_its_nodes_mean(nodes: dict[str, WorkflowNode]) -> None:
    assert read_back(nodes).to_api() == Workflow(nodes=nodes).to_api()


@given(graphs())
def test_no_node_lies_on_another_and_every_wire_leads_to_the_right(nodes: dict[str, WorkflowNode]) -> None:
    drawn = {str(one["id"]): one for one in drawing(nodes, REGISTRY)["nodes"]}
    boxes = [(*one["pos"], one["pos"][0] + one["size"][0], one["pos"][1] + one["size"][1]) for one in drawn.values()]
    for at, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[at + 1 :]:
            assert left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]
    for id_, one in nodes.items():
        for link in one.links.values():
            assert drawn[link.node]["pos"][0] < drawn[id_]["pos"][0]
            assert drawn[link.node]["order"] < drawn[id_]["order"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_saved_workflow_drawn_anew_means_the_same(path: Path) -> None:
    saved = read_workflow(path, REGISTRY)

    assert read_back(dict(saved.nodes)).to_api() == saved.to_api()


def test_a_widget_without_a_value_holds_what_it_holds_before_anybody_touched_it() -> None:
    (imagine,) = read_back({"1": node("1", "FluxImagine", prompt="a lake")}).nodes.values()

    assert imagine.inputs["prompt"] == "a lake"
    assert imagine.inputs["model"] == REGISTRY["FluxImagine"].inputs[0].default


def test_a_seed_without_a_value_is_left_to_chance_and_one_with_a_value_is_not() -> None:
    for given_, becomes in (({}, "randomize"), ({"seed": 0}, "fixed")):
        (drawn,) = drawing({"1": node("1", "FluxImagine", **given_)}, REGISTRY)["nodes"]

        assert [value for value in drawn["widgets_values"] if value in ("randomize", "fixed")] == [becomes]


def test_a_link_that_leads_nowhere_is_left_out() -> None:
    nodes = {"1": node("1", "SaveImage", images=Link("7", 0)), "2": node("2", "SaveImage", images=Link("1", 3))}

    assert drawing(nodes, REGISTRY)["links"] == []


def test_a_node_that_nobody_knows_cannot_be_drawn() -> None:
    strange = WorkflowNode(id="1", class_type="SomebodyElses", title="", inputs={})

    with pytest.raises(KeyError):
        drawing({"1": strange}, REGISTRY)


def test_links_in_a_circle_cannot_be_drawn() -> None:
    nodes = {
        "1": node("1", "ImageScale", image=Link("2", 0)),
        "2": node("2", "ImageScale", image=Link("1", 0)),
    }

    with pytest.raises(ValueError, match="cycle"):
        drawing(nodes, REGISTRY)
