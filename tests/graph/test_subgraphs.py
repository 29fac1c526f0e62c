from __future__ import annotations

from typing import Any

import pytest

from flux_nodes.core.errors import InvalidWorkflow
from flux_nodes.graph import Link, Registry
from tests.graph.drawings import BYPASSED, MUTED, colour, converted, link, node, show, slot

INNER = {
    "id": "inner-uuid",
    "name": "Paint",
    "inputs": [slot("seed", "INT"), slot("picture", "IMAGE")],
    "outputs": [slot("out", "IMAGE")],
    "nodes": [
        node(1, "Colour", [5, "fixed", "blue", 3], slot("seed", "INT", 11, "seed")),
        node(2, "ImageBatch", None, slot("image1", "IMAGE", 12), slot("image2", "IMAGE", 13)),
    ],
    "links": [link(11, -10, 0, 1, 0), link(12, -10, 1, 2, 0), link(13, 1, 0, 2, 1), link(14, 2, 0, -20, 0)],
}
DEFINED = {"definitions": {"subgraphs": [INNER]}}


def instance(id_: int, values: Any, *inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return node(id_, "inner-uuid", values, *inputs, outputs=[slot("out", "IMAGE")], **more)


def test_a_subgraph_is_laid_flat_with_links_through_its_walls(registry: Registry) -> None:
    host = instance(5, [8], slot("seed", "INT", None, "seed"), slot("picture", "IMAGE", 1))
    links = [[1, 1, 0, 5, 1, "IMAGE"], [2, 5, 0, 9, 0, "IMAGE"]]
    workflow = converted(registry, [colour(), host, show(2)], links, **DEFINED)
    assert set(workflow.nodes) == {"1", "9", "5:1", "5:2"}
    assert workflow.nodes["5:1"].inputs == {"seed": 8, "tint": "blue", "size": 3}
    assert workflow.nodes["5:2"].inputs == {"image1": Link("1", 0), "image2": Link("5:1", 0)}
    assert workflow.nodes["9"].inputs["image"] == Link("5:2", 0)


def test_a_subgraph_used_twice_has_its_own_promoted_values_each_time(registry: Registry) -> None:
    workflow = converted(registry, [instance(5, [8]), instance(6, [9])], **DEFINED)
    assert [workflow.nodes[id_].inputs["seed"] for id_ in ("5:1", "6:1")] == [8, 9]


def test_without_a_value_on_its_node_a_subgraph_uses_its_own(registry: Registry) -> None:
    for values in (None, [], [None]):
        assert converted(registry, [instance(5, values)], **DEFINED).nodes["5:1"].inputs["seed"] == 5


def test_a_link_to_a_promoted_input_counts_more_than_its_value(registry: Registry) -> None:
    host = instance(5, [8], slot("seed", "INT", 1, "seed"))
    workflow = converted(registry, [colour(), host], [[1, 1, 1, 5, 0, "INT"]], **DEFINED)
    assert workflow.nodes["5:1"].inputs["seed"] == Link("1", 1)


def test_a_primitive_node_reaches_a_widget_inside_a_subgraph(registry: Registry) -> None:
    output = slot("INT", "INT") | {"widget": {"name": "seed"}, "links": [1]}
    primitive = node(7, "PrimitiveNode", [42, "fixed"], outputs=[output])
    host = instance(5, [8], slot("seed", "INT", 1, "seed"))
    workflow = converted(registry, [primitive, host], [[1, 7, 0, 5, 0, "INT"]], **DEFINED)
    assert workflow.nodes["5:1"].inputs["seed"] == 42


def test_proxied_widgets_take_their_values_from_the_node_of_the_subgraph(registry: Registry) -> None:
    proxies = {"proxyWidgets": [["1", "tint"], ["-1", "seed"], ["1", "size"]]}
    workflow = converted(registry, [instance(5, ["green", 77, None], properties=proxies)], **DEFINED)
    assert workflow.nodes["5:1"].inputs == {"seed": 77, "tint": "green", "size": 3}


@pytest.mark.parametrize("mode", [MUTED, BYPASSED])
def test_a_subgraph_that_does_not_run_takes_its_nodes_with_it(registry: Registry, mode: int) -> None:
    host = instance(5, [8], slot("seed", "INT"), slot("picture", "IMAGE", 1), mode=mode)
    links = [[1, 1, 0, 5, 1, "IMAGE"], [2, 5, 0, 9, 0, "IMAGE"]]
    workflow = converted(registry, [colour(), host, show(2)], links, **DEFINED)
    assert set(workflow.nodes) == {"1", "9"}
    assert workflow.nodes["9"].inputs.get("image") == (Link("1", 0) if mode == BYPASSED else None)


OUTER = {
    "id": "outer-uuid",
    "name": "Frame",
    "inputs": [slot("seed", "INT")],
    "outputs": [slot("out", "IMAGE")],
    "nodes": [instance(3, [4], slot("seed", "INT", 21, "seed"), slot("picture", "IMAGE"))],
    "links": [link(21, -10, 0, 3, 0), link(22, 3, 0, -20, 0)],
}


def test_subgraphs_in_subgraphs_pass_values_and_links_all_the_way(registry: Registry) -> None:
    host = node(5, "outer-uuid", [33], slot("seed", "INT", None, "seed"))
    definitions = {"subgraphs": [OUTER, INNER]}
    workflow = converted(registry, [host, show(1)], [[1, 5, 0, 9, 0, "IMAGE"]], definitions=definitions)
    assert workflow.nodes["5:3:1"].inputs["seed"] == 33
    assert workflow.nodes["9"].inputs["image"] == Link("5:3:2", 0)


def test_a_subgraph_that_holds_itself_is_refused(registry: Registry) -> None:
    loop = OUTER | {"nodes": [node(3, "outer-uuid")], "links": []}
    with pytest.raises(InvalidWorkflow, match="holds itself"):
        converted(registry, [node(5, "outer-uuid")], definitions={"subgraphs": [loop]})


def test_a_small_file_that_stands_for_billions_of_nodes_is_refused(registry: Registry) -> None:
    levels = [
        {"id": f"s{n}", "nodes": [node(i, f"s{n + 1}") for i in range(10)], "links": [], "inputs": [], "outputs": []}
        for n in range(12)
    ]
    with pytest.raises(InvalidWorkflow, match="too many nodes"):
        converted(registry, [node(1, "s0")], definitions={"subgraphs": levels})


def test_an_input_that_leads_straight_to_an_output_of_its_subgraph_is_followed(registry: Registry) -> None:
    through = {
        "id": "t",
        "inputs": [slot("a", "IMAGE")],
        "outputs": [slot("b", "IMAGE")],
        "nodes": [],
        "links": [link(1, -10, 0, -20, 0)],
    }
    host = node(5, "t", None, slot("a", "IMAGE", 1), outputs=[slot("b", "IMAGE")])
    links = [[1, 1, 0, 5, 0, "IMAGE"], [2, 5, 0, 9, 0, "IMAGE"]]
    workflow = converted(registry, [colour(), host, show(2)], links, definitions={"subgraphs": [through]})
    assert workflow.nodes["9"].inputs["image"] == Link("1", 0)
