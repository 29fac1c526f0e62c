from __future__ import annotations

import json
from typing import Any

import pytest

from flux_nodes.core.errors import InvalidWorkflow
from flux_nodes.graph import Registry, Workflow, read_workflow

NODES: dict[str, tuple[str, dict[str, Any], str]] = {
    "1": ("Colour", {"seed": ["5", 0], "tint": "red"}, "Sky"),
    "2": ("Colour", {"seed": ["5", 0], "tint": "blue"}, "Sea"),
    "3": ("ImageBatch", {"image1": ["1", 0], "image2": ["2", 0]}, "Both"),
    "4": ("Show", {"image": ["3", 0], "text": "x"}, "Show"),
    "5": ("PrimitiveInt", {"value": 7}, "Dice"),
}


@pytest.fixture
def workflow(registry: Registry) -> Workflow:
    data = {
        key: {"class_type": kind, "inputs": inputs, "_meta": {"title": title}}
        for key, (kind, inputs, title) in NODES.items()
    }
    return read_workflow(json.dumps(data), registry)


@pytest.mark.parametrize(
    ("name", "value", "place", "stored"),
    [
        ("text", "hello", ("4", "text"), "hello"),
        ("seed", "12", ("5", "value"), 12),
        ("1.seed", 3, None, None),
        ("5.value", 3, ("5", "value"), 3),
        ("Dice.value", "3", ("5", "value"), 3),
        ("Sky.tint", "green", ("1", "tint"), "green"),
        ("2.tint", "green", ("2", "tint"), "green"),
        ("number", "2.5", ("4", "number"), 2.5),
        ("flag", "false", ("4", "flag"), False),
        ("flag", "Yes", ("4", "flag"), True),
        ("flag", 1, ("4", "flag"), True),
    ],
)
def test_a_value_is_set_by_its_name(
    workflow: Workflow, registry: Registry, name: str, value: Any, place: tuple[str, str] | None, stored: Any
) -> None:
    if place is None:
        with pytest.raises(InvalidWorkflow):
            workflow.with_values({name: value}, registry)
        return
    changed = workflow.with_values({name: value}, registry)
    found = changed.nodes[place[0]].inputs[place[1]]
    assert found == stored
    assert type(found) is type(stored)
    assert workflow.nodes["5"].inputs["value"] == 7


def test_every_name_and_value_that_cannot_be_used_is_told(workflow: Workflow, registry: Registry) -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        workflow.with_values({"tint": "red", "nothing": 1, "number": "many", "flag": "perhaps"}, registry)
    told = {fault.where: fault for fault in caught.value.faults}
    assert set(told) == {"tint", "nothing", "number", "flag"}
    assert "1.tint" in told["tint"].allowed
    assert "2.tint" in told["tint"].allowed
    assert "seed" in told["nothing"].allowed


def test_everything_settable_is_listed_under_a_name_that_sets_it(workflow: Workflow, registry: Registry) -> None:
    listed = workflow.settable(registry)
    assert {(item.name, item.type, item.value) for item in listed} == {
        ("seed", "INT", 7),
        ("Sky.tint", "COMBO", "red"),
        ("Sea.tint", "COMBO", "blue"),
        ("Sky.size", "INT", None),
        ("Sea.size", "INT", None),
        ("number", "FLOAT", None),
        ("choice", "COMBO", None),
        ("flag", "BOOLEAN", None),
        ("text", "STRING", "x"),
    }
    for item in listed:
        assert workflow.with_values({item.name: "1"}, registry) != workflow


def test_our_own_nodes_are_meant_first(registry: Registry) -> None:
    data = {
        "1": {"class_type": "FluxImagine", "inputs": {"seed": 1, "prompt": "a fox"}},
        "2": {"class_type": "Colour", "inputs": {"seed": 2, "tint": "red"}},
    }
    changed = read_workflow(json.dumps(data), registry).with_values({"seed": 9}, registry)
    assert (changed.nodes["1"].inputs["seed"], changed.nodes["2"].inputs["seed"]) == (9, 2)


def drawn(*nodes: dict[str, Any], **more: Any) -> str:
    return json.dumps({"nodes": list(nodes), "links": [], "version": 0.4} | more)


def test_the_drawing_shows_the_values_that_were_set(registry: Registry) -> None:
    text = drawn({"id": 1, "type": "Colour", "widgets_values": [5, "fixed", "blue", 3]})
    workflow = read_workflow(text, registry)
    changed = workflow.with_values({"seed": 6, "tint": "red"}, registry)
    assert changed.ui is not None
    assert changed.ui["nodes"][0]["widgets_values"] == [6, "fixed", "red", 3]
    assert read_workflow(json.dumps(changed.ui), registry).nodes == changed.nodes
    assert workflow.ui == json.loads(text)


def test_a_drawing_that_cannot_show_a_value_is_let_go(registry: Registry) -> None:
    inner = {
        "id": "i",
        "inputs": [],
        "outputs": [],
        "links": [],
        "nodes": [{"id": 1, "type": "Colour", "widgets_values": [5]}],
    }
    hosts = [{"id": n, "type": "i"} for n in (1, 2)]
    workflow = read_workflow(drawn(*hosts, definitions={"subgraphs": [inner]}), registry)
    one = workflow.with_values({"1:1.seed": 8}, registry)
    both = workflow.with_values({"1:1.seed": 8, "2:1.seed": 8}, registry)
    assert one.nodes["1:1"].inputs["seed"] == 8
    assert one.ui is None
    assert both.ui is not None
    assert read_workflow(json.dumps(both.ui), registry).nodes == both.nodes
