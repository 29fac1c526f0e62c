from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from flux_nodes.core.errors import (
    InvalidRequest,
    KeyRefused,
    PartlyFailed,
    ServiceError,
    ServiceRefused,
    UnknownGeneration,
)
from flux_nodes.core.generations import Generations
from flux_nodes.sandbox import Fault
from tests.nodes.playing import SMALL, played, result

if TYPE_CHECKING:
    from flux_nodes.core import Settings
    from flux_nodes.sandbox import Sandbox


async def test_submit_returns_at_once_and_fetch_collects(generations: Generations, sandbox: Sandbox) -> None:
    submitted = await result("FluxSubmit", generations, **SMALL)
    task, id_ = submitted.values
    assert task == id_
    assert submitted.text == f"flux-schnell submitted · 1 credit · {id_}"
    assert not [request for request in sandbox.requests if request.path.startswith("/fetch")]
    (by_task,) = (await result("FluxFetch", generations, task=task)).values
    (by_id,) = (await result("FluxFetch", generations, generation_id=f" {id_} ")).values
    assert np.array_equal(by_task, by_id)
    assert sandbox.charges == 1


async def test_several_that_were_submitted_come_as_one_task_and_are_fetched_as_a_batch(
    generations: Generations, sandbox: Sandbox
) -> None:
    submitted = await result("FluxSubmit", generations, **SMALL, count=3)
    task, ids = submitted.values
    assert task == ids == "\n".join(generation.id for generation in submitted.generations)
    fetched = await result("FluxFetch", generations, task=task)
    assert fetched.values[0].shape == (3, 256, 320, 3)
    assert [generation.seed for generation in fetched.generations] == [7, 8, 9]
    assert fetched.text.startswith("3 images · flux-schnell 320×256 · collected, free · g-")
    assert sandbox.charges == 3


@pytest.mark.parametrize("between", [" ", ",", ", ", "\n", "\r\n"])
async def test_ids_may_be_parted_by_spaces_commas_or_lines(generations: Generations, between: str) -> None:
    submitted = await result("FluxSubmit", generations, **SMALL, count=2)
    ids = [generation.id for generation in reversed(submitted.generations)]
    fetched = await result("FluxFetch", generations, generation_id=f"{between}{between.join(ids)}{between}")
    assert [generation.id for generation in fetched.generations] == ids


async def test_images_of_other_sizes_are_brought_to_the_first_ones_and_it_is_said(generations: Generations) -> None:
    wide = (await result("FluxSubmit", generations, **SMALL)).values[0]
    tall = (await result("FluxSubmit", generations, **SMALL | {"width": 256, "height": 384})).values[0]
    fetched = await result("FluxFetch", generations, generation_id=f"{tall} {wide}")
    assert fetched.values[0].shape == (2, 384, 256, 3)
    assert "in the first one's size, 256×384" in fetched.text
    assert "320×256" in fetched.text


async def test_fetch_tells_the_moves_and_collects_the_others_where_one_has_failed(
    generations: Generations, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="fail", message="moderation"))
    task, ids = (await result("FluxSubmit", generations, **SMALL, count=3)).values
    with pytest.raises(PartlyFailed, match="Request Moderated") as failed:
        await result("FluxFetch", generations, task=task)
    moves, _ = await played("FluxFetch", generations, generation_id=" ".join(failed.value.stored))
    assert {move.id for move in moves} == set(failed.value.stored) < set(ids.split())
    assert len(failed.value.stored) == 2


async def test_fetch_says_what_is_missing_or_unknown(generations: Generations) -> None:
    with pytest.raises(InvalidRequest, match="nothing is linked"):
        await result("FluxFetch", generations, generation_id=" , ")
    with pytest.raises(UnknownGeneration):
        await result("FluxFetch", generations, generation_id="g-nobody")


async def test_account_tells_the_credits_that_are_left(generations: Generations) -> None:
    await result("FluxSubmit", generations, **SMALL)
    assert (await result("FluxAccount", generations)).values == (999.0,)


async def test_credits_of_the_sandbox_are_said_to_be_pretended(settings: Settings) -> None:
    async with Generations.open(settings.pretended(settings.base_url), door="test") as pretending:
        assert "pretended" in (await result("FluxAccount", pretending)).text
        made = await result("FluxImagine", pretending, **SMALL)
    assert "sandbox, free" in made.text
    assert "credit" not in made.text


async def test_a_key_that_is_refused_while_it_waits_does_not_say_that_nothing_was_paid(
    generations: Generations, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="fetch", kind="refuse", status=401, times=None))
    with pytest.raises(KeyRefused) as refused:
        await result("FluxImagine", generations, **SMALL)
    assert not refused.value.unpaid


async def test_what_was_never_accepted_is_said_to_be_unpaid_when_it_is_fetched(
    generations: Generations, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="refuse", status=400))
    with pytest.raises(ServiceRefused):
        await result("FluxImagine", generations, **SMALL)
    (refused,) = await generations.recent()
    with pytest.raises(ServiceError, match="never accepted") as told:
        await result("FluxFetch", generations, generation_id=refused.id)
    assert told.value.unpaid
