"""Values that a subgraph's node holds for widgets inside, as the newest frontend gives them to the widgets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.core.errors import InvalidWorkflow
from flux_nodes.graph import Link, read_workflow
from tests.graph.drawings import MUTED, colour, converted, link, node, show, slot, subgraph, widget

if TYPE_CHECKING:
    from flux_nodes.graph import Registry, Workflow

OUT = (slot("out", "IMAGE"),)
IMAGE = [slot("image", "IMAGE"), slot("seed", "INT")]


def maker(id_: str = "maker", *extra: dict[str, Any], links: tuple[Any, ...] = (), size: int | None = None) -> Any:
    """A subgraph of one colour, whose seed is an input."""
    inner = node(
        11, "Colour", [5, "fixed", "blue", 3], widget("seed", "INT", 71), widget("size", "INT", size), outputs=IMAGE
    )
    ends = [link(71, -10, 0, 11, 0), link(72, 11, 0, -20, 0), *links]
    return subgraph(id_, [inner, *extra], ends, (slot("seed", "INT"),), OUT)


def host(id_: int, type_: str, values: Any, *inputs: dict[str, Any], proxies: Any = None, **more: Any) -> Any:
    properties = {} if proxies is None else {"properties": {"proxyWidgets": proxies}}
    return node(id_, type_, values, *inputs, outputs=[*OUT], **properties, **more)


SEED = widget("seed", "INT")


def outer(*hosts: Any, id_: str = "outer") -> Any:
    """A subgraph around another one."""
    return subgraph(id_, [*hosts], [link(82, 12, 0, -20, 0)], (), OUT)


def opened(registry: Registry, hosts: list[Any], subgraphs: list[Any]) -> Workflow:
    shows = [show(100 + each["id"], 50 + each["id"]) for each in hosts]
    links = [[100 + each["id"], each["id"], 0, 50 + each["id"], 0, "IMAGE"] for each in hosts]
    return converted(registry, [*hosts, *shows], links, definitions={"subgraphs": subgraphs})


def colours(workflow: Workflow, *ids: str) -> list[tuple[Any, ...]]:
    """Return seed, tint and size of the colours inside."""
    found = (workflow.nodes[id_].inputs for id_ in ids)
    return [(inputs.get("seed"), inputs["tint"], inputs["size"]) for inputs in found]


LISTED = {
    "pairs": [["11", "size"], ["-1", "seed"]],
    "triples": [["11", "size", "11"], ["-1", "seed", "-1"]],
    "text": '[["11", "size"], ["-1", "seed"]]',
    "an input by what it feeds": [["11", "size"], ["11", "seed"]],
}


@pytest.mark.parametrize("proxies", LISTED.values(), ids=LISTED)
def test_listed_widgets_have_the_values_at_their_places_in_the_list(registry: Registry, proxies: Any) -> None:
    workflow = opened(registry, [host(4, "maker", [7, 42], SEED, proxies=proxies)], [maker()])
    assert colours(workflow, "4:11") == [(42, "blue", 7)]


def test_a_subgraph_used_three_times_has_the_values_of_each(registry: Registry) -> None:
    listed = [["11", "tint"], ["-1", "seed"]]
    hosts = [
        host(4, "maker", ["green", 7], SEED, proxies=listed),
        host(6, "maker", [9], SEED),
        host(7, "maker", ["red", 8], SEED, proxies=listed),
    ]
    workflow = opened(registry, hosts, [maker()])
    assert colours(workflow, "4:11", "6:11", "7:11") == [(7, "green", 3), (9, "blue", 3), (8, "red", 3)]


def test_a_node_with_fewer_values_leaves_the_rest_as_they_are_inside(registry: Registry) -> None:
    workflow = opened(registry, [host(4, "maker", [7], SEED, proxies=[["11", "size"], ["11", "tint"]])], [maker()])
    assert colours(workflow, "4:11") == [(7, "blue", 7)]  # the first value is also that of the first input


NESTED = {
    "by the node of the inner subgraph": ["12", "tint"],
    "by a triple": ["12", "tint", "11"],
    "by the name that 1.32.9 gave it": ["12", "11: tint"],
    "by a path": ["12:11", "tint"],
}


@pytest.mark.parametrize("proxy", NESTED.values(), ids=NESTED)
def test_of_a_widget_that_two_subgraphs_show_the_outermost_value_counts(registry: Registry, proxy: Any) -> None:
    inner = host(12, "maker", ["green", 55], SEED, proxies=[["11", "tint"], ["-1", "seed"]])
    workflow = opened(registry, [host(4, "outer", ["red"], proxies=[proxy])], [maker(), outer(inner)])
    assert colours(workflow, "4:12:11") == [(55, "red", 3)]


def test_without_an_outermost_value_the_next_one_inside_counts(registry: Registry) -> None:
    inner = host(12, "maker", ["green", 55], SEED, proxies=[["11", "tint"], ["-1", "seed"]])
    workflow = opened(registry, [host(4, "outer", [], proxies=[["12", "tint"]])], [maker(), outer(inner)])
    assert colours(workflow, "4:12:11") == [(55, "green", 3)]


def test_a_widget_is_shown_through_four_subgraphs(registry: Registry) -> None:
    levels = [outer(host(12, f"level {n}", [n], proxies=[["12", "seed"]]), id_=f"level {n + 1}") for n in range(1, 3)]
    first = outer(host(12, "maker", [0], SEED), id_="level 1")
    workflow = opened(registry, [host(4, "level 3", [99], proxies=[["12", "seed"]])], [maker(), first, *levels])
    assert colours(workflow, "4:12:12:12:11") == [(99, "blue", 3)]


def test_an_inner_value_reaches_a_widget_that_nothing_outside_shows(registry: Registry) -> None:
    workflow = opened(registry, [host(4, "outer", None)], [maker(), outer(host(12, "maker", [55], SEED))])
    assert colours(workflow, "4:12:11") == [(55, "blue", 3)]


def test_an_inputs_value_inside_is_that_of_the_first_widget_for_all_of_them(registry: Registry) -> None:
    second = node(13, "Colour", [66, "fixed", "red", 1], widget("seed", "INT", 83), outputs=IMAGE)
    both = node(15, "ImageBatch", None, slot("image1", "IMAGE", 84), slot("image2", "IMAGE", 85), outputs=[*OUT])
    ends = [(81, -10, 12), (83, -10, 13), (84, 12, 15), (85, 13, 15), (82, 15, -20)]
    inside = [host(12, "maker", [55], widget("seed", "INT", 81)), second, both]
    links = [link(id_, origin, 0, target, 1 if id_ == 85 else 0) for id_, origin, target in ends]
    for order, seed in (([81, 83], 55), ([83, 81], 66)):
        fan = subgraph("fan", inside, links, (slot("seed", "INT") | {"linkIds": order},), OUT)
        workflow = opened(registry, [host(4, "fan", [], SEED)], [maker(), fan])
        assert [workflow.nodes[id_].inputs["seed"] for id_ in ("4:12:11", "4:13")] == [seed, seed]


def test_values_stand_in_the_order_of_the_subgraphs_inputs_not_of_the_nodes(registry: Registry) -> None:
    inner = node(
        11, "Colour", [5, "fixed", "blue", 3], widget("seed", "INT", 71), widget("size", "INT", 73), outputs=IMAGE
    )
    links = [link(71, -10, 0, 11, 0), link(73, -10, 1, 11, 1), link(72, 11, 0, -20, 0)]
    two = subgraph("two", [inner], links, (slot("seed", "INT"), slot("size", "INT")), OUT)
    workflow = opened(registry, [host(4, "two", [6, 7], widget("size", "INT"), SEED)], [two])
    assert colours(workflow, "4:11") == [(6, "blue", 7)]


def test_a_shown_widget_that_something_inside_is_linked_to_takes_the_value_outside(registry: Registry) -> None:
    dice = node(13, "PrimitiveInt", [2, "fixed"], outputs=[slot("INT", "INT")])
    inside = maker("inside", dice, links=(link(74, 13, 0, 11, 1),), size=74)
    workflow = opened(registry, [host(4, "inside", [7, 9], SEED, proxies=[["11", "size"], ["-1", "seed"]])], [inside])
    assert colours(workflow, "4:11") == [(9, "blue", 7)]


@pytest.mark.parametrize(("values", "size"), [([7, 9], 7), ([None, 9], 2)])
def test_a_shown_primitive_node_gives_its_value_to_all_that_it_feeds(
    registry: Registry, values: Any, size: int
) -> None:
    dice = node(13, "PrimitiveNode", [2, "fixed"], outputs=[slot("INT", "INT") | {"widget": {"name": "size"}}])
    inside = maker("inside", dice, links=(link(74, 13, 0, 11, 1),), size=74)
    workflow = opened(registry, [host(4, "inside", values, SEED, proxies=[["13", "value"], ["-1", "seed"]])], [inside])
    assert colours(workflow, "4:11") == [(9, "blue", size)]


def test_what_a_list_says_of_muted_and_of_missing_nodes_changes_no_other_value(registry: Registry) -> None:
    inside = maker("inside", node(14, "Colour", [1, "fixed", "red", 2], mode=MUTED))
    listed = [["14", "seed"], ["99", "seed"], ["14", "$$canvas-image-preview"], ["11", "size"], ["-1", "seed"]]
    workflow = opened(registry, [host(4, "inside", [1, 2, None, 7, 3], SEED, proxies=listed)], [inside])
    assert colours(workflow, "4:11") == [(3, "blue", 7)]


def test_a_link_to_a_shown_widget_counts_more_than_its_value(registry: Registry) -> None:
    shown = host(4, "maker", [8, 7], widget("seed", "INT", 1), proxies=[["-1", "seed"], ["11", "size"]])
    workflow = converted(registry, [colour(), shown], [[1, 1, 1, 4, 0, "INT"]], definitions={"subgraphs": [maker()]})
    assert colours(workflow, "4:11") == [(Link("1", 1), "blue", 7)]


def test_a_value_that_the_frontend_rescued_counts_most(registry: Registry) -> None:
    entry = {"originalEntry": ["-1", "seed"], "reason": "missingSourceNode", "hostValue": 12}
    rescued = [entry | {"attemptedAtVersion": 1}]
    shown = host(4, "maker", [6], SEED, proxies=[])
    shown["properties"]["proxyWidgetErrorQuarantine"] = rescued
    assert colours(opened(registry, [shown], [maker()]), "4:11") == [(12, "blue", 3)]


@pytest.mark.parametrize("proxies", ["{nonsense", [[11, "size"]], [["11"]], ["11", "size"], {"11": "size"}, 5])
def test_a_list_of_widgets_that_cannot_be_read_is_one_fault(registry: Registry, proxies: Any) -> None:
    with pytest.raises(InvalidWorkflow, match="promoted widgets") as caught:
        opened(registry, [host(4, "maker", [7, 3], SEED, proxies=proxies)], [maker()])
    assert [fault.where for fault in caught.value.faults] == ["node 4"]


def test_a_value_that_is_set_is_drawn_where_the_outermost_node_holds_it(registry: Registry) -> None:
    inner = host(12, "maker", [55], SEED)
    workflow = opened(registry, [host(4, "outer", [77], proxies=[["12", "seed"]])], [maker(), outer(inner)])
    changed = workflow.with_values({"4:12:11.seed": 88}, registry)
    assert changed.ui is not None
    assert changed.ui["nodes"][0]["widgets_values"] == [88]
    assert read_workflow(json.dumps(changed.ui), registry).nodes == changed.nodes


def test_subgraphs_as_deep_as_there_may_be_nodes_are_read(registry: Registry) -> None:
    depth = 2_000
    levels = [outer(host(12, f"s{n}", [n], proxies=[["12", "seed"]]), id_=f"s{n + 1}") for n in range(1, depth)]
    first = outer(host(12, "maker", [0], SEED), id_="s1")
    top = host(4, f"s{depth}", [1], proxies=[["12", "seed"], [":".join(["12"] * depth), "tint"]])
    workflow = opened(registry, [top], [maker(), first, *levels])
    assert colours(workflow, ":".join(["4", *["12"] * depth, "11"])) == [(1, "blue", 3)]
