from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from flux_nodes.core.errors import BudgetReached, GenerationFailed, InvalidRequest, MissingKey
from flux_nodes.core.generations import Generations
from flux_nodes.nodes import Context
from flux_nodes.sandbox import Fault
from tests.nodes.playing import SMALL, picture, played, result, sent

if TYPE_CHECKING:
    from flux_nodes.core import Settings
    from flux_nodes.sandbox import Sandbox


async def test_imagine_gives_the_image_as_an_array_and_its_id(generations: Generations) -> None:
    image, id_ = (await result("FluxImagine", generations, **SMALL)).values
    assert (image.dtype, image.shape) == (np.float32, (1, 256, 320, 3))
    assert 0 <= image.min() < image.max() <= 1
    assert (await generations.get(id_)).status == "stored"


async def test_imagine_tells_each_move_and_at_the_end_what_was_made_and_paid(generations: Generations) -> None:
    moves, made = await played("FluxImagine", generations, **SMALL)
    (generation,) = made.generations
    assert {move.id for move in moves} == {generation.id} == {made.values[1]}
    assert (moves[0].status, moves[-1].status) == ("submitted", "stored")
    assert made.text == f"flux-schnell 320×256 · 1 credit · {generation.id}"


async def test_the_graph_that_asks_is_kept_with_the_generation(generations: Generations) -> None:
    graph = {"prompt": {"1": {"class_type": "FluxImagine"}}, "workflow": {"nodes": []}}
    made = await result("FluxImagine", Context(generations, graph=graph), **SMALL)
    assert await generations.graph(made.generations[0]) == graph


async def test_an_image_prompt_reaches_the_service_and_colours_the_result(
    generations: Generations, sandbox: Sandbox
) -> None:
    plain, _ = (await result("FluxImagine", generations, **SMALL)).values
    red, _ = (await result("FluxImagine", generations, **SMALL, image_prompt=picture(1.0))).values
    assert ["image_prompt" in body for body in sent(sandbox)] == [False, True]
    assert red[..., 0].mean() - red[..., 2].mean() > plain[..., 0].mean() - plain[..., 2].mean()


@pytest.mark.parametrize("node_id", ["FluxImagine", "FluxSubmit"])
async def test_the_same_picture_is_reused_and_said_to_be_free_unless_it_is_to_be_paid_again(
    generations: Generations, sandbox: Sandbox, node_id: str
) -> None:
    first = await result("FluxImagine", generations, **SMALL)
    moves, again = await played(node_id, generations, **SMALL)
    assert (again.values[1], sandbox.charges) == (first.values[1], 1)
    assert "reused, free" in again.text
    assert "credit" not in again.text
    assert moves
    assert all(move.reused for move in moves)
    paid = await result(node_id, generations, **SMALL, fresh=True)
    assert paid.values[1] != first.values[1]
    assert sandbox.charges == 2
    assert "reused" not in first.text + paid.text


@pytest.mark.parametrize("own", [{"fresh": True}, {"count": 1}])
async def test_what_is_for_this_side_is_not_sent_to_the_service(
    generations: Generations, sandbox: Sandbox, own: dict[str, object]
) -> None:
    await result("FluxSubmit", generations, **SMALL, **own)
    assert own.keys().isdisjoint(sent(sandbox)[0])


async def test_a_failed_generation_is_an_error_and_never_a_picture(generations: Generations, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="fail", message="moderation"))
    with pytest.raises(GenerationFailed, match="Request Moderated"):
        await result("FluxImagine", generations, **SMALL)


async def test_of_one_image_the_error_is_its_own(generations: Generations) -> None:
    with pytest.raises(InvalidRequest, match="width"):
        await result("FluxImagine", generations, **SMALL | {"width": 9})


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("change", "error"), [({"api_key": None}, MissingKey), ({"budget": 0.5}, BudgetReached)], ids=["key", "budget"]
)
async def test_what_stops_every_part_is_said_once(
    settings: Settings, sandbox: Sandbox, change: dict[str, object], error: type[Exception], count: int
) -> None:
    async with Generations.open(settings.model_copy(update=change), door="test") as stopped:
        with pytest.raises(error):
            await result("FluxImagine", stopped, **SMALL, count=count)
    assert sandbox.charges == 0
