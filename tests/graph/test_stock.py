from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from flux_nodes.core.errors import InvalidWorkflow, StorageError
from flux_nodes.core.images import decode, encode
from flux_nodes.graph import Finished, Folders, NodeFailed, Registry, Saved, read_workflow, run
from flux_nodes.graph.scaling import CROPS, METHODS, batched, scaled, sized
from flux_nodes.graph.tokens import replaced
from tests.core.test_image_prompt import bits

if TYPE_CHECKING:
    from flux_nodes.core.images import Array
    from flux_nodes.graph import SavedFile, Workflow
    from flux_nodes.nodes import Context


async def values_of(registry: Registry, context: Context, node_id: str, nodes: dict[str, Any]) -> tuple[Any, ...]:
    """Run a workflow of {id: (type, inputs)} and return what one node gave."""
    data = {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()}
    events = [event async for event in run(read_workflow(json.dumps(data), registry), registry, context)]
    return next(event.result.values for event in events if isinstance(event, Finished) and event.node.id == node_id)


async def saved(workflow: Workflow, registry: Registry, context: Context) -> list[SavedFile]:
    return [event.file async for event in run(workflow, registry, context) if isinstance(event, Saved)]


def saving(registry: Registry, prefix: str, **colour: Any) -> Workflow:
    data = {
        "1": {"class_type": "Colour", "inputs": {"seed": 51, "tint": "red"} | colour},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }
    return read_workflow(json.dumps(data), registry)


async def loaded(registry: Registry, context: Context, name: str) -> tuple[Any, ...]:
    nodes = {"1": ("LoadImage", {"image": name}), "2": ("PreviewImage", {"images": ["1", 0]})}
    return await values_of(registry, context, "1", nodes)


async def test_an_image_is_loaded_with_its_transparency_as_a_mask(
    registry: Registry, folders: Folders, context: Context
) -> None:
    Image.new("RGBA", (3, 2), (255, 0, 0, 51)).save(folders.input / "a.png")
    image, mask = await loaded(registry, context, "a.png")
    assert image.shape == (1, 2, 3, 3)
    assert mask.shape == (1, 2, 3)
    assert mask.dtype == np.float32
    assert np.allclose(mask, 0.8, atol=1e-6)


async def test_an_image_without_transparency_has_comfyuis_empty_mask(
    registry: Registry, folders: Folders, context: Context
) -> None:
    Image.new("RGB", (3, 2)).save(folders.input / "a.png")
    _, mask = await loaded(registry, context, "a.png [input]")
    assert mask.shape == (1, 64, 64)
    assert not mask.any()


async def test_a_file_that_is_no_image_is_told_with_its_name_before_anything_runs(
    registry: Registry, folders: Folders, context: Context
) -> None:
    for data in (b"", b"no", b"\x89PNG\r\n\x1a\n", encode(RAMP[0])[:-30]):
        (folders.input / "a.png").write_bytes(data)
        with pytest.raises(InvalidWorkflow, match=r"image 'a\.png' cannot be used"):
            await loaded(registry, context, "a.png")


async def test_a_saved_image_carries_the_workflow_and_runs_again(registry: Registry, context: Context) -> None:
    ui = {
        "nodes": [
            {"id": 1, "type": "Colour", "widgets_values": [51, "fixed", "red", 4]},
            {
                "id": 2,
                "type": "SaveImage",
                "inputs": [{"name": "images", "type": "IMAGE", "link": 1}],
                "widgets_values": ["fox"],
            },
        ],
        "links": [[1, 1, 0, 2, 0, "IMAGE"]],
        "version": 0.4,
    }
    workflow = read_workflow(json.dumps(ui), registry).with_values({"seed": 52}, registry)
    file = (await saved(workflow, registry, context))[0]
    with Image.open(file.path) as image:
        assert json.loads(image.info["prompt"]) == workflow.to_api()
        assert json.loads(image.info["workflow"])["nodes"][0]["widgets_values"][0] == 52
    again = read_workflow(file.path, registry)
    assert again == workflow
    second = (await saved(again, registry, context))[0]
    assert decode(second.path.read_bytes()).tobytes() == decode(file.path.read_bytes()).tobytes()


async def test_an_image_of_a_workflow_without_a_drawing_carries_one(registry: Registry, context: Context) -> None:
    workflow = saving(registry, "fox")
    file = (await saved(workflow, registry, context))[0]
    with Image.open(file.path) as image:
        assert set(image.info) == {"prompt", "workflow"}
        drawn = read_workflow(image.info["workflow"], registry)
    assert drawn.nodes["1"].inputs == {"seed": 51, "tint": "red", "size": 4}


async def test_files_are_counted_on_and_never_overwritten(
    registry: Registry, folders: Folders, context: Context
) -> None:
    folders.output.mkdir()
    (folders.output / "fox_00007_.png").write_text("mine")
    (folders.output / "foxes_00010_.png").write_text("other")
    workflow = saving(registry, "fox")
    files = [(await saved(workflow, registry, context))[0] for _ in range(2)]
    assert [file.filename for file in files] == ["fox_00008_.png", "fox_00009_.png"]
    assert (folders.output / "fox_00007_.png").read_text() == "mine"


async def test_runs_at_the_same_time_never_take_the_same_name(registry: Registry, context: Context) -> None:
    workflow = saving(registry, "fox")
    files = await asyncio.gather(*(saved(workflow, registry, context) for _ in range(8)))
    assert len({file[0].path for file in files}) == 8


async def test_a_prefix_may_name_subfolders(registry: Registry, folders: Folders, context: Context) -> None:
    file = (await saved(saving(registry, "a/b/fox"), registry, context))[0]
    assert file.path == folders.output / "a" / "b" / "fox_00001_.png"
    assert (file.folder, file.subfolder, file.filename) == ("output", "a/b", "fox_00001_.png")


@pytest.mark.parametrize(("prefix", "name"), [("", "_00001_.png"), (".", "_00001_.png"), ("a/", "a_00001_.png")])
async def test_an_empty_prefix_leaves_the_number_alone(
    registry: Registry, context: Context, folders: Folders, prefix: str, name: str
) -> None:
    files = [(await saved(saving(registry, prefix), registry, context))[0].path for _ in range(2)]
    assert files[0] == folders.output / name
    assert files[1] == folders.output / name.replace("1", "2")


async def test_a_folder_that_was_named_on_windows_is_found(
    registry: Registry, folders: Folders, context: Context
) -> None:
    (folders.input / "refs").mkdir()
    Image.new("RGB", (3, 2)).save(folders.input / "refs" / "photo.png")
    for name in ("refs\\photo.png", "refs/photo.png", "refs\\photo.png [input]"):
        image, _ = await loaded(registry, context, name)
        assert image.shape == (1, 2, 3, 3)


async def test_images_that_are_shown_or_saved_are_handed_on(
    registry: Registry, folders: Folders, context: Context
) -> None:
    data = {
        "1": ("Colour", {"seed": 51, "tint": "red"}),
        "2": ("PreviewImage", {"images": ["1", 0]}),
        "3": ("SaveImage", {"images": ["2", 0], "filename_prefix": "a"}),
        "4": ("SaveImage", {"images": ["3", 0], "filename_prefix": "b"}),
    }
    (handed_on,) = await values_of(registry, context, "4", data)
    first, second = (decode((folders.output / f"{name}_00001_.png").read_bytes()) for name in "ab")
    assert handed_on.shape == (1, 4, 4, 3)
    assert first.tobytes() == second.tobytes()


async def test_a_batch_is_saved_one_file_each(registry: Registry, context: Context) -> None:
    data = {
        "1": {"class_type": "Colour", "inputs": {"seed": 51, "tint": "red"}},
        "2": {"class_type": "ImageBatch", "inputs": {"image1": ["1", 0], "image2": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "n%batch_num%"}},
    }
    files = await saved(read_workflow(json.dumps(data), registry), registry, context)
    assert [file.filename for file in files] == ["n0_00001_.png", "n1_00001_.png"]


async def test_tokens_are_replaced_with_the_values_that_ran(registry: Registry, context: Context) -> None:
    workflow = saving(registry, "%Colour.seed%-%A Colour.tint%-%width%x%height%").with_values({"seed": 9}, registry)
    file = (await saved(workflow, registry, context))[0]
    assert file.filename == "9-red-4x4_00001_.png"


async def test_a_token_never_leads_out_of_the_folder(registry: Registry, folders: Folders, context: Context) -> None:
    data = {
        "1": {"class_type": "Colour", "inputs": {"seed": 51, "tint": "red"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "%Show.text%/x"}},
        "3": {"class_type": "Show", "inputs": {"text": "../../etc"}},
    }
    file = (await saved(read_workflow(json.dumps(data), registry), registry, context))[0]
    assert file.path.is_relative_to(folders.output)


async def test_a_folder_that_cannot_be_written_is_a_storage_error(
    registry: Registry, folders: Folders, context: Context
) -> None:
    folders.output.write_text("a file in its place")
    with pytest.raises(NodeFailed) as caught:
        await saved(saving(registry, "fox"), registry, context)
    assert isinstance(caught.value.cause, StorageError)


async def test_a_preview_is_written_to_the_temporary_folder(
    registry: Registry, folders: Folders, context: Context
) -> None:
    data = {
        "1": {"class_type": "Colour", "inputs": {"seed": 51, "tint": "red"}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    file = (await saved(read_workflow(json.dumps(data), registry), registry, context))[0]
    assert file.folder == "temp"
    assert file.path.parent == folders.temp
    assert not folders.output.exists()


NOON = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%date:yyyy-MM-dd%", "2026-03-04"),
        ("%date:d.M.yy hh-mm-ss%", "4.3.26 05-06-07"),
        ("%year%%month%%day%-%hour%%minute%%second%", "20260304-050607"),
        ("%width%x%height%", "30x20"),
        ("%Nothing.here%", "%Nothing.here%"),
        ("100%", "100%"),
    ],
)
def test_dates_and_sizes_are_written_as_comfyui_writes_them(text: str, expected: str) -> None:
    assert replaced(text, workflow=None, now=NOON, width=30, height=20) == expected


def test_characters_that_no_file_name_takes_are_replaced_in_a_value(registry: Registry) -> None:
    data = {"1": {"class_type": "Show", "inputs": {"text": 'a/b:c"d\n'}, "_meta": {"title": "My Show"}}}
    workflow = read_workflow(json.dumps(data), registry)
    assert replaced("%My Show.text%", workflow=workflow, now=NOON, width=1, height=1) == "a_b_c_d_"


RAMP: Array = np.linspace(0, 1, 8, dtype=np.float32).reshape(1, 1, 8, 1).repeat(4, axis=1).repeat(3, axis=3)


@pytest.mark.parametrize(
    ("method", "row"),
    [
        ("nearest-exact", [1 / 7, 3 / 7, 5 / 7, 1]),
        ("bilinear", [0.5 / 7, 2.5 / 7, 4.5 / 7, 6.5 / 7]),
        ("area", [0.5 / 7, 2.5 / 7, 4.5 / 7, 6.5 / 7]),
    ],
)
def test_each_method_weighs_pixels_as_pytorch_does(method: Any, row: list[float]) -> None:
    result = scaled(RAMP, width=4, height=2, method=method)
    assert result.shape == (1, 2, 4, 3)
    assert result.dtype == np.float32
    assert np.allclose(result[0, 0, :, 0], row, atol=1e-6)


def test_bicubic_overshoots_at_an_edge_as_pytorch_does() -> None:
    edge = np.zeros((1, 1, 4, 3), np.float32)
    edge[:, :, 2:] = 1
    row = scaled(edge, width=8, height=1, method="bicubic")[0, 0, :, 0]
    # torch.nn.functional.interpolate(mode="bicubic") of [0, 0, 1, 1] to 8
    expected = [0.0, -0.03515625, -0.10546875, 0.2265625, 0.7734375, 1.10546875, 1.03515625, 1.0]
    assert np.allclose(row, expected, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_flat_image_stays_flat(method: Any) -> None:
    flat = np.full((2, 5, 7, 4), 0.2, np.float32)
    result = scaled(flat, width=11, height=3, method=method)
    assert result.shape == (2, 3, 11, 4)
    assert np.allclose(result, 0.2, atol=1 / 255)


def test_a_centre_crop_cuts_the_longer_side() -> None:
    wide = np.zeros((1, 2, 6, 3), np.float32)
    wide[:, :, 2:4] = 1
    assert scaled(wide, width=2, height=2, method="area", crop="center").min() == 1


@pytest.mark.parametrize(
    ("width", "height", "size"), [(0, 0, (8, 4)), (4, 0, (4, 2)), (0, 2, (4, 2)), (5, 7, (5, 7)), (0, 1, (2, 1))]
)
def test_a_side_of_0_follows_from_the_other(width: int, height: int, size: tuple[int, int]) -> None:
    assert sized(RAMP, width, height) == size


def test_a_batch_takes_the_first_size_and_an_alpha_where_one_lacks_it() -> None:
    small = np.zeros((1, 2, 2, 4), np.float32)
    both = batched(small, np.ones((2, 6, 4, 3), np.float32))
    assert both.shape == (3, 2, 2, 4)
    assert both[1:].min() == 1


async def test_the_face_of_scaling_offers_every_method(registry: Registry, folders: Folders, context: Context) -> None:
    face = registry["ImageScale"]
    by_name = {item.name: item.choices for item in face.inputs}
    assert by_name["upscale_method"] == METHODS
    assert by_name["crop"] == CROPS
    (folders.input / "a.png").write_bytes(encode(RAMP[0]))
    size = {"upscale_method": "lanczos", "width": 4, "height": 0, "crop": "disabled"}
    nodes = {
        "1": ("LoadImage", {"image": "a.png"}),
        "2": ("ImageScale", {"image": ["1", 0]} | size),
        "3": ("PreviewImage", {"images": ["2", 0]}),
    }
    (image,) = await values_of(registry, context, "2", nodes)
    assert image.shape == (1, 2, 4, 3)


async def test_previews_of_one_run_have_tags_of_their_own(registry: Registry, context: Context) -> None:
    data = {
        "1": {"class_type": "Colour", "inputs": {"seed": 1, "tint": "red"}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    first, second = await saved(read_workflow(json.dumps(data), registry), registry, context)
    assert first.filename.startswith("ComfyUI_temp_")
    assert first.filename != second.filename


BROKEN = ["compressed-text-over-1-mib.png", "compressed-icc-over-1-mib.png", "text-with-bad-checksum.png"]


@pytest.mark.parametrize("name", BROKEN)
async def test_an_image_is_loaded_whatever_is_broken_beside_its_pixels(
    registry: Registry, folders: Folders, context: Context, name: str
) -> None:
    shutil.copy(Path(__file__).parents[1] / "pictures" / name, folders.input)

    image, _ = await loaded(registry, context, name)

    assert image.shape == (1, 48, 64, 3)


async def test_an_image_of_more_pixels_than_a_prompt_may_have_is_not_decoded(
    registry: Registry, folders: Folders, context: Context
) -> None:
    (folders.input / "a.png").write_bytes(bits(7900))

    with pytest.raises(
        InvalidWorkflow, match=r"a\.png.*7900×7900 pixels are more than the 50 megapixels \(50,331,648 pixels\) allowed"
    ):
        await loaded(registry, context, "a.png")
