"""Nodes that only the page knows: setters, getters, labels, muters; and file names that read those that do not run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.core.errors import InvalidWorkflow
from flux_nodes.graph import Link, Saved, check, run
from tests.graph.drawings import BYPASSED, MUTED, colour, converted, link, node, show, slot, subgraph, widget

if TYPE_CHECKING:
    from flux_nodes.graph import Folders, Registry
    from flux_nodes.nodes import Context

OUT = (slot("out", "IMAGE"),)


def setter(id_: int, name: str, link: int | None, **more: Any) -> dict[str, Any]:
    return node(id_, "SetNode", [name], slot("IMAGE", "IMAGE", link), outputs=[slot("*", "*")], **more)


def getter(id_: int, name: str, **more: Any) -> dict[str, Any]:
    return node(id_, "GetNode", [name], outputs=[slot("IMAGE", "IMAGE")], **more)


SET, GOT = [1, 1, 0, 5, 0, "IMAGE"], [3, 7, 0, 9, 0, "IMAGE"]


@pytest.mark.parametrize("mode", [0, MUTED, BYPASSED])
def test_a_getter_hands_on_what_its_setter_was_given_whatever_the_setters_mode(registry: Registry, mode: int) -> None:
    nodes = [colour(), setter(5, "pic", 1, mode=mode), getter(7, "pic"), show(3)]
    workflow = converted(registry, nodes, [SET, GOT])
    assert set(workflow.nodes) == {"1", "9"}
    assert workflow.nodes["9"].inputs["image"] == Link("1", 0)


@pytest.mark.parametrize("mode", [MUTED, BYPASSED])
def test_a_getter_that_does_not_run_hands_on_nothing(registry: Registry, mode: int) -> None:
    workflow = converted(registry, [colour(), setter(5, "pic", 1), getter(7, "pic", mode=mode), show(3)], [SET, GOT])
    assert "image" not in workflow.nodes["9"].inputs


def test_a_setter_hands_on_what_it_is_given(registry: Registry) -> None:
    workflow = converted(registry, [colour(), setter(5, "pic", 1), show(3)], [SET, [3, 5, 0, 9, 0, "IMAGE"]])
    assert workflow.nodes["9"].inputs["image"] == Link("1", 0)


def test_setters_and_getters_are_followed_one_after_the_other(registry: Registry) -> None:
    nodes = [colour(), setter(5, "pic", 1), getter(7, "pic"), setter(6, "b", 4), getter(8, "b"), show(3)]
    workflow = converted(registry, nodes, [SET, [4, 7, 0, 6, 0, "IMAGE"], [3, 8, 0, 9, 0, "IMAGE"]])
    assert workflow.nodes["9"].inputs["image"] == Link("1", 0)


def test_a_number_travels_through_a_setter_too(registry: Registry) -> None:
    set_ = node(5, "SetNode", ["n"], slot("INT", "INT", 1), outputs=[slot("*", "*")])
    got = node(7, "GetNode", ["n"], outputs=[slot("INT", "INT")])
    nodes = [colour(1), colour(2, inputs=[widget("seed", "INT", 4)]), set_, got]
    workflow = converted(registry, nodes, [[1, 1, 1, 5, 0, "INT"], [4, 7, 0, 2, 0, "INT"]])
    assert workflow.nodes["2"].inputs["seed"] == Link("1", 1)


@pytest.mark.parametrize("order", [(5, 6), (6, 5)])
def test_of_two_setters_of_one_name_the_first_in_the_file_counts(registry: Registry, order: tuple[int, int]) -> None:
    setters = {5: setter(5, "pic", 1), 6: setter(6, "pic", 2)}
    nodes = [colour(1), colour(2), *(setters[id_] for id_ in order), getter(7, "pic"), show(3)]
    workflow = converted(registry, nodes, [SET, [2, 2, 0, 6, 0, "IMAGE"], GOT])
    assert workflow.nodes["9"].inputs["image"] == Link(str(order[0] - 4), 0)


def inside(*nodes: dict[str, Any], links: tuple[Any, ...] = ()) -> dict[str, Any]:
    return {"subgraphs": [subgraph("s", [*nodes], [*links, link(93, 17, 0, -20, 0)], (slot("in", "IMAGE"),), OUT)]}


STANDS_FOR = {"outputs": [*OUT]}
TO_SHOW = [3, 4, 0, 9, 0, "IMAGE"]


def test_a_getter_in_a_subgraph_gets_what_is_set_around_it(registry: Registry) -> None:
    nodes = [colour(), setter(5, "pic", 1), node(4, "s", None, slot("in", "IMAGE"), **STANDS_FOR), show(3)]
    workflow = converted(registry, nodes, [SET, TO_SHOW], definitions=inside(getter(17, "pic")))
    assert workflow.nodes["9"].inputs["image"] == Link("1", 0)


def test_a_getter_in_a_subgraph_prefers_what_is_set_beside_it(registry: Registry) -> None:
    nodes = [colour(), setter(5, "pic", 1), node(4, "s", None, slot("in", "IMAGE"), **STANDS_FOR), show(3)]
    own = (colour(11, outputs=[slot("image", "IMAGE")]), setter(15, "pic", 92), getter(17, "pic"))
    definitions = inside(*own, links=(link(92, 11, 0, 15, 0),))
    workflow = converted(registry, nodes, [SET, TO_SHOW], definitions=definitions)
    assert workflow.nodes["9"].inputs["image"] == Link("4:11", 0)


def test_a_setter_in_a_subgraph_may_set_what_comes_from_outside(registry: Registry) -> None:
    nodes = [colour(), node(4, "s", None, slot("in", "IMAGE", 1), **STANDS_FOR), show(3)]
    definitions = inside(setter(15, "pic", 92), getter(17, "pic"), links=(link(92, -10, 0, 15, 0),))
    workflow = converted(registry, nodes, [[1, 1, 0, 4, 0, "IMAGE"], TO_SHOW], definitions=definitions)
    assert workflow.nodes["9"].inputs["image"] == Link("1", 0)


def test_a_setter_in_a_subgraph_is_not_seen_from_outside(registry: Registry) -> None:
    nodes = [colour(), node(4, "s", None, slot("in", "IMAGE", 1), **STANDS_FOR), getter(7, "pic"), show(3)]
    definitions = inside(setter(15, "pic", 92), getter(17, "pic"), links=(link(92, -10, 0, 15, 0),))
    with pytest.raises(InvalidWorkflow, match='node 7: gets "pic", and no node sets it'):
        converted(registry, nodes, [[1, 1, 0, 4, 0, "IMAGE"], GOT], definitions=definitions)


def test_every_getter_without_a_setter_is_one_fault_and_nothing_is_paid(registry: Registry) -> None:
    nodes = [getter(7, "pic"), getter(8, "other"), show(3), show(4, 10), show(5, 11)]
    links = [GOT, [4, 7, 0, 10, 0, "IMAGE"], [5, 8, 0, 11, 0, "IMAGE"]]
    with pytest.raises(InvalidWorkflow, match="nothing was paid") as caught:
        converted(registry, nodes, links)
    assert [fault.where for fault in caught.value.faults] == ["node 7", "node 8"]


def test_a_getter_that_feeds_nothing_needs_no_setter(registry: Registry) -> None:
    assert set(converted(registry, [getter(7, "pic"), colour()]).nodes) == {"1"}


def test_a_setter_that_sets_what_it_gets_goes_in_a_circle(registry: Registry) -> None:
    with pytest.raises(InvalidWorkflow, match="circle"):
        converted(registry, [setter(5, "pic", 4), getter(7, "pic"), show(3)], [[4, 7, 0, 5, 0, "IMAGE"], GOT])


@pytest.mark.parametrize(
    "kind", ["Label (rgthree)", "Fast Groups Muter (rgthree)", "Bookmark (rgthree)", "Some pack's label"]
)
def test_an_unlinked_node_that_only_the_page_knows_is_no_reason_to_refuse(registry: Registry, kind: str) -> None:
    workflow = converted(registry, [colour(), show(1), node(4, kind, [], outputs=[])], [[1, 1, 0, 9, 0, "IMAGE"]])
    assert set(workflow.nodes) == {"1", "9"}
    assert check(workflow, registry) == ()


def test_a_muter_may_be_linked_to_what_it_mutes(registry: Registry) -> None:
    muter = node(4, "Fast Muter (rgthree)", [], slot("Colour", "*", 2), outputs=[slot("OPT_CONNECTION", "*")])
    workflow = converted(registry, [colour(), show(1), muter], [[1, 1, 0, 9, 0, "IMAGE"], [2, 1, 0, 4, 0, "*"]])
    assert check(workflow, registry) == ()


@pytest.mark.parametrize(
    "more",
    [
        {"properties": {"Node name for S&R": "GlobalSeed //Inspire"}, "outputs": []},
        {"outputs": [slot("INT", "INT")]},
        {"inputs": [widget("text", "STRING")], "outputs": []},
    ],
    ids=["known to the server", "with an output", "with a widget"],
)
def test_an_unlinked_node_that_may_mean_something_is_a_reason_to_refuse(registry: Registry, more: Any) -> None:
    workflow = converted(registry, [colour(), show(1), node(4, "Odd", [5], **more)], [[1, 1, 0, 9, 0, "IMAGE"]])
    assert [fault for fault in check(workflow, registry) if "Odd" in str(fault)]


def prefix(id_: int, value: str, **more: Any) -> dict[str, Any]:
    return node(id_, "PrimitiveString", [value], outputs=[slot("STRING", "STRING")], title="P", **more)


SILENT = {
    "bypassed": ([prefix(4, "my", mode=BYPASSED)], "%P.value%-x", "my-x"),
    "the first of two": ([prefix(4, "muted", mode=MUTED), prefix(5, "awake")], "%P.value%-x", "muted-x"),
    "empty": ([prefix(4, "", mode=MUTED)], "%P.value%x", "x"),
    "a note": ([node(4, "Note", ["my"], title="P")], "%P.text%x", "myx"),
    "without such a widget": ([prefix(4, "my", mode=MUTED)], "%P.other%x", "%P.other%x"),
}


@pytest.mark.parametrize(("nodes", "words", "stem"), SILENT.values(), ids=SILENT)
async def test_file_names_read_the_widgets_of_nodes_that_do_not_run(
    registry: Registry, context: Context, folders: Folders, nodes: list[Any], words: str, stem: str
) -> None:
    saver = node(2, "SaveImage", [words], slot("images", "IMAGE", 1))
    workflow = converted(registry, [colour(), *nodes, saver], [[1, 1, 0, 2, 0, "IMAGE"]])
    saved = [event async for event in run(workflow, registry, context) if isinstance(event, Saved)]
    assert [event.file.path for event in saved] == [folders.output / f"{stem}_00001_.png"]


async def test_file_names_read_widgets_inside_a_muted_subgraph_and_on_a_subgraphs_node(
    registry: Registry, context: Context, folders: Folders
) -> None:
    quiet = subgraph("quiet", [prefix(11, "inside")], [])
    shown = node(11, "PrimitiveString", ["own"], widget("value", "STRING", 95), outputs=[slot("STRING", "STRING")])
    loud = subgraph("loud", [shown], [link(95, -10, 0, 11, 0)], (slot("value", "STRING"),))
    hosts = [node(4, "quiet", None, mode=MUTED), node(5, "loud", ["outside"], widget("value", "STRING"), title="Host")]
    saver = node(2, "SaveImage", ["%P.value%-%Host.value%"], slot("images", "IMAGE", 1))
    definitions = {"subgraphs": [quiet, loud]}
    workflow = converted(registry, [colour(), *hosts, saver], [[1, 1, 0, 2, 0, "IMAGE"]], definitions=definitions)
    saved = [event async for event in run(workflow, registry, context) if isinstance(event, Saved)]
    assert [event.file.path for event in saved] == [folders.output / "inside-outside_00001_.png"]


def test_a_setter_that_was_saved_without_its_input_sets_nothing(registry: Registry) -> None:
    bare = node(5, "SetNode", ["pic"], outputs=[slot("*", "*")])
    workflow = converted(registry, [colour(), bare, getter(7, "pic"), show(3)], [SET, GOT])
    assert "image" not in workflow.nodes["9"].inputs
