from __future__ import annotations

from typing import Any

import pytest

from flux_nodes.core.errors import InvalidWorkflow
from flux_nodes.graph import Link, Registry
from tests.graph.drawings import BYPASSED, MUTED, colour, converted, node, show, slot


def test_values_belong_to_required_widgets_then_optional_ones_with_a_control_behind_the_seed(
    registry: Registry,
) -> None:
    workflow = converted(registry, [colour()])
    assert workflow.nodes["1"].inputs == {"seed": 5, "tint": "blue", "size": 3}


def test_a_widget_that_became_an_input_keeps_its_place_among_the_values(registry: Registry) -> None:
    linked = node(2, "Colour", [5, "fixed", "blue", 3], slot("seed", "INT", 1, "seed"))
    workflow = converted(registry, [colour(), linked], [[1, 1, 1, 2, 0, "INT"]])
    assert workflow.nodes["2"].inputs == {"seed": Link("1", 1), "tint": "blue", "size": 3}


def test_values_may_be_given_by_name(registry: Registry) -> None:
    workflow = converted(registry, [node(1, "Colour", {"tint": "green", "seed": 8})])
    assert workflow.nodes["1"].inputs == {"seed": 8, "tint": "green", "size": 4}


def test_values_by_name_count_more_than_a_list_with_holes(registry: Registry) -> None:
    named = {"seed": 8, "control_after_generate": "fixed", "tint": "green", "size": 2}
    workflow = converted(registry, [node(1, "Colour", [8, None, None, "fixed"], widgets_values_named=named)])
    assert workflow.nodes["1"].inputs == {"seed": 8, "tint": "green", "size": 2}


def test_a_widget_without_a_saved_value_has_its_default(registry: Registry) -> None:
    assert converted(registry, [node(1, "Colour", [5])]).nodes["1"].inputs == {"seed": 5, "tint": "red", "size": 4}


def test_values_beyond_the_widgets_are_left_out(registry: Registry) -> None:
    assert converted(registry, [node(1, "LoadImage", ["x.png", "image"])]).nodes["1"].inputs == {"image": "x.png"}


def test_a_list_as_a_value_is_no_link(registry: Registry) -> None:
    workflow = converted(registry, [node(1, "LoadImage", [["9", 0]])])
    assert workflow.to_api()["1"]["inputs"] == {"image": {"__value__": ["9", 0]}}


def test_version_1_writes_links_as_objects(registry: Registry) -> None:
    link = {"id": 1, "origin_id": 1, "origin_slot": 0, "target_id": 9, "target_slot": 0, "type": "IMAGE", "parentId": 4}
    workflow = converted(registry, [colour(), show(1)], [link], version=1, reroutes=[{"id": 4, "pos": [0, 0]}])
    assert workflow.nodes["9"].inputs["image"] == Link("1", 0)


def test_reroute_points_only_bend_a_link(registry: Registry) -> None:
    extra = {"reroutes": [{"id": 1, "linkIds": [1]}], "linkExtensions": [{"id": 1, "parentId": 1}]}
    workflow = converted(registry, [colour(), show(1)], [[1, 1, 0, 9, 0, "IMAGE"]], extra=extra)
    assert workflow.nodes["9"].inputs["image"] == Link("1", 0)


def test_a_muted_node_is_gone_and_so_are_the_links_to_it(registry: Registry) -> None:
    workflow = converted(registry, [colour(mode=MUTED), show(1)], [[1, 1, 0, 9, 0, "IMAGE"]])
    assert set(workflow.nodes) == {"9"}
    assert "image" not in workflow.nodes["9"].inputs


def test_a_widget_linked_to_a_muted_node_is_left_without_a_value_as_in_the_frontend(registry: Registry) -> None:
    linked = node(2, "Colour", [5, "fixed", "blue", 3], slot("seed", "INT", 1, "seed"))
    workflow = converted(registry, [colour(mode=MUTED), linked], [[1, 1, 1, 2, 0, "INT"]])
    assert workflow.nodes["2"].inputs == {"tint": "blue", "size": 3}


def test_a_bypassed_node_hands_on_its_input_of_the_same_type(registry: Registry) -> None:
    scale = node(
        2,
        "ImageScale",
        ["area", 8, 8, "disabled"],
        slot("image", "IMAGE", 1),
        mode=BYPASSED,
        outputs=[slot("I", "IMAGE")],
    )
    workflow = converted(registry, [colour(), scale, show(2)], [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 9, 0, "IMAGE"]])
    assert workflow.nodes["9"].inputs["image"] == Link("1", 0)
    assert "2" not in workflow.nodes


def test_a_bypass_takes_the_first_of_several_inputs_that_suit(registry: Registry) -> None:
    batch = node(3, "ImageBatch", None, slot("image1", "IMAGE", 1), slot("image2", "IMAGE", 2), mode=BYPASSED)
    links = [[1, 1, 0, 3, 0, "IMAGE"], [2, 2, 0, 3, 1, "IMAGE"], [3, 3, 0, 9, 0, "IMAGE"]]
    workflow = converted(registry, [colour(1), colour(2), batch, show(3)], links)
    assert workflow.nodes["9"].inputs["image"] == Link("1", 0)


def test_a_bypass_prefers_the_input_at_the_same_place_where_sockets_come_before_widgets(registry: Registry) -> None:
    pair = node(3, "Pair", ["x"], slot("one", "IMAGE", 1), slot("two", "IMAGE", 2), mode=BYPASSED)
    links = [[1, 1, 0, 3, 0, "IMAGE"], [2, 2, 0, 3, 1, "IMAGE"], [3, 3, 1, 9, 0, "IMAGE"]]
    workflow = converted(registry, [colour(1), colour(2), pair, show(3)], links)
    assert workflow.nodes["9"].inputs["image"] == Link("2", 0)


def test_old_files_spell_the_type_of_a_choice_out(registry: Registry) -> None:
    kind: Any = ["a", "b"]
    odd = node(2, "Odd", None, slot("pick", kind, 1), outputs=[slot("picked", kind)], mode=BYPASSED)
    chosen = node(9, "Show", [], slot("choice", kind, 2, "choice"))
    links = [[1, 1, 0, 2, 0, "COMBO"], [2, 2, 0, 9, 0, "COMBO"]]
    workflow = converted(registry, [node(1, "PrimitiveString", ["a"]), odd, chosen], links)
    assert workflow.nodes["9"].inputs["choice"] == Link("1", 0)


def test_a_bypassed_node_without_a_fitting_input_hands_on_nothing(registry: Registry) -> None:
    workflow = converted(registry, [colour(mode=BYPASSED), show(1)], [[1, 1, 0, 9, 0, "IMAGE"]])
    assert "image" not in workflow.nodes["9"].inputs


def test_reroute_nodes_are_passed_through_and_notes_are_dropped(registry: Registry) -> None:
    nodes = [
        colour(),
        node(2, "Reroute", None, slot("", "*", 1)),
        node(3, "Reroute", None, slot("", "*", 2)),
        node(4, "Note", ["remember"]),
        node(5, "MarkdownNote", ["# x"]),
        show(3),
    ]
    links = [[1, 1, 0, 2, 0, "*"], [2, 2, 0, 3, 0, "*"], [3, 3, 0, 9, 0, "*"]]
    workflow = converted(registry, nodes, links)
    assert set(workflow.nodes) == {"1", "9"}
    assert workflow.nodes["9"].inputs["image"] == Link("1", 0)


def test_reroutes_in_a_circle_are_refused(registry: Registry) -> None:
    nodes = [node(2, "Reroute", None, slot("", "*", 1)), node(3, "Reroute", None, slot("", "*", 2)), show(3)]
    links = [[1, 3, 0, 2, 0, "*"], [2, 2, 0, 3, 0, "*"], [3, 3, 0, 9, 0, "*"]]
    with pytest.raises(InvalidWorkflow, match="circle"):
        converted(registry, nodes, links)


def test_a_primitive_node_writes_its_value_into_every_widget_it_is_linked_to(registry: Registry) -> None:
    primitive = node(7, "PrimitiveNode", [42, "increment"], outputs=[slot("INT", "INT")])
    seeds = [node(n, "Colour", [5, "fixed", "blue", 3], slot("seed", "INT", n, "seed")) for n in (1, 2)]
    workflow = converted(registry, [primitive, *seeds], [[1, 7, 0, 1, 0, "INT"], [2, 7, 0, 2, 0, "INT"]])
    assert [workflow.nodes[id_].inputs["seed"] for id_ in ("1", "2")] == [42, 42]
    assert "7" not in workflow.nodes


def test_an_unknown_node_keeps_what_can_be_read(registry: Registry) -> None:
    odd = node(
        2, "Odd", [3, "x"], slot("picture", "IMAGE", 1), slot("n", "INT", None, "n"), slot("s", "STRING", None, "s")
    )
    unnamed = node(3, "Odder", [3, "x"], title="Strange")
    workflow = converted(registry, [colour(), odd, unnamed], [[1, 1, 0, 2, 0, "IMAGE"]])
    assert workflow.nodes["2"].inputs == {"n": 3, "s": "x", "picture": Link("1", 0)}
    assert workflow.nodes["3"].inputs == {}
    assert str(workflow.nodes["3"]) == 'node 3 "Strange"'


def test_a_title_is_the_one_given_or_else_the_nodes_own(registry: Registry) -> None:
    workflow = converted(registry, [colour(1, title="Sky"), colour(2)])
    assert [workflow.nodes[id_].title for id_ in ("1", "2")] == ["Sky", "A Colour"]


def test_our_own_nodes_read_their_values_by_the_catalog(registry: Registry) -> None:
    face = registry["FluxImagine"]
    values: list[Any] = []
    for item in face.inputs:
        if item.is_widget:
            values.append(item.default)
            values += ["randomize"] if item.seed_control else []
    inputs = converted(registry, [node(1, "FluxImagine", values)]).nodes["1"].inputs
    assert inputs == {item.name: item.default for item in face.inputs if item.is_widget}
