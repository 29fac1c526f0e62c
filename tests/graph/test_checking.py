from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flux_nodes.core.errors import InvalidWorkflow
from flux_nodes.core.images import encode
from flux_nodes.graph import Folders, Registry, check, read_workflow, require
from flux_nodes.nodes.face import Output
from tests.graph.conftest import COLOUR, SHOW, socket

if TYPE_CHECKING:
    from pathlib import Path

Nodes = dict[str, Any]


def api(**nodes: tuple[str, Nodes]) -> str:
    return json.dumps({key[1:]: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()})


def faults(registry: Registry, **nodes: tuple[str, Nodes]) -> dict[str, str]:
    """Return problem by place."""
    return {fault.where: str(fault) for fault in check(read_workflow(api(**nodes), registry), registry)}


def shown(registry: Registry, **inputs: Any) -> dict[str, str]:
    return faults(registry, n1=("Show", inputs))


def test_a_sound_workflow_has_no_fault(registry: Registry) -> None:
    nodes: dict[str, Any] = {
        "n1": ("Colour", {"seed": 1, "tint": "red"}),
        "n2": ("SaveImage", {"images": ["1", 0], "filename_prefix": "x"}),
    }
    assert faults(registry, **nodes) == {}


def test_every_fault_is_told_at_once_with_its_node_and_input(registry: Registry) -> None:
    found = faults(
        registry,
        n1=("Colour", {"seed": -1, "tint": "pink"}),
        n2=("Odd", {}),
        n7=("Show", {"image": ["1", 0], "other": ["8", 0], "number": "many"}),
    )
    assert set(found) == {
        'node 1 "A Colour", input seed',
        'node 1 "A Colour", input tint',
        'node 2 "Odd"',
        'node 7 "Show", input other',
        'node 7 "Show", input number',
    }
    assert "red, green, blue" in found['node 1 "A Colour", input tint']


def test_requiring_raises_them_all(registry: Registry) -> None:
    workflow = read_workflow(api(n1=("Show", {"number": "x", "choice": "z"})), registry)
    with pytest.raises(InvalidWorkflow) as caught:
        require(workflow, registry)
    assert len(caught.value.faults) == 2


def test_a_required_input_must_be_there(registry: Registry) -> None:
    found = faults(registry, n1=("SaveImage", {"filename_prefix": "x"}))
    assert "required" in found['node 1 "Save Image", input images']


def test_a_workflow_without_an_output_node_is_refused(registry: Registry) -> None:
    found = faults(registry, n1=("Colour", {"seed": 1, "tint": "red"}))
    assert "Save Image" in found["the workflow"]


def test_only_nodes_that_an_output_needs_are_looked_at(registry: Registry) -> None:
    assert faults(registry, n1=("Colour", {"seed": "?"}), n2=("Show", {})) == {}


@pytest.mark.parametrize(
    ("slot", "word"),
    [(["5", 0], "does not exist"), (["1", 4], "output 4"), (["1", -1], "output -1"), (["1", 1], "INT")],
)
def test_a_link_must_lead_to_an_output_of_the_right_type(registry: Registry, slot: list[Any], word: str) -> None:
    found = faults(registry, n1=("Colour", {"seed": 1, "tint": "red"}), n2=("Show", {"image": slot}))
    assert word in found['node 2 "Show", input image']


def test_a_whole_number_may_be_linked_where_a_number_is_wanted(registry: Registry) -> None:
    assert faults(registry, n1=("PrimitiveInt", {"value": 3}), n2=("Show", {"number": ["1", 0]})) == {}


def test_text_may_be_linked_where_a_choice_is_wanted(registry: Registry) -> None:
    assert faults(registry, n1=("PrimitiveString", {"value": "a"}), n2=("Show", {"choice": ["1", 0]})) == {}


def test_a_number_may_not_be_linked_where_a_whole_one_is_wanted(registry: Registry) -> None:
    nodes: dict[str, Any] = {
        "n1": ("PrimitiveFloat", {"value": 3}),
        "n2": ("Colour", {"seed": ["1", 0], "tint": "red"}),
    }
    found = faults(registry, **nodes, n3=("Show", {"image": ["2", 0]}))
    assert "FLOAT" in found['node 2 "A Colour", input seed']


def test_each_circle_of_links_is_told_once(registry: Registry) -> None:
    found = faults(
        registry,
        n1=("ImageBatch", {"image1": ["2", 0], "image2": ["2", 0]}),
        n2=("ImageBatch", {"image1": ["1", 0], "image2": ["3", 0]}),
        n3=("ImageBatch", {"image1": ["3", 0], "image2": ["3", 0]}),
        n4=("Show", {"image": ["1", 0]}),
    )
    assert len(found) == 2
    assert all("circle" in words for words in found.values())


@pytest.mark.parametrize(
    ("inputs", "good"),
    [
        ({"number": "5"}, True),
        ({"number": 5}, True),
        ({"number": "five"}, False),
        ({"number": 1001}, False),
        ({"number": -0.1}, False),
        ({"number": "nan"}, False),
        ({"number": "1e999"}, False),
        ({"number": None}, False),
        ({"number": [1, 2, 3]}, False),
        ({"flag": "yes"}, True),
        ({"text": 5}, True),
        ({"choice": "b"}, True),
        ({"choice": "c"}, False),
        ({"choice": {"a": 1}}, False),
        ({"image": "a.png"}, False),
        ({"unknown": 1}, True),
    ],
)
def test_a_value_is_converted_as_comfyui_does_and_then_held_against_its_rules(
    registry: Registry, inputs: Nodes, good: bool
) -> None:
    assert (shown(registry, **inputs) == {}) is good


@pytest.mark.parametrize(
    ("seed", "good"), [("5", True), (5.0, True), (5.7, True), (True, True), ("5.5", False), ("", False)]
)
def test_whole_numbers_are_converted_as_comfyui_does(registry: Registry, seed: Any, good: bool) -> None:
    found = faults(registry, n1=("Colour", {"seed": seed, "tint": "red"}), n2=("Show", {"image": ["1", 0]}))
    assert (found == {}) is good


@pytest.mark.parametrize(
    "name", ["none.png", "../secret.png", "/etc/hostname", "", ".", "a\0b", "x.png [output]", "link.png"]
)
def test_an_image_to_load_must_lie_in_the_input_folder(
    registry: Registry, folders: Folders, tmp_path: Path, name: str
) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")
    (folders.input / "link.png").symlink_to(tmp_path / "secret.png")
    found = faults(registry, n1=("LoadImage", {"image": name}), n2=("Show", {"image": ["1", 0]}))
    assert set(found) == {'node 1 "Load Image", input image'}


@pytest.mark.parametrize("name", [5, 1.5, True, {"name": "x.png"}])
def test_the_name_of_an_image_must_be_text(registry: Registry, name: Any) -> None:
    found = faults(registry, n1=("LoadImage", {"image": name}), n2=("Show", {"image": ["1", 0]}))
    assert f"{name!r} is not text" in found['node 1 "Load Image", input image']


def test_a_primitive_brings_the_name_of_an_image_as_text(registry: Registry, folders: Folders) -> None:
    nodes: dict[str, Any] = {
        "n1": ("LoadImage", {"image": ["3", 0]}),
        "n2": ("Show", {"image": ["1", 0]}),
        "n3": ("PrimitiveString", {"value": 5}),
    }
    assert "'5' is no file in the input folder" in faults(registry, **nodes)['node 1 "Load Image", input image']
    (folders.input / "5").write_bytes(encode(np.zeros((1, 1, 3), np.float32)))
    assert faults(registry, **nodes) == {}


def test_an_image_of_another_folder_may_be_named_with_it(registry: Registry, folders: Folders) -> None:
    folders.output.mkdir()
    (folders.output / "x.png").write_bytes(encode(np.zeros((1, 1, 3), np.float32)))
    assert faults(registry, n1=("LoadImage", {"image": "x.png [output]"}), n2=("Show", {"image": ["1", 0]})) == {}


@pytest.mark.parametrize("prefix", ["../x", "/elsewhere/x", "a/../../x", "..", "a\0", "in_the_way/x", "y" * 300 + "/x"])
def test_a_prefix_that_leads_out_of_the_output_folder_is_told_before_anything_is_paid(
    registry: Registry, folders: Folders, prefix: str
) -> None:
    folders.output.mkdir()
    (folders.output / "in_the_way").write_text("a file")
    nodes = {"n1": ("Colour", {"seed": 1, "tint": "red"})}
    found = faults(registry, **nodes, n2=("SaveImage", {"images": ["1", 0], "filename_prefix": prefix}))
    assert set(found) == {'node 2 "Save Image", input filename_prefix'}


def imagine(registry: Registry, **inputs: Any) -> Nodes:
    face = registry["FluxImagine"]
    values = {item.name: item.default for item in face.inputs if item.is_widget}
    return values | {"prompt": "a fox"} | inputs


def test_our_nodes_rules_are_checked_before_anything_runs(registry: Registry) -> None:
    flux = ("FluxImagine", imagine(registry, prompt=" ", width=10))
    found = faults(registry, n1=flux, n2=("PreviewImage", {"images": ["1", 0]}))
    assert {'node 1 "FLUX Imagine", input prompt', 'node 1 "FLUX Imagine", input width'} <= set(found)


def test_what_a_primitive_will_bring_is_checked_by_our_nodes_too(registry: Registry) -> None:
    flux = ("FluxImagine", imagine(registry, prompt=["3", 0]))
    shows = ("PreviewImage", {"images": ["1", 0]})
    bad = faults(registry, n1=flux, n2=shows, n3=("PrimitiveString", {"value": ""}))
    assert set(bad) == {'node 1 "FLUX Imagine", input prompt'}
    assert faults(registry, n1=flux, n2=shows, n3=("PrimitiveString", {"value": "a fox"})) == {}


RECENT = ("g-abcdefghi a fox", "g-bcdefghij an owl")


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("g-abcdefghi a fox", True),
        ("g-zzzzzzzzz made since then", True),
        ("g-zzzzzzzzz", True),
        ("", True),
        (["1", 0], True),
        (7, False),
        ({"a": 1}, False),
        (None, False),
    ],
)
def test_a_choice_of_recent_generations_takes_any_text(value: Any, good: bool) -> None:
    recent = socket("generation", "COMBO", choices=RECENT, recent=True)
    look = replace(SHOW, id="Look", inputs=(recent,))
    words = replace(COLOUR, id="Words", inputs=(), outputs=(Output(name="w", type="STRING", label="", tooltip=""),))
    found = faults(Registry([look, words]), n1=("Words", {}), n2=("Look", {"generation": value}))
    assert (found == {}) is good
    assert good or "generation" in found['node 2 "Show", input generation']


def test_our_own_choice_of_a_generation_takes_one_that_no_list_shows(registry: Registry) -> None:
    loads = ("FluxLoadGeneration", {"generation": "g-zzzzzzzzz a fox", "generation_id": ""})
    assert faults(registry, n1=loads, n2=("PreviewImage", {"images": ["1", 0]})) == {}
