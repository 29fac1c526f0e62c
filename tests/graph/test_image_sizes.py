"""What fails over the size of an image is told before anything is paid where it can be known, and else in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from flux_nodes.core.decoding import MAX_PIXELS
from flux_nodes.core.errors import FluxNodesError, InvalidImage
from flux_nodes.graph import NodeFailed, check, read_workflow, run, scaled_size
from flux_nodes.graph.scaling import batched, scaled, sized
from flux_nodes.nodes import contact_sheet as contact_sheet_
from flux_nodes.nodes.contact_sheet import contact_sheet
from flux_nodes.nodes.joining import joined

if TYPE_CHECKING:
    from flux_nodes.graph import Folders, Registry
    from flux_nodes.nodes import Context

FLUX: dict[str, Any] = {"model": "flux-pro-1.1", "prompt": "a fox", "seed": 1, "fresh": False, "count": 1}
FLUX |= {"image_prompt_strength": 0.1, "prompt_upsampling": False, "width": 1024, "height": 768, "raw": False}
FLUX |= {"aspect_ratio": "16:9", "steps": 0, "guidance": 0, "interval": 2, "safety_tolerance": 2}
SCALE: dict[str, Any] = {"upscale_method": "area", "width": 4000, "height": 1, "crop": "center"}


def graph(**nodes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Return nodes by the last letter of their names, and one that saves what node 9 gives."""
    made = {name[-1]: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}
    saver = {"class_type": "SaveImage", "inputs": {"images": ["9", 0], "filename_prefix": "x"}}
    return {**made, "save": saver}


def flux(**changes: Any) -> tuple[str, dict[str, Any]]:
    return "FluxImagine", FLUX | changes


def scale(source: str, **changes: Any) -> tuple[str, dict[str, Any]]:
    return "ImageScale", SCALE | {"image": [source, 0]} | changes


def fault(registry: Registry, document: dict[str, Any]) -> str:
    """Return the only fault of a graph, or nothing."""
    found = check(read_workflow(json.dumps(document), registry), registry)
    assert len(found) <= 1, found
    return str(found[0]) if found else ""


@pytest.mark.parametrize(("width", "height"), [(4000, 1), (1, 4000), (16384, 2), (3, 16000)])
def test_a_crop_that_leaves_nothing_is_told_before_anything_is_paid(
    registry: Registry, width: int, height: int
) -> None:
    document = graph(n1=flux(), n9=scale("1", width=width, height=height))
    assert f"cut to the shape of {width}×{height} has nothing left" in fault(registry, document)


def test_a_size_is_known_through_nodes_that_hand_images_on(registry: Registry) -> None:
    document = graph(
        n1=("FluxSubmit", FLUX),
        n2=("FluxFetch", {"task": ["1", 0], "generation_id": ""}),
        n3=scale("2", width=0, height=0),
        n4=("PreviewImage", {"images": ["3", 0]}),
        n5=scale("4", width=512, height=0, crop="disabled"),
        n6=("ImageBatch", {"image1": ["5", 0], "image2": ["1", 0]}),
        n9=scale("5"),
    )
    del document["6"]
    assert "an image of 512×384 pixels" in fault(registry, document)


def test_a_size_that_a_primitive_brings_is_known(registry: Registry) -> None:
    sides = {"p": ("PrimitiveInt", {"value": 1}), "q": ("PrimitiveInt", {"value": 4000})}
    scaled_ = scale("1", width=["q", 0], height=["p", 0])
    document = graph(n1=flux(), n9=scaled_, **sides)
    assert "has nothing left" in fault(registry, document)


def test_the_size_of_a_file_is_known(registry: Registry, folders: Folders) -> None:
    Image.new("RGB", (300, 2)).save(folders.input / "a.png")
    document = graph(n1=("LoadImage", {"image": "a.png"}), n9=scale("1", width=1, height=400))
    assert "an image of 300×2 pixels" in fault(registry, document)


def test_a_batch_whose_second_image_would_be_cut_to_nothing_is_told(registry: Registry, folders: Folders) -> None:
    Image.new("RGB", (3000, 1)).save(folders.input / "a.png")
    document = graph(
        n1=("LoadImage", {"image": "a.png"}), n2=flux(), n9=("ImageBatch", {"image1": ["1", 0], "image2": ["2", 0]})
    )
    assert "an image of 1024×768 pixels that is cut to the shape of 3000×1" in fault(registry, document)


@pytest.mark.parametrize(("width", "height"), [(16384, 16384), (16384, 0), (0, 16384)])
def test_an_image_of_too_many_pixels_is_told(registry: Registry, width: int, height: int) -> None:
    document = graph(n1=flux(), n9=scale("1", width=width, height=height, crop="disabled"))
    assert "64,000,000" in fault(registry, document)
    assert "pixels are more than" in fault(registry, document)


@pytest.mark.parametrize("value", [-1, -4000, -(2**62)])
def test_a_negative_side_along_a_link_is_told(registry: Registry, value: int) -> None:
    document = graph(n1=flux(), n9=scale("1", width=["p", 0]), p=("PrimitiveInt", {"value": value}))
    assert "a side is less than 0" in fault(registry, document)


@pytest.mark.parametrize("name", ["crop", "upscale_method"])
def test_a_choice_along_a_link_is_one_that_there_is(registry: Registry, name: str) -> None:
    document = graph(n1=flux(), n9=scale("1", **{name: ["p", 0]}), p=("PrimitiveString", {"value": "middle"}))
    assert "'middle' is not one of its choices" in fault(registry, document)


SHAPE: dict[str, Any] = {"ratio": "of the image", "custom": "", "megapixels": 1.0}


def test_a_shape_of_an_image_that_no_model_takes_is_told(registry: Registry) -> None:
    shape = ("FluxAspectRatio", SHAPE | {"image": ["1", 0]})
    document = graph(n1=flux(width=1440, height=256), n2=shape, n9=flux(width=["2", 0], height=["2", 1]))
    assert "is wider than 21:9" in fault(registry, document)


@pytest.mark.parametrize(
    ("node", "word"),
    [
        (("FluxAspectRatio", SHAPE), "no image is linked"),
        (("FluxAspectRatio", SHAPE | {"ratio": ["p", 0]}), "'a\\nb' is not of the form"),
        (("FluxPromptList", {"prompts": "\n# nothing\n"}), "there is no prompt in it"),
    ],
)
def test_what_a_node_would_refuse_at_the_run_is_told_before(registry: Registry, node: Any, word: str) -> None:
    text = ("PrimitiveString", {"value": "a\nb"})
    document = graph(n1=node, n9=flux(**({"width": ["1", 0]} if node[0] != "FluxPromptList" else {"prompt": ["1", 0]})))
    document["p"] = {"class_type": text[0], "inputs": text[1]}
    assert word in fault(registry, document)


def test_a_contact_sheet_without_an_image_is_told(registry: Registry) -> None:
    sheet = {"labels": "", "title": "", "columns": 0, "cell": 512}
    assert "no image is linked" in fault(registry, graph(n9=("FluxContactSheet", sheet)))


@pytest.mark.parametrize("changes", [{"width": 4000, "height": 2000}, {"crop": "disabled"}, {"width": 0, "height": 0}])
def test_a_size_that_leaves_something_is_no_fault(registry: Registry, changes: dict[str, Any]) -> None:
    assert fault(registry, graph(n1=flux(), n9=scale("1", **changes))) == ""


def test_the_size_of_a_model_that_is_given_a_shape_is_not_known(registry: Registry) -> None:
    assert fault(registry, graph(n1=flux(model="flux-pro-1.1-ultra"), n9=scale("1"))) == ""


async def test_a_crop_that_leaves_nothing_at_the_run_is_told_in_words(registry: Registry, context: Context) -> None:
    document = graph(n1=("Colour", {"seed": 1, "tint": "red"}), n9=scale("1"))
    with pytest.raises(NodeFailed, match=r'node 9 "Upscale Image": an image of 4×4 pixels .* nothing left') as caught:
        async for _ in run(read_workflow(json.dumps(document), registry), registry, context):
            pass
    assert isinstance(caught.value.cause, InvalidImage)


def pixels(width: int, height: int, many: int = 1) -> Any:
    return np.zeros((many, height, width, 3), np.float32)


@pytest.mark.parametrize(
    "work",
    [
        lambda: scaled(pixels(8, 8), width=1, height=900, method="area", crop="center"),
        lambda: scaled(pixels(8, 8), width=20_000, height=20_000, method="lanczos"),
        lambda: scaled(pixels(1, 1, 100), width=2_000, height=2_000, method="area"),
        lambda: sized(pixels(8, 8), -1, 5),
        lambda: sized(pixels(1, 9_000), 9_000, 0),
        lambda: batched(pixels(9_000, 1), pixels(8, 8)),
    ],
)
def test_no_size_ends_in_anything_but_words(work: Any) -> None:
    with pytest.raises(InvalidImage) as caught:
        work()
    assert isinstance(caught.value, FluxNodesError)


def test_a_batch_is_scaled_image_by_image_to_the_same_pixels() -> None:
    images = np.random.default_rng(1).random((3, 9, 7, 3), np.float32)
    for method in ("area", "lanczos", "bicubic"):
        together = scaled(images, width=4, height=5, method=method, crop="center")
        one_by_one = [scaled(image[None], width=4, height=5, method=method, crop="center") for image in images]
        assert np.array_equal(together, np.concatenate(one_by_one))


def test_paid_images_of_any_shape_are_joined() -> None:
    assert joined([pixels(3_000, 1), pixels(8, 8), pixels(1, 3_000)]).shape == (3, 1, 3_000, 3)


async def sheet(**inputs: Any) -> tuple[Any, str]:
    return [(step.values[0], step.text) async for step in contact_sheet(None, **inputs)][-1]  # type: ignore[union-attr]  # it ends with a result


@pytest.mark.parametrize("number", [-5, 0, 10**9])
async def test_numbers_that_a_link_brings_to_a_contact_sheet_are_brought_into_range(number: int) -> None:
    made, _ = await sheet(columns=[number], cell=[number], image_1=[pixels(9, 1)])
    assert made.shape[1] * made.shape[2] <= MAX_PIXELS


@pytest.mark.parametrize(("columns", "rows"), [(1, 1), (100, 2), (1, 150), (32, 32), (100, 10_000)])
def test_the_cells_of_a_contact_sheet_are_smaller_where_there_are_many(columns: int, rows: int) -> None:
    cell = contact_sheet_.fitting_cell(2048, columns, rows)
    assert columns * rows * cell * cell <= contact_sheet_.MAX_PIXELS == MAX_PIXELS
    assert (cell == 2048) is (columns * rows == 1)


@pytest.mark.parametrize("text", ["\ud83d", "x\0y", "a\nb\r", "x" * 100_000, "💥"])
async def test_no_words_keep_a_contact_sheet_from_being_drawn(text: str) -> None:
    made, _ = await sheet(title=[text], labels=[text], cell=[64], image_1=[pixels(8, 8)])
    assert made.shape[3] == 3


def test_what_is_made_here_can_be_read_again() -> None:
    assert scaled_size.MAX_PIXELS == MAX_PIXELS
