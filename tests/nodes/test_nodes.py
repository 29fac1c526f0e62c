from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flux_nodes.core.catalog import DEFAULT_MODEL, MODEL_NAMES, PARAMETERS, parameter
from flux_nodes.core.errors import GenerationFailed, InvalidRequest, UnknownGeneration
from flux_nodes.nodes import NODES, Context, Input, Node, Output, Result
from flux_nodes.nodes.fields import request
from flux_nodes.sandbox import Fault

if TYPE_CHECKING:
    from flux_nodes.core import Generations
    from flux_nodes.core.images import Array
    from flux_nodes.sandbox import Sandbox

BY_ID = {node.id: node for node in NODES}
SMALL = {"model": "flux-schnell", "prompt": "a field", "width": 320, "height": 256, "seed": 7}


def widgets(node: Node, **values: Any) -> dict[str, Any]:
    """The values that a host gives a node: every widget has one."""
    return {item.name: item.default for item in node.inputs if item.is_widget} | values


async def result(node_id: str, generations: Generations, **values: Any) -> Result:
    node = BY_ID[node_id]
    steps = [step async for step in node.run(Context(generations), **widgets(node, **values))]
    assert isinstance(steps[-1], Result)
    return steps[-1]


def picture(red: float, shape: tuple[int, int] = (64, 96)) -> Array:
    image = np.zeros((1, *shape, 3), np.float32)
    image[..., 0] = red
    return image


def test_the_nodes_are_those_of_the_house() -> None:
    assert list(BY_ID) == ["FluxImagine", "FluxSubmit", "FluxFetch", "FluxAccount", "FluxContactSheet"]


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.id)
def test_every_input_and_output_explains_itself_and_no_name_is_used_twice(node: Node) -> None:
    places: list[Input | Output] = [*node.inputs, *node.outputs]
    assert all(place.label and place.tooltip for place in places)
    assert len({place.name for place in places}) == len(places)
    assert node.description
    assert node.search


def test_a_generating_node_has_the_inputs_of_the_catalog_and_no_delivery() -> None:
    names = [item.name for item in BY_ID["FluxImagine"].inputs]
    assert names == [*(item.name for item in PARAMETERS if item.group == "picture"), "fresh"]
    model = BY_ID["FluxImagine"].input("model")
    assert model is not None
    assert (model.default, model.choices) == (DEFAULT_MODEL, MODEL_NAMES)


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_untouched_widgets_make_a_valid_request_for_every_model(model: str) -> None:
    made = request(widgets(BY_ID["FluxImagine"], model=model, prompt="a field"))
    assert all(parameter(name).taken_by(model) for name in made.wire())
    assert {"steps", "guidance"}.isdisjoint(made.wire())


async def test_imagine_gives_the_image_as_an_array_and_its_id(generations: Generations) -> None:
    image, id_ = (await result("FluxImagine", generations, **SMALL)).values
    assert (image.dtype, image.shape) == (np.float32, (1, 256, 320, 3))
    assert 0 <= image.min() < image.max() <= 1
    assert (await generations.get(id_)).status == "stored"


async def test_an_image_prompt_reaches_the_service_and_colours_the_result(
    generations: Generations, sandbox: Sandbox
) -> None:
    plain, _ = (await result("FluxImagine", generations, **SMALL)).values
    red, _ = (await result("FluxImagine", generations, **SMALL, image_prompt=picture(1.0))).values
    sent = [request.json for request in sandbox.requests if request.path == "/flux-imagine"]
    assert ["image_prompt" in body for body in sent] == [False, True]
    assert red[..., 0].mean() - red[..., 2].mean() > plain[..., 0].mean() - plain[..., 2].mean()


async def test_a_batch_of_image_prompts_is_refused_before_anything_is_paid(
    generations: Generations, sandbox: Sandbox
) -> None:
    batch = np.concatenate([picture(0), picture(1)])
    with pytest.raises(InvalidRequest, match="batch of 2"):
        await result("FluxImagine", generations, **SMALL, image_prompt=batch)
    assert sandbox.charges == 0


async def test_submit_returns_at_once_and_fetch_collects(generations: Generations, sandbox: Sandbox) -> None:
    task, id_ = (await result("FluxSubmit", generations, **SMALL)).values
    assert task == id_
    assert not [request for request in sandbox.requests if request.path.startswith("/fetch")]
    (by_task,) = (await result("FluxFetch", generations, task=task)).values
    (by_id,) = (await result("FluxFetch", generations, generation_id=f" {id_} ")).values
    assert np.array_equal(by_task, by_id)
    assert sandbox.charges == 1


async def test_fetch_says_what_is_missing_or_unknown(generations: Generations) -> None:
    with pytest.raises(InvalidRequest, match="nothing is linked"):
        await result("FluxFetch", generations)
    with pytest.raises(UnknownGeneration):
        await result("FluxFetch", generations, generation_id="g-nobody")


@pytest.mark.parametrize("node_id", ["FluxImagine", "FluxSubmit"])
async def test_the_same_picture_is_reused_and_said_to_be_free_unless_it_is_to_be_paid_again(
    generations: Generations, sandbox: Sandbox, node_id: str
) -> None:
    first = await result("FluxImagine", generations, **SMALL)
    again = await result(node_id, generations, **SMALL)
    assert (again.values[1], sandbox.charges) == (first.values[1], 1)
    assert "reused, free" in again.text
    paid = await result(node_id, generations, **SMALL, fresh=True)
    assert paid.values[1] != first.values[1]
    assert sandbox.charges == 2
    assert "reused" not in first.text + paid.text


async def test_the_wish_to_pay_again_is_not_sent_to_the_service(generations: Generations, sandbox: Sandbox) -> None:
    await result("FluxSubmit", generations, **SMALL, fresh=True)
    assert "fresh" not in next(request.json for request in sandbox.requests if request.path == "/flux-imagine")


@pytest.mark.parametrize("node_id", ["FluxImagine", "FluxSubmit"])
def test_the_wish_to_pay_again_is_the_last_of_the_widgets_and_may_be_missing(node_id: str) -> None:
    last = [item for item in BY_ID[node_id].inputs if item.is_widget][-1]
    assert (last.name, last.label, last.default, last.optional, last.advanced) == (
        "fresh",
        "Pay again",
        False,
        True,
        True,
    )


async def test_a_failed_generation_is_an_error_and_never_a_picture(generations: Generations, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="fail", message="moderation"))
    with pytest.raises(GenerationFailed, match="Request Moderated"):
        await result("FluxImagine", generations, **SMALL)


async def test_account_tells_the_credits_that_are_left(generations: Generations) -> None:
    await result("FluxSubmit", generations, **SMALL)
    assert (await result("FluxAccount", generations)).values == (999.0,)


async def test_a_contact_sheet_has_a_cell_for_every_image_of_every_batch(generations: Generations) -> None:
    images = {"image_2": picture(0.5), "image_1": np.concatenate([picture(1.0), picture(0.75)])}
    (sheet,) = (await result("FluxContactSheet", generations, labels="a\nb\nc", title="T", cell=96, **images)).values
    assert sheet.dtype == np.float32
    reds = [value for value in (1.0, 0.75, 0.5) if np.isclose(sheet[..., 0], value, atol=0.01).sum() > 2000]
    assert reds == [1.0, 0.75, 0.5]


async def test_a_contact_sheet_keeps_the_shape_of_each_image(generations: Generations) -> None:
    (sheet,) = (
        await result(
            "FluxContactSheet", generations, columns=2, cell=96, image_1=picture(1.0, (96, 32)), image_2=picture(0.5)
        )
    ).values
    tall = np.isclose(sheet[0, :, :, 0], 1.0, atol=0.01)
    assert (tall.any(axis=1).sum(), tall.any(axis=0).sum()) == (96, 32)


async def test_a_contact_sheet_without_images_says_so(generations: Generations) -> None:
    with pytest.raises(InvalidRequest, match="no image"):
        await result("FluxContactSheet", generations)


def test_faults_of_known_inputs_are_found_without_running() -> None:
    check = BY_ID["FluxImagine"].check
    assert check is not None
    assert not check({"model": "flux-pro", "width": 512})
    assert not check({"model": "flux-pro", "raw": True, "steps": 0})
    found = check({"model": "flux-pro-1.1-ultra", "aspect_ratio": "wide", "width": 9, "prompt": ""})
    assert {fault.where for fault in found} == {"aspect_ratio", "width", "prompt"}
