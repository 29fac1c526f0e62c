from __future__ import annotations

import pytest

from flux_nodes.core.catalog import DEFAULT_MODEL, MODEL_NAMES, PARAMETERS, parameter
from flux_nodes.nodes import NODES, Input, Node, Output
from flux_nodes.nodes.fields import request
from tests.nodes.playing import BY_ID, widgets

GENERATING = ("FluxImagine", "FluxSubmit")


def test_the_nodes_are_those_of_the_house() -> None:
    assert list(BY_ID) == [
        "FluxImagine",
        "FluxSubmit",
        "FluxFetch",
        "FluxLoadGeneration",
        "FluxPromptList",
        "FluxAspectRatio",
        "FluxContactSheet",
        "FluxKeptImage",
        "FluxAccount",
    ]


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.id)
def test_every_input_and_output_explains_itself_and_no_name_is_used_twice(node: Node) -> None:
    places: list[Input | Output] = [*node.inputs, *node.outputs]
    assert all(place.label and place.tooltip for place in places)
    assert len({place.name for place in places}) == len(places)
    assert node.description
    assert node.search


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.id)
def test_nodes_stand_together_in_the_menu_and_are_found_by_more_than_their_name(node: Node) -> None:
    assert node.category == BY_ID["FluxImagine"].category
    assert len(set(node.search)) == len(node.search) >= 5


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.id)
def test_the_default_of_a_widget_is_one_of_its_values(node: Node) -> None:
    for item in (item for item in node.inputs if item.is_widget and not item.recent):
        assert not item.choices or item.default in item.choices
        if item.type in {"INT", "FLOAT"}:
            assert isinstance(item.default, int | float)
            assert item.minimum is None or item.minimum <= item.default
            assert item.maximum is None or item.default <= item.maximum


def test_a_generating_node_has_the_inputs_of_the_catalog_and_no_delivery() -> None:
    names = [item.name for item in BY_ID["FluxImagine"].inputs]
    assert names == [*(item.name for item in PARAMETERS if item.group == "picture"), "fresh", "count"]
    model = BY_ID["FluxImagine"].input("model")
    assert model is not None
    assert (model.default, model.choices) == (DEFAULT_MODEL, MODEL_NAMES)


@pytest.mark.parametrize("node_id", GENERATING)
def test_what_older_graphs_lack_comes_last_of_the_widgets_and_may_be_missing(node_id: str) -> None:
    fresh, count = [item for item in BY_ID[node_id].inputs if item.is_widget][-2:]
    assert (fresh.name, fresh.label, fresh.default, fresh.optional) == ("fresh", "Pay again", False, True)
    assert fresh.advanced
    assert (count.name, count.label, count.default, count.optional) == ("count", "Count", 1, True)
    assert (count.minimum, count.maximum) == (1, 20)


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_untouched_widgets_make_a_valid_request_for_every_model(model: str) -> None:
    made = request(widgets(BY_ID["FluxImagine"], model=model, prompt="a field"))
    assert all(parameter(name).taken_by(model) for name in made.wire())
    assert {"steps", "guidance"}.isdisjoint(made.wire())


@pytest.mark.parametrize("node_id", GENERATING)
def test_faults_of_known_inputs_are_found_without_running(node_id: str) -> None:
    check = BY_ID[node_id].check
    assert check is not None
    assert not check({"model": "flux-pro", "width": 512, "count": 4, "fresh": True})
    assert not check({"model": "flux-pro", "raw": True, "steps": 0})
    found = check({"model": "flux-pro-1.1-ultra", "aspect_ratio": "wide", "width": 9, "prompt": ""})
    assert {fault.where for fault in found} == {"aspect_ratio", "width", "prompt"}
