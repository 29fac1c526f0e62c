"""Group nodes, which ComfyUI had before subgraphs, are laid flat as its frontends do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.core.errors import InvalidWorkflow
from flux_nodes.graph import Link, check
from tests.graph.drawings import BYPASSED, MUTED, colour, converted, node, show, slot, widget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flux_nodes.graph import Registry, Workflow

IMAGE = (slot("image", "IMAGE"), slot("seed", "INT"))
SCALED = (slot("IMAGE", "IMAGE"),)
PLACED: dict[str, Any] = {"pos": [0, 0], "size": [200, 100], "flags": {}, "order": 0}


def inner(type_: str, values: Any, *inputs: dict[str, Any], outputs: Sequence[dict[str, Any]] = SCALED) -> Any:
    return PLACED | node(0, type_, values, *inputs, outputs=[*outputs])


BLUE = inner("Colour", [5, "fixed", "blue", 3], outputs=IMAGE)
SCALE = inner("ImageScale", ["area", 8, 8, "disabled"], slot("image", "IMAGE"))
SIZES = (widget("width", "INT"), widget("height", "INT"))


def group(*nodes: Any, links: Any = (), external: Any = (), **more: Any) -> dict[str, Any]:
    numbered = [each | {"index": index} for index, each in enumerate(nodes)]
    return {"nodes": numbered, "links": [*links], "external": [*external]} | more


JOINED = group(BLUE, SCALE, links=[[0, 0, 1, 0, 1, "IMAGE"]])
VALUES = [42, "fixed", "green", 2, "lanczos", 16, 32, "center"]


def opened(
    registry: Registry,
    definition: dict[str, Any],
    values: Any,
    *inputs: dict[str, Any],
    shown: int = 1,
    sep: str = ">",
    **more: Any,
) -> Workflow:
    """Open a group node 4, whose first input is linked to a colour, and of which one output is shown."""
    outputs = [slot(f"out {index}", "IMAGE") | {"links": [104] if index == shown else []} for index in range(3)]
    host = node(4, f"workflow{sep}Two", values, *inputs, outputs=outputs, **more)
    links: list[Any] = [[104, 4, shown, 54, 0, "IMAGE"]]
    links += [[5, 1, 0, 4, 0, "IMAGE"]] if inputs else []
    nodes = [*([colour()] if inputs else []), host, show(104, 54)]
    return converted(registry, nodes, links, extra={"groupNodes": {"Two": definition}})


def test_a_group_nodes_values_are_those_of_its_nodes_widgets_in_their_order(registry: Registry) -> None:
    workflow = opened(registry, JOINED, VALUES)
    assert set(workflow.nodes) == {"4:0", "4:1", "54"}
    assert workflow.nodes["4:0"].inputs == {"seed": 42, "tint": "green", "size": 2}
    scaled = {"image": Link("4:0", 0), "upscale_method": "lanczos", "width": 16, "height": 32, "crop": "center"}
    assert workflow.nodes["4:1"].inputs == scaled
    assert workflow.nodes["54"].inputs["image"] == Link("4:1", 0)
    assert check(workflow, registry) == ()


def test_widgets_that_were_inputs_as_well_have_their_values_last(registry: Registry) -> None:
    seeded = inner("Colour", [5, "fixed", "blue", 3], widget("seed", "INT"), outputs=IMAGE)
    workflow = opened(registry, group(seeded), ["green", 2, 88], shown=0)
    assert workflow.nodes["4:0"].inputs == {"seed": 88, "tint": "green", "size": 2}


@pytest.mark.parametrize(("values", "seed"), [(None, 0), ([], 0), ([42, "fixed"], 42)])
def test_without_a_value_a_widget_of_a_group_node_has_its_default(registry: Registry, values: Any, seed: int) -> None:
    workflow = opened(registry, JOINED, values)
    assert workflow.nodes["4:0"].inputs == {"seed": seed, "tint": "red", "size": 4}
    assert workflow.nodes["4:1"].inputs["upscale_method"] == "nearest-exact"


def test_two_nodes_of_one_type_have_values_of_their_own(registry: Registry) -> None:
    batch = inner("ImageBatch", None, slot("image1", "IMAGE"), slot("image2", "IMAGE"))
    twins = group(BLUE, BLUE, batch, links=[[0, 0, 2, 0, 1, "IMAGE"], [1, 0, 2, 1, 1, "IMAGE"]])
    workflow = opened(registry, twins, [42, "fixed", "green", 2, 43, "fixed", "blue", 5], shown=2)
    assert [workflow.nodes[id_].inputs["seed"] for id_ in ("4:0", "4:1")] == [42, 43]
    assert workflow.nodes["4:2"].inputs == {"image1": Link("4:0", 0), "image2": Link("4:1", 0)}
    assert workflow.nodes["54"].inputs["image"] == Link("4:2", 0)


@pytest.mark.parametrize("sep", [">", "/"])
def test_what_is_linked_to_a_group_node_reaches_the_node_inside(registry: Registry, sep: str) -> None:
    chain = group(SCALE, SCALE, links=[[0, 0, 1, 0, 1, "IMAGE"]])
    values = ["lanczos", 16, 32, "center", "area", 15, 31, "center"]
    workflow = opened(registry, chain, values, slot("image", "IMAGE", 5), shown=0, sep=sep)
    assert workflow.nodes["4:0"].inputs["image"] == Link("1", 0)
    assert workflow.nodes["4:1"].inputs["image"] == Link("4:0", 0)
    assert [workflow.nodes[id_].inputs["width"] for id_ in ("4:0", "4:1")] == [16, 15]


def test_an_output_that_is_taken_inside_and_outside_is_an_output_of_the_group_node(registry: Registry) -> None:
    both = group(BLUE, SCALE, links=[[0, 0, 1, 0, 1, "IMAGE"]], external=[[0, 0, "IMAGE"]])
    assert opened(registry, both, VALUES, shown=0).nodes["54"].inputs["image"] == Link("4:0", 0)


def test_outputs_that_a_person_hid_are_not_counted(registry: Registry) -> None:
    hidden = JOINED | {"config": {"0": {"output": {"1": {"visible": False}}}}}
    assert opened(registry, hidden, VALUES, shown=0).nodes["54"].inputs["image"] == Link("4:1", 0)


@pytest.mark.parametrize("external", [5, "x", [[{"a": 1}, 0, "IMAGE"]], [[], None]])
def test_a_list_of_outputs_that_cannot_be_read_shows_none_more(registry: Registry, external: Any) -> None:
    workflow = opened(registry, JOINED | {"external": external}, VALUES)
    assert workflow.nodes["54"].inputs["image"] == Link("4:1", 0)


def test_a_primitive_in_a_group_node_gives_its_value_to_all_that_it_feeds(registry: Registry) -> None:
    dice = inner("PrimitiveNode", [9, "fixed"], outputs=[slot("INT", "INT") | {"widget": {"name": "width"}}])
    scale = inner("ImageScale", ["area", 8, 8, "disabled"], slot("image", "IMAGE"), *SIZES)
    fed = group(dice, scale, links=[[0, 0, 1, 1, 1, "INT"], [0, 0, 1, 2, 1, "INT"]])
    workflow = opened(registry, fed, [77, "fixed", "lanczos", "center"], slot("image", "IMAGE", 5), shown=0)
    inputs = workflow.nodes["4:1"].inputs
    assert (inputs["width"], inputs["height"], inputs["crop"]) == (77, 77, "center")
    assert inputs["image"] == Link("1", 0)


def test_a_group_node_used_twice_has_its_own_values_each_time(registry: Registry) -> None:
    hosts = [node(id_, "workflow>One", [seed, "fixed", "red", 1], outputs=[*IMAGE]) for id_, seed in ((4, 7), (6, 8))]
    workflow = converted(registry, hosts, extra={"groupNodes": {"One": group(BLUE)}})
    assert [workflow.nodes[id_].inputs["seed"] for id_ in ("4:0", "6:0")] == [7, 8]


BROKEN: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "without a definition": ({}, None, {}),
    "muted": (JOINED, VALUES, {"mode": MUTED}),
    "bypassed": (JOINED, VALUES, {"mode": BYPASSED}),
    "with another group node in it": (group(inner("workflow>Other", None)), None, {}),
    "with a link to nowhere": (group(BLUE, links=[[0, 0, 9, 0, 1, "IMAGE"]]), None, {}),
    "with a link from before the first output": (group(BLUE, SCALE, links=[[0, -9, 1, 0, 1, "IMAGE"]]), None, {}),
    "with links that are none": (group(BLUE, links=["x"]), None, {}),
    "with nodes that are none": ({"nodes": [7], "links": []}, None, {}),
}


@pytest.mark.parametrize(("definition", "values", "more"), BROKEN.values(), ids=BROKEN)
def test_a_group_node_that_cannot_be_laid_flat_says_what_to_do(
    registry: Registry, definition: Any, values: Any, more: Any
) -> None:
    with pytest.raises(InvalidWorkflow, match=r'node 4: is the group node "Two".*subgraph') as caught:
        opened(registry, definition, values, **more)
    assert len(caught.value.faults) == 1


def test_a_link_to_a_widget_of_a_group_node_is_one_fault_for_the_frontends_lose_it(registry: Registry) -> None:
    seeded = inner("Colour", [5, "fixed", "blue", 3], widget("seed", "INT"), outputs=IMAGE)
    with pytest.raises(InvalidWorkflow, match="its widget seed is linked"):
        opened(registry, group(seeded), ["green", 2], widget("seed", "INT", 5), shown=0)


def test_a_node_in_a_group_node_that_nobody_knows_is_named(registry: Registry) -> None:
    workflow = opened(registry, group(inner("Odd", [1], slot("x", "IMAGE"))), None, shown=0)
    assert [fault for fault in check(workflow, registry) if "Odd" in str(fault)]
