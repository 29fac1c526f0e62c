from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.core import Generations
from flux_nodes.core.errors import BudgetReached, GenerationFailed, NothingSent, ServiceRefused, SubmitUnconfirmed
from flux_nodes.sandbox import Fault
from tests.core.test_generations import field
from tests.core.test_request import png

if TYPE_CHECKING:
    from flux_nodes.core import Settings
    from flux_nodes.sandbox import Sandbox


async def test_a_picture_that_is_stored_is_given_again_for_free_and_says_so(
    generations: Generations, sandbox: Sandbox
) -> None:
    first = await generations.wait((await generations.start(field(seed=1))).id)
    again = await generations.start(field(seed=1))
    assert (again.id, again.status, again.reused, first.reused) == (first.id, "stored", True, False)
    assert sandbox.charges == 1


async def test_a_stored_picture_is_given_again_even_without_a_key(settings: Settings) -> None:
    async with Generations.open(settings, door="test") as generations:
        first = await generations.wait((await generations.start(field(seed=1))).id)
    async with Generations.open(settings.model_copy(update={"api_key": None}), door="test") as generations:
        assert (await generations.start(field(seed=1))).id == first.id


async def test_a_picture_that_is_under_way_is_shared(generations: Generations, sandbox: Sandbox) -> None:
    first = await generations.start(field(seed=1))
    again = await generations.start(field(seed=1))
    assert (again.id, again.reused) == (first.id, True)
    assert (await generations.wait(again.id)).status == "stored"
    assert sandbox.charges == 1


async def test_two_doors_that_ask_at_once_pay_once(settings: Settings, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="slow", seconds=0.3, times=None))
    async with Generations.open(settings, door="one") as one, Generations.open(settings, door="two") as two:
        doors = [one, two] * 5
        started = await asyncio.gather(*(door.start(field(seed=1)) for door in doors))
        stored = await asyncio.gather(*(door.wait(each.id) for door, each in zip(doors, started, strict=True)))
    assert {each.id for each in stored} == {started[0].id}
    assert [each.reused for each in started].count(False) == 1
    assert sandbox.charges == 1


async def test_fresh_pays_again_and_the_newest_is_the_one_that_is_shared(
    generations: Generations, sandbox: Sandbox
) -> None:
    first = await generations.wait((await generations.start(field(seed=1))).id)
    second = await generations.wait((await generations.start(field(seed=1), fresh=True)).id)
    assert second.id != first.id
    assert (await generations.start(field(seed=1))).id == second.id
    assert sandbox.charges == 2


async def test_without_a_seed_every_request_is_new(generations: Generations, sandbox: Sandbox) -> None:
    ids = {(await generations.start(field())).id for _ in range(3)}
    assert len(ids) == 3
    assert sandbox.charges == 3


async def test_anything_that_changes_the_picture_is_another_request(generations: Generations, sandbox: Sandbox) -> None:
    changes: list[dict[str, Any]] = [{"prompt": "a rose"}, {"width": 320}, {"model": "flux-pro-1.1"}]
    variants = [{}, {"image_prompt": png()}, *changes]
    ids = {(await generations.start(field(seed=1, **variant))).id for variant in variants}
    assert len(ids) == sandbox.charges == len(variants)


async def test_the_same_request_at_another_service_is_another_picture(settings: Settings) -> None:
    ids = set()
    for service in ("one", "two"):
        named = settings.model_copy(update={"service": service})
        async with Generations.open(named, door="test") as generations:
            ids.add((await generations.start(field(seed=1))).id)
    assert len(ids) == 2


async def test_what_failed_is_not_given_again(generations: Generations, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="fail"))
    failed = await generations.start(field(seed=1))
    with pytest.raises(GenerationFailed):
        await generations.wait(failed.id)
    assert (await generations.start(field(seed=1))).id != failed.id


async def test_a_stored_picture_that_was_lost_from_the_disk_is_collected_again_for_free(
    generations: Generations, sandbox: Sandbox
) -> None:
    first = await generations.wait((await generations.start(field(seed=1))).id)
    file = generations.file(first)
    assert file is not None
    file.unlink()
    again = await generations.start(field(seed=1))
    assert (again.id, again.status, again.reused) == (first.id, "finished", True)
    assert (await generations.wait(again.id)).sha256 == first.sha256
    assert file.is_file()
    assert sandbox.charges == 1


async def test_what_nobody_knows_is_sent_again_only_when_asked_to_with_its_image_prompt(
    generations: Generations, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="lost-after"))
    with pytest.raises(SubmitUnconfirmed) as caught:
        await generations.start(field(seed=1, image_prompt=png()))
    assert caught.value.generation_id is not None
    again = await generations.again(caught.value.generation_id)
    assert (again.retry_of, again.reused) == (caught.value.generation_id, False)
    assert (await generations.wait(again.id)).status == "stored"
    first, second = [request.json for request in sandbox.requests if request.path == "/flux-imagine"]
    assert first == second
    assert sandbox.charges == 2


async def test_a_picture_that_may_be_paid_already_is_not_sent_by_merely_asking_for_it_again(
    generations: Generations, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="lost-after"))
    for _ in range(2):
        with pytest.raises(SubmitUnconfirmed) as caught:
            await generations.start(field(seed=1))
    assert len(await generations.recent()) == sandbox.charges == 1
    assert caught.value.generation_id is not None
    again = await generations.again(caught.value.generation_id)
    assert (await generations.start(field(seed=1))).id == again.id
    assert sandbox.charges == 2


async def test_what_is_stored_or_under_way_is_not_sent_again(generations: Generations, sandbox: Sandbox) -> None:
    started = await generations.start(field())
    with pytest.raises(NothingSent, match="nothing to send again"):
        await generations.again(started.id)
    await generations.wait(started.id)
    with pytest.raises(NothingSent, match="free"):
        await generations.again(started.id)
    assert sandbox.charges == 1


async def test_a_budget_stops_a_request_before_it_is_sent_and_says_the_sum(
    settings: Settings, sandbox: Sandbox
) -> None:
    async with Generations.open(settings.model_copy(update={"budget": 2.0}), door="test") as generations:
        for seed in (1, 2):
            await generations.start(field(seed=seed))
        with pytest.raises(BudgetReached, match="FLUX_NODES_BUDGET") as caught:
            await generations.start(field(seed=3))
        assert (caught.value.spent, caught.value.cost, caught.value.budget) == (2, 1, 2)
        assert (await generations.start(field(seed=1))).reused
        assert len(await generations.recent()) == 2
    assert sandbox.charges == 2


async def test_a_budget_holds_when_many_ask_at_once(settings: Settings, sandbox: Sandbox) -> None:
    limited = settings.model_copy(update={"budget": 3.0})
    async with Generations.open(limited, door="one") as one, Generations.open(limited, door="two") as two:
        asked = [door.start(field(seed=seed)) for seed in range(6) for door in (one, two)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(outcome, BudgetReached) for outcome in outcomes) >= 6
    assert sandbox.charges == 3


async def test_what_was_refused_does_not_count_as_spent(settings: Settings, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="credits", times=3))
    async with Generations.open(settings.model_copy(update={"budget": 1.0}), door="test") as generations:
        for _ in range(3):
            with pytest.raises(Exception, match="credits"):
                await generations.start(field())
        assert (await generations.start(field())).status == "submitted"


async def test_spending_is_told_by_day_and_door(settings: Settings) -> None:
    for door, count in (("terminal", 2), ("comfyui", 1)):
        async with Generations.open(settings, door=door) as generations:
            for seed in range(count):
                await generations.start(field(seed=seed, prompt=door))
            told = await generations.spending()
    assert {(item.door, item.generations, item.credits) for item in told} == {("terminal", 2, 2.0), ("comfyui", 1, 1.0)}
    assert len({item.day for item in told}) == 1


async def test_what_fails_afresh_does_not_take_away_what_is_stored(generations: Generations, sandbox: Sandbox) -> None:
    first = await generations.wait((await generations.start(field(seed=1))).id)
    sandbox.inject(Fault(where="submit", kind="refuse", status=400))
    with pytest.raises(ServiceRefused):
        await generations.start(field(seed=1), fresh=True)
    assert (await generations.start(field(seed=1))).id == first.id
    assert sandbox.charges == 1
