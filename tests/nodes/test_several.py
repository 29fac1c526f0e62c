"""Several generations of one run: counted by seeds, by image prompts, and what becomes of those that fail."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest

from flux_nodes.core.errors import (
    GenerationFailed,
    InvalidRequest,
    KeyRefused,
    PartlyFailed,
    ServiceError,
    StillRunning,
)
from flux_nodes.core.generations import Generations
from flux_nodes.nodes import Context
from flux_nodes.sandbox import Fault
from tests.nodes.playing import BY_ID, SMALL, picture, played, result, sent, widgets

if TYPE_CHECKING:
    from flux_nodes.core import Settings
    from flux_nodes.core.images import Array
    from flux_nodes.sandbox import Sandbox
    from tests.delay import Delay

BOTH = pytest.mark.parametrize("node_id", ["FluxImagine", "FluxSubmit"])


def reds(*values: float) -> Array:
    return np.concatenate([picture(value) for value in values])


async def test_a_count_gives_a_batch_with_one_seed_after_another(generations: Generations, sandbox: Sandbox) -> None:
    made = await result("FluxImagine", generations, **SMALL, count=3)
    images, ids = made.values
    assert images.shape == (3, 256, 320, 3)
    assert [generation.seed for generation in made.generations] == [7, 8, 9]
    assert ids.split("\n") == [generation.id for generation in made.generations]
    for at, generation in enumerate(made.generations):
        assert np.array_equal(images[at], (await generations.array(generation))[0])
    assert made.text == f"3 images · flux-schnell 320×256 · 3 credits · {ids.replace(chr(10), ' ')}"
    assert sandbox.charges == 3


async def test_the_moves_of_all_parts_are_told(generations: Generations) -> None:
    moves, made = await played("FluxImagine", generations, **SMALL, count=3)
    assert {move.id for move in moves} == {generation.id for generation in made.generations}
    assert sum(move.status == "stored" for move in moves) == 3


async def test_a_larger_count_pays_only_for_what_is_new(generations: Generations, sandbox: Sandbox) -> None:
    await result("FluxImagine", generations, **SMALL, count=2)
    moves, more = await played("FluxImagine", generations, **SMALL, count=3)
    assert [generation.reused for generation in more.generations] == [True, True, False]
    assert sandbox.charges == 3
    assert "1 credit · 2 reused, free" in more.text
    assert {move.id for move in moves if move.reused} == {each.id for each in more.generations[:2]}


@pytest.mark.parametrize(
    ("first", "seeds"),
    [(2**32 - 2, [2**32 - 2, 2**32 - 1, 0]), (2**32 + 5, [2**32 + 5, 2**32 + 6, 2**32 + 7]), (-1, [-1, 0, 1])],
)
async def test_past_the_top_of_its_range_the_seed_goes_on_at_0(
    generations: Generations, sandbox: Sandbox, first: int, seeds: list[int]
) -> None:
    made = await result("FluxSubmit", generations, **SMALL | {"seed": first}, count=3)
    assert [generation.seed for generation in made.generations] == seeds
    assert {body["seed"] for body in sent(sandbox)} == set(seeds)


async def test_every_image_prompt_of_a_batch_gives_as_many_as_are_counted(
    generations: Generations, sandbox: Sandbox
) -> None:
    made = await result("FluxImagine", generations, **SMALL, image_prompt=reds(0, 1), count=2)
    assert [generation.seed for generation in made.generations] == [7, 8, 7, 8]
    prompts = [generation.request["image_prompt"] for generation in made.generations]
    assert prompts[0] == prompts[1] != prompts[2] == prompts[3]
    dark, _, red, _ = made.values[0]
    assert red[..., 0].mean() > dark[..., 0].mean()
    assert sandbox.charges == 4


async def test_the_same_image_prompt_twice_is_paid_once_and_given_twice(
    generations: Generations, sandbox: Sandbox
) -> None:
    made = await result("FluxImagine", generations, **SMALL, image_prompt=reds(1, 1))
    assert made.values[0].shape[0] == len(made.generations) == 2
    assert (sandbox.charges, made.text.count("g-")) == (1, 1)
    assert "1 credit ·" in made.text


@BOTH
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image_prompt": np.zeros((6, 64, 64, 3), np.float32), "count": 4}, "6 image prompts × 4"),
        ({"image_prompt": np.zeros((21, 64, 64, 3), np.float32)}, "21 generations"),
        ({"image_prompt": np.zeros((0, 64, 64, 3), np.float32)}, "without an image"),
        ({"count": 21}, "at most 20"),
        ({"count": 0}, "too small"),
    ],
)
async def test_too_many_or_none_are_refused_and_nothing_is_sent(
    generations: Generations, sandbox: Sandbox, node_id: str, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        await result(node_id, generations, **SMALL, **values)
    assert not sandbox.requests


async def test_one_that_is_moderated_does_not_lose_the_others_and_only_it_is_paid_again(
    generations: Generations, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="fail", message="moderation", skip=1))
    with pytest.raises(PartlyFailed) as failed:
        await result("FluxImagine", generations, **SMALL, count=3)
    (error,) = failed.value.errors
    assert isinstance(error, GenerationFailed)
    lost = await generations.get(error.generation_id)
    assert f"seed {lost.seed}: " in str(failed.value)
    assert str(failed.value).count(lost.id) == 1
    kept = [await generations.get(id_) for id_ in failed.value.stored]
    assert [generation.status for generation in kept] == ["stored", "stored"]
    assert all(generation.id in str(failed.value) for generation in kept)

    again = await result("FluxImagine", generations, **SMALL, count=3)
    assert [generation.seed for generation in again.generations] == [7, 8, 9]
    assert [generation.seed for generation in again.generations if not generation.reused] == [lost.seed]
    assert sandbox.charges == 4


async def test_one_that_was_not_accepted_does_not_lose_the_others(generations: Generations, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="refuse", status=400))
    with pytest.raises(PartlyFailed, match=r"1 of 4(.|\n)*image [12], seed [78]: ") as failed:
        await result("FluxImagine", generations, **SMALL, image_prompt=reds(0, 1), count=2)
    assert {(await generations.get(id_)).status for id_ in failed.value.stored} == {"stored"}
    assert (len(failed.value.stored), sandbox.charges) == (3, 3)


async def test_submit_names_what_was_accepted_where_some_was_not(generations: Generations, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="refuse", status=400))
    with pytest.raises(PartlyFailed) as failed:
        await result("FluxSubmit", generations, **SMALL, count=3)
    assert [error.unpaid for error in failed.value.errors if isinstance(error, ServiceError)] == [True]
    accepted = {generation.id for generation in await generations.unfinished()}
    assert accepted == set(failed.value.stored)
    assert len(accepted) == 2
    assert all(id_ in str(failed.value) for id_ in accepted)


async def test_parts_that_may_be_paid_are_all_named_when_every_answer_is_lost(
    generations: Generations, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="lost-after", times=None))
    with pytest.raises(PartlyFailed) as failed:
        await result("FluxImagine", generations, **SMALL, count=3)
    known = await generations.recent()
    assert [generation.status for generation in known] == ["unconfirmed"] * 3
    assert all(generation.id in str(failed.value) for generation in known)


async def test_a_refusal_of_every_part_is_said_once(generations: Generations, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="refuse", status=401, times=None))
    with pytest.raises(KeyRefused) as refused:
        await result("FluxImagine", generations, **SMALL, count=3)
    assert refused.value.unpaid


async def test_a_budget_that_ends_midway_keeps_what_it_paid_for(settings: Settings, sandbox: Sandbox) -> None:
    async with Generations.open(settings.model_copy(update={"budget": 2.0}), door="test") as frugal:
        with pytest.raises(PartlyFailed, match="budget") as failed:
            await result("FluxImagine", frugal, **SMALL, count=3)
        assert [(await frugal.get(id_)).status for id_ in failed.value.stored] == ["stored"] * 2
    assert sandbox.charges == 2


async def test_parts_that_run_too_long_are_all_named(settings: Settings, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="stuck", times=2))
    async with Generations.open(settings.model_copy(update={"timeout": 3.0}), door="test") as hurried:
        with pytest.raises(StillRunning) as late:
            await result("FluxImagine", hurried, **SMALL, count=3)
        owed = {generation.id for generation in await hurried.unfinished()}
    assert owed == set(late.value.generation_ids)
    assert len(owed) == 2


async def test_leaving_early_loses_nothing_and_the_next_run_collects_it_free(
    generations: Generations, sandbox: Sandbox
) -> None:
    node = BY_ID["FluxImagine"]
    values = widgets(node, **SMALL, count=3)
    async with aclosing(node.run(Context(generations), **values)) as steps:
        await anext(steps)
    assert sandbox.charges == 3
    assert len(await generations.recent()) == 3
    made = await result("FluxImagine", generations, **SMALL, count=3)
    assert all(generation.reused for generation in made.generations)
    assert sandbox.charges == 3


async def test_cancelled_while_it_sends_every_part_is_written_down(
    generations: Generations, sandbox: Sandbox, delay: Delay
) -> None:
    sandbox.inject(Fault(where="submit", kind="slow", seconds=0, times=3))
    with delay.held():
        run = asyncio.create_task(result("FluxSubmit", generations, **SMALL, count=3))
        with anyio.fail_after(60):
            while len(sandbox.tasks) < 3:
                await anyio.lowlevel.checkpoint()
        run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    known = await generations.recent()
    assert {generation.status for generation in known} == {"submitted"}
    assert {generation.task_id for generation in known} == {task.task_id for task in sandbox.tasks}
    assert len(known) == 3
