"""Every graph of the tests means the same to both of ComfyUI's real frontends and to us, or nothing runs here.

One visit to each frontend opens all of them. What differs is listed with its reason, and must differ.
"""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.core.errors import InvalidWorkflow
from flux_nodes.graph import Folders, Registry, read_workflow, stock_nodes
from flux_nodes.graph.drawing import is_drawing
from flux_nodes.graph.tokens import replaced
from flux_nodes.nodes import NODES
from tests.graph import (
    drawings,
    test_converting,
    test_duplicates,
    test_group_nodes,
    test_page_nodes,
    test_promotion,
    test_subgraphs,
)
from tests.graph.conftest import COLOUR, PAIR, SHOW
from tests.hosts import pack
from tests.hosts.frontend import Frontend
from tests.hosts.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    from playwright.sync_api import Browser

    from tests.hosts.comfyui import FrontendAge
    from tests.hosts.conftest import StartComfyui

MODULES = (test_converting, test_subgraphs, test_promotion, test_page_nodes, test_group_nodes, test_duplicates)
FOLDERS = (ROOT / "tests" / "graph", ROOT / "workflows", ROOT / "subgraphs")

_INSIDE = "1.32.9 keeps the value of a listed widget in the node inside, and shows that one"
_PATH = "1.58.1 sets a value for a widget that is named by a path aside, and the person who wrote it is not told"
_EMPTY = "a null is no value: it is what 1.32.9 saves where a value is kept inside; with it, nothing could run"
_NO_SOURCE = "the frontend stops with an error, so that nothing can run there"
_BY_NAME = "no frontend saves a known node so"

_EVERYWHERE = {
    "test_old_files_spell_the_type_of_a_choice_out": "a bypassed node that neither knows",
    "test_values_by_name_count_more_than_a_list_with_holes": "the list is misplaced there, and the server refuses it",
    "test_values_may_be_given_by_name": _BY_NAME,
    "test_an_input_that_leads_straight_to_an_output_of_its_subgraph_is_followed": _NO_SOURCE,
    "test_without_a_value_on_its_node_a_subgraph_uses_its_own": _EMPTY,
    "test_proxied_widgets_take_their_values_from_the_node_of_the_subgraph": _EMPTY,
    "test_a_shown_primitive_node_gives_its_value_to_all_that_it_feeds": _EMPTY,
    "test_of_a_widget_that_two_subgraphs_show_the_outermost_value_counts": _PATH,
    "tests/graph/meaning/nested-promotion-path.json": _PATH,
}

EXCEPTIONS: Mapping[FrontendAge, Mapping[str, str]] = {
    "paired": _EVERYWHERE
    | {
        "test_a_list_as_a_value_is_no_link": "the first of a list is taken; here the check refuses a list",
        "test_a_subgraph_that_does_not_run_takes_its_nodes_with_it": "1.32.9 runs what is in a muted subgraph",
        "test_a_getter_in_a_subgraph_gets_what_is_set_around_it": "1.32.9 needs a patch for it, which packs bring",
        "test_a_getter_that_does_not_run_hands_on_nothing": "1.32.9 does not look at the mode of nodes of the page",
        "test_a_value_that_the_frontend_rescued_counts_most": "1.32.9 does not know rescued values",
        "tests/graph/meaning/nested-promotion-prompt.json": _INSIDE,
        "tests/graph/meaning/nested-promotion-seed.json": _INSIDE,
        "tests/graph/meaning/promoted-widgets-as-list.json": _INSIDE,
        "tests/graph/meaning/promoted-widgets-as-text.json": _INSIDE,
        "test_a_link_to_a_shown_widget_counts_more_than_its_value": _INSIDE,
        "test_a_node_with_fewer_values_leaves_the_rest_as_they_are_inside": _INSIDE,
        "test_a_shown_widget_that_something_inside_is_linked_to_takes_the_value_outside": _INSIDE,
        "test_a_subgraph_used_three_times_has_the_values_of_each": _INSIDE,
        "test_a_value_that_is_set_is_drawn_where_the_outermost_node_holds_it": _INSIDE,
        "test_a_widget_is_shown_through_four_subgraphs": _INSIDE,
        "test_listed_widgets_have_the_values_at_their_places_in_the_list": _INSIDE,
        "test_what_a_list_says_of_muted_and_of_missing_nodes_changes_no_other_value": _INSIDE,
        "test_without_an_outermost_value_the_next_one_inside_counts": _INSIDE,
    },
    "newest": _EVERYWHERE
    | {
        "test_a_setter_that_was_saved_without_its_input_sets_nothing": "1.58.1 makes the input anew, from the link",
        "test_a_widget_linked_to_a_muted_node_is_left_without_a_value_as_in_the_frontend": "1.58.1 takes the widget's",
        "test_a_primitive_node_reaches_a_widget_inside_a_subgraph": "1.58.1 loses what a primitive gives a subgraph",
        "test_a_primitive_in_a_group_node_gives_its_value_to_all_that_it_feeds": "1.58.1 loses the primitive's value",
    },
}
"""What a frontend makes something else of, and why ours is right: by test or file."""

LARGEST = 200_000
"""Characters of a graph: one of 2,000 subgraphs in each other takes a frontend minutes."""

_AT = datetime(2026, 1, 2, tzinfo=UTC)

_OPEN = """async text => {
  try {
    await window.app.loadGraphData(JSON.parse(text), true, false)
    return JSON.stringify((await window.app.graphToPrompt()).output)
  } catch (error) { return JSON.stringify({error: String(error)}) }
}"""


@pytest.fixture(scope="module", params=["paired", "newest"])
def age(request: pytest.FixtureRequest) -> FrontendAge:
    chosen: FrontendAge = request.param
    return chosen


@pytest.fixture(scope="module")
def visit(age: FrontendAge, start_comfyui: StartComfyui, pack_copy: Path, browser: Browser) -> Iterator[Frontend]:
    packs = {pack.NAME: pack_copy, "graph_nodes": Path(__file__).with_name("graph_nodes")}
    server = start_comfyui({}, packs=packs, frontend=age)
    with browser.new_context(viewport={"width": 640, "height": 400}) as context:
        yield Frontend(context.new_page(), server)
    server.stop()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    base = tmp_path_factory.mktemp("folders")
    folders = Folders(input=base, output=base, temp=base)
    return Registry([*NODES, *stock_nodes(folders), COLOUR, SHOW, PAIR])


def saved() -> Iterator[tuple[str, Any]]:
    """Yield the drawings among the files, each with its name."""
    for file in sorted(path for folder in FOLDERS for path in folder.rglob("*.json")):
        data = json.loads(file.read_text("utf-8"))
        if is_drawing(data):
            yield str(file.relative_to(ROOT)), data


def drawn(module: ModuleType, registry: Registry) -> Iterator[tuple[str, Any]]:
    """Yield what the tests of a module convert, caught while they run."""
    seen: list[Any] = []

    def converted(*args: Any, **more: Any) -> Any:
        seen.append(drawings.drawing(*args[1:], **more))
        return drawings.converted(*args, **more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "converted", converted)
        for name, test in inspect.getmembers(module, inspect.isfunction):
            seen.clear()
            for case in _cases(test) if name.startswith("test_") else ():
                if set(inspect.signature(test).parameters) == {"registry", *case}:
                    test(registry=registry, **case)
            yield from ((f"{name} {number}", each) for number, each in enumerate(seen))


def _cases(test: Any) -> Iterator[dict[str, Any]]:
    """Yield the arguments of each of a test's cases."""
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    for values in product(*(mark.args[1] for mark in marks)):
        case: dict[str, Any] = {}
        for mark, value in zip(marks, values, strict=True):
            names = [mark.args[0]] if isinstance(mark.args[0], str) else mark.args[0]
            case |= {names[0]: value} if len(names) == 1 else dict(zip(names, value, strict=True))
        yield case


def ours(graph: Any, registry: Registry) -> Mapping[str, Any] | None:
    """Return what we would run, in the API format; None when we refuse it."""
    try:
        workflow = read_workflow(json.dumps(graph), registry)
    except InvalidWorkflow:
        return None
    if any(node.class_type not in registry for node in workflow.nodes.values()):
        return None
    prompt = workflow.to_api()
    for node in prompt.values():
        words = node["inputs"].get("filename_prefix")
        if isinstance(words, str):
            # Here tokens are replaced when a file is saved, there when a graph is queued.
            text = replaced(words, workflow=workflow, now=_AT, width=1, height=1)
            node["inputs"]["filename_prefix"] = text
    return prompt


def meaning(prompt: Mapping[str, Any]) -> list[str]:
    """Return what runs, whatever its nodes are called: frontends number some of them anew.

    Nodes that a frontend knows no class for belong to packs that are not here.
    """

    @cache
    def of(id_: str) -> str:
        node = prompt[id_]
        inputs = {name: _input(value) for name, value in node["inputs"].items()}
        return json.dumps([node["class_type"], inputs], sort_keys=True)

    def _input(value: Any) -> Any:
        if isinstance(value, float) and value.is_integer():
            return int(value)  # as JavaScript writes it
        return [of(value[0]), value[1]] if isinstance(value, list) and value[0] in prompt else value

    return sorted(of(id_) for id_, node in prompt.items() if node.get("class_type"))


def difference(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Say in which nodes two prompts differ, theirs after ours; "" when they mean the same."""
    if "error" in theirs:
        return str(theirs["error"])[:200]
    one, other = meaning(mine), meaning(theirs)
    left = "; ".join(node for node in one if node not in other)
    right = "; ".join(node for node in other if node not in one)
    return f"{left} -> {right}" if one != other else ""


@pytest.fixture(scope="module")
def graphs(registry: Registry) -> dict[str, Any]:
    every = dict(saved())
    for module in MODULES:
        every |= dict(drawn(module, registry))
    return {name: graph for name, graph in every.items() if len(json.dumps(graph)) < LARGEST}


def test_every_graph_means_what_a_real_frontend_makes_of_it(
    visit: Frontend, age: FrontendAge, graphs: dict[str, Any], registry: Registry
) -> None:
    different: dict[str, str] = {}
    for name, graph in graphs.items():
        mine = ours(graph, registry)
        if mine is not None:
            theirs = json.loads(visit.page.evaluate(_OPEN, json.dumps(graph)))
            different[name] = difference(mine, theirs)
    unexpected = {name: words for name, words in different.items() if words and _test(name) not in EXCEPTIONS[age]}
    assert unexpected == {}
    assert set(EXCEPTIONS[age]) == {_test(name) for name, words in different.items() if words}


def _test(name: str) -> str:
    return name.split(" ")[0]
