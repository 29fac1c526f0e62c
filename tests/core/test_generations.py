from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest

from flux_nodes.core import Generation, Generations, ImagineRequest, Settings
from flux_nodes.core.errors import (
    GenerationFailed,
    ImageUnavailable,
    InvalidRequest,
    InvalidSettings,
    KeyRefused,
    MissingKey,
    OtherService,
    PartlyFailed,
    ServiceRefused,
    ServiceUnreachable,
    StillRunning,
    StorageError,
    SubmitUnconfirmed,
    UnknownGeneration,
)
from flux_nodes.core.images import encode
from flux_nodes.sandbox import Fault, Sandbox, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.delay import Delay


def field(**values: Any) -> ImagineRequest:
    return ImagineRequest(
        **{"model": "flux-schnell", "prompt": "a sunflower field", "width": 256, "height": 256, **values}
    )


def polls(sandbox: Sandbox) -> int:
    return sum(request.path.startswith("/fetch") for request in sandbox.requests)


async def accepted(sandbox: Sandbox) -> None:
    """Wait until the service has accepted a task; its thread knows no event of this loop."""
    with anyio.fail_after(60):
        while not sandbox.tasks:
            await anyio.lowlevel.checkpoint()


async def moves(generations: Generations, *ids: str, seconds: float | None = None) -> list[Generation]:
    return [moved async for moved in generations.follow(*ids, seconds=seconds)]


async def test_a_generation_is_started_followed_and_stored(generations: Generations, sandbox: Sandbox) -> None:
    started = await generations.start(field(seed=7, width=320))
    assert (started.status, started.door, started.model, started.seed) == ("submitted", "test", "flux-schnell", 7)
    assert started.task_id == sandbox.tasks[0].task_id
    stored = (await moves(generations, started.id))[-1]
    assert (stored.status, stored.percentage, stored.width, stored.height) == ("stored", 100, 320, 256)
    data = await generations.data(stored)
    assert hashlib.sha256(data).hexdigest() == stored.sha256
    assert len(data) == stored.size
    file = generations.file(stored)
    assert file is not None
    assert file.read_bytes() == data
    assert (await generations.array(stored)).shape == (1, 256, 320, 3)


async def test_the_bytes_are_kept_as_the_service_sent_them(generations: Generations) -> None:
    import httpx2

    stored = await generations.wait((await generations.start(field())).id)
    assert stored.image_url is not None
    async with httpx2.AsyncClient() as http:
        served = (await http.get(stored.image_url)).content
    assert await generations.data(stored) == served


async def test_the_same_request_with_a_seed_gives_the_same_picture(generations: Generations) -> None:
    first, second = [await generations.wait((await generations.start(field(seed=3), fresh=True)).id) for _ in range(2)]
    assert first.id != second.id
    assert first.sha256 == second.sha256


async def test_the_intent_is_written_before_the_service_is_asked(generations: Generations, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="refuse", status=400, body='{"errors":[{"msg":"not today"}]}'))
    with pytest.raises(ServiceRefused, match="not today"):
        await generations.start(field())
    (row,) = await generations.recent()
    assert row.status == "refused"
    assert "not today" in str(row.message)


async def test_a_lost_answer_leaves_an_unconfirmed_generation_that_is_not_sent_again(
    generations: Generations, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="lost-after"))
    with pytest.raises(SubmitUnconfirmed) as caught:
        await generations.start(field())
    (row,) = await generations.recent()
    assert (row.id, row.status) == (caught.value.generation_id, "unconfirmed")
    assert sandbox.charges == 1
    with pytest.raises(SubmitUnconfirmed):
        await generations.wait(row.id)
    assert sandbox.charges == 1


async def test_a_failed_generation_carries_the_services_own_words(generations: Generations, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="fail", message="moderation"))
    started = await generations.start(field())
    with pytest.raises(GenerationFailed, match="Request Moderated") as caught:
        await generations.wait(started.id)
    assert (caught.value.generation_id, caught.value.task_id) == (started.id, started.task_id)
    assert (await generations.get(started.id)).status == "failed"


async def test_one_that_fails_stops_none_of_the_others(generations: Generations, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="fail", match="thistle"))
    started = [await generations.start(field(prompt=prompt)) for prompt in ("a rose", "a thistle", "a daisy")]
    last = {moved.id: moved.status for moved in await moves(generations, *(one.id for one in started))}
    assert list(last.values()) == ["stored", "failed", "stored"]


async def test_the_deadline_names_what_still_runs_and_it_can_be_collected_later(
    generations: Generations, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="stuck", match="slow"))
    slow = await generations.start(field(prompt="a slow river"))
    quick = await generations.start(field(prompt="a quick brook"))
    with pytest.raises(StillRunning, match="free") as caught:
        await moves(generations, slow.id, quick.id, seconds=3)
    assert caught.value.generation_ids == (slow.id,)
    assert isinstance(caught.value, TimeoutError)
    assert (await generations.get(quick.id)).status == "stored"
    assert not (await generations.get(slow.id)).settled


async def test_what_one_door_started_another_collects(settings: Settings) -> None:
    async with Generations.open(settings, door="terminal") as terminal:
        started = await terminal.start(field())
    async with Generations.open(settings, door="assistant") as assistant:
        assert (await assistant.get(started.id)).door == "terminal"
        assert started.task_id is not None
        assert (await assistant.get(started.task_id)).id == started.id
        assert (await assistant.wait(started.id)).status == "stored"


async def test_following_what_is_stored_asks_nobody(generations: Generations, sandbox: Sandbox) -> None:
    stored = await generations.wait((await generations.start(field())).id)
    before = len(sandbox.requests)
    assert [moved.status for moved in await moves(generations, stored.id, stored.id)] == ["stored"]
    assert (await generations.refresh(stored.id)).status == "stored"
    assert len(sandbox.requests) == before


async def test_a_refresh_asks_once_and_collects_what_is_ready(generations: Generations, sandbox: Sandbox) -> None:
    started = await generations.start(field())
    assert (await generations.refresh(started.id)).status == "stored"
    assert polls(sandbox) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(where="fetch", kind="refuse", status=503, times=2),
        Fault(where="fetch", kind="refuse", status=429, retry_after=0, times=2),
        Fault(where="fetch", kind="refuse", status=500),
        Fault(where="fetch", kind="html"),
        Fault(where="fetch", kind="empty"),
        Fault(where="fetch", kind="not-json"),
        Fault(where="fetch", kind="reset"),
        Fault(where="fetch", kind="lost-after"),
        Fault(where="image", kind="refuse", status=503),
        Fault(where="image", kind="missing", times=2),
        Fault(where="image", kind="truncated"),
        Fault(where="image", kind="not-image"),
        Fault(where="image", kind="reset"),
        Fault(where="image", kind="html"),
        Fault(where="image", kind="empty"),
        Fault(where="image", kind="lost-before"),
    ],
    ids=lambda fault: f"{fault.where} {fault.kind} {fault.status or ''}",
)
async def test_polling_and_downloading_ride_out_what_passes(
    generations: Generations, sandbox: Sandbox, fault: Fault
) -> None:
    sandbox.inject(fault)
    stored = await generations.wait((await generations.start(field(seed=1))).id)
    assert stored.status == "stored"
    assert sandbox.charges == 1
    assert sandbox.faults == []


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (Fault(where="image", kind="endless", size=4 * 2**20, times=None), "larger"),
        (Fault(where="image", kind="redirect", location="file:///etc/passwd", times=None), "allowed"),
        (Fault(where="image", kind="refuse", status=410, times=None), "410"),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
async def test_an_image_that_cannot_be_had_keeps_the_paid_generation(
    settings: Settings, sandbox: Sandbox, fault: Fault, word: str
) -> None:
    sandbox.inject(fault)
    async with Generations.open(settings.model_copy(update={"max_image_mib": 1}), door="test") as generations:
        started = await generations.start(field())
        with pytest.raises(ImageUnavailable, match=word) as caught:
            await generations.wait(started.id)
        assert caught.value.generation_id == started.id
        assert (await generations.get(started.id)).status == "finished"
        sandbox.clear()
        assert (await generations.wait(started.id)).status == "stored"
    assert sandbox.charges == 1


async def test_many_generations_are_followed_with_few_requests(generations: Generations, sandbox: Sandbox) -> None:
    started = [await generations.start(field(seed=seed)) for seed in range(30)]
    last = {moved.id: moved.status for moved in await moves(generations, *(one.id for one in started))}
    assert set(last.values()) == {"stored"}
    assert len(last) == 30
    assert polls(sandbox) <= 4


async def test_when_the_service_refuses_a_batch_each_task_is_asked_for_alone(
    generations: Generations, sandbox: Sandbox
) -> None:
    started = [await generations.start(field(seed=seed)) for seed in range(3)]
    sandbox.inject(Fault(where="fetch-many", kind="refuse", status=400, times=None))
    last = {moved.id: moved.status for moved in await moves(generations, *(one.id for one in started))}
    assert set(last.values()) == {"stored"}


async def test_an_unknown_task_is_told_and_does_not_hide_its_neighbour(
    generations: Generations, settings: Settings
) -> None:
    elsewhere = Sandbox(seconds=0)
    with serving(elsewhere) as server:
        other = settings.model_copy(update={"base_url": server.url, "service": settings.base_url})
        async with Generations.open(other, door="test") as there:
            foreign = await there.start(field())
    elsewhere.close()
    own = await generations.start(field())
    with pytest.raises(ServiceRefused, match="not found"):
        await moves(generations, foreign.id, own.id)
    assert (await generations.get(own.id)).status == "stored"


async def test_a_generation_of_another_service_is_not_asked_for_where_nobody_knows_it(
    settings: Settings, sandbox: Sandbox
) -> None:
    async with Generations.open(settings.model_copy(update={"service": "elsewhere"}), door="test") as there:
        foreign = await there.start(field())
        stored = await there.wait((await there.start(field())).id)
    async with Generations.open(settings, door="test") as here:
        before = len(sandbox.requests)
        for ask in (here.wait, here.refresh):
            with pytest.raises(OtherService, match="elsewhere"):
                await ask(foreign.id)
        assert (await here.wait(stored.id)).status == "stored"
        assert len(sandbox.requests) == before


async def test_a_cancellation_that_comes_together_with_news_is_not_lost(
    generations: Generations, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="stuck", times=None))
    started = await generations.start(field())

    async def follow() -> None:
        async for moved in generations.follow(started.id):
            if moved.status == "running":
                asyncio.current_task().cancel()  # type: ignore[union-attr]  # there is one: this

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(follow(), 60)


async def test_without_a_key_nothing_is_written_down_and_nothing_is_paid(settings: Settings, sandbox: Sandbox) -> None:
    async with Generations.open(settings.model_copy(update={"api_key": None}), door="test") as generations:
        with pytest.raises(MissingKey):
            await generations.start(field())
        assert await generations.recent() == []
    assert sandbox.charges == 0


async def test_a_key_that_stops_being_valid_ends_the_wait_at_once(settings: Settings, sandbox: Sandbox) -> None:
    async with Generations.open(settings, door="test") as generations:
        started = await generations.start(field())
        sandbox.inject(Fault(where="fetch", kind="refuse", status=401, times=None))
        with pytest.raises(KeyRefused):
            await generations.wait(started.id)


async def test_being_cancelled_while_submitting_does_not_lose_the_task(
    generations: Generations, sandbox: Sandbox, delay: Delay
) -> None:
    sandbox.inject(Fault(where="submit", kind="slow", seconds=0))
    with delay.held():
        work = asyncio.ensure_future(generations.start(field()))
        await accepted(sandbox)
        work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    (row,) = await generations.recent()
    assert (row.status, row.task_id) == ("submitted", sandbox.tasks[0].task_id)
    assert (await generations.wait(row.id)).status == "stored"


async def test_an_unknown_id_is_said_to_be_unknown(generations: Generations) -> None:
    for ask in (generations.get, generations.refresh, generations.wait):
        with pytest.raises(UnknownGeneration, match="g-nothing"):
            await ask("g-nothing")


async def test_the_newest_are_listed_first_and_by_status(generations: Generations) -> None:
    ids = [(await generations.start(field(seed=seed))).id for seed in range(4)]
    await generations.wait(ids[1])
    assert [row.id for row in await generations.recent()] == ids[::-1]
    assert [row.id for row in await generations.recent(most=2)] == ids[:1:-1]
    assert [row.id for row in await generations.recent(statuses=["stored"])] == [ids[1]]


@pytest.mark.parametrize(
    ("url_of", "error"),
    [
        (lambda _: "nonsense", InvalidSettings),
        (lambda _: "nodatabase://x", InvalidSettings),
        (lambda folder: f"sqlite:///{folder}", StorageError),
    ],
    ids=["no url", "no driver", "a folder"],
)
async def test_a_journal_that_cannot_be_used_is_said_before_anything_is_sent(
    settings: Settings, sandbox: Sandbox, tmp_path: Path, url_of: Callable[[Path], str], error: type[Exception]
) -> None:
    broken = Settings.model_validate({**dict(settings), "journal": url_of(tmp_path)})
    with pytest.raises(error):
        async with Generations.open(broken, door="test"):
            pytest.fail("it opened")
    assert sandbox.requests == []


async def test_an_image_prompt_and_a_webhook_secret_are_not_in_the_journal(
    generations: Generations, settings: Settings
) -> None:
    from tests.core.test_request import png

    await generations.start(field(image_prompt=png(), webhook_url="http://127.0.0.1:9/x", webhook_secret="hush-hush"))
    (row,) = await generations.recent()
    assert str(row.request["image_prompt"]).startswith("sha256:")
    written = b"".join(file.read_bytes() for file in settings.home.rglob("journal*"))
    assert b"hush-hush" not in written
    assert b"iVBOR" not in written


async def test_being_cancelled_while_it_waits_to_try_again_ends_the_submit_at_once_and_unsent(
    settings: Settings, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="refuse", status=429, retry_after=50, times=None))
    async with Generations.open(settings, door="test") as generations:
        work = asyncio.ensure_future(generations.start(field()))
        while not sandbox.requests:  # noqa: ASYNC110 - it arrives in the server's thread, which knows no event of this loop
            await asyncio.sleep(0)
        work.cancel()
        done, _ = await asyncio.wait([work], timeout=40)  # less than the service's wish
        assert done
        assert work.cancelled()
        assert [row.status for row in await generations.recent()] == ["refused"]
    assert sandbox.charges == 0


async def test_a_service_that_was_never_heard_is_said_to_be_unreachable_and_not_to_be_working(
    settings: Settings, sandbox: Sandbox
) -> None:
    async with Generations.open(settings, door="test") as generations:
        started = await generations.start(field())
    with serving(sandbox) as server:
        gone = server.url
    moved = settings.model_copy(update={"base_url": gone, "service": settings.service_name})
    async with Generations.open(moved, door="test") as generations:
        with pytest.raises(ServiceUnreachable, match=f"wait {started.id}"):
            await generations.wait(started.id, seconds=2)
    async with Generations.open(settings, door="test") as generations:
        assert (await generations.wait(started.id)).status == "stored"


GRAPH = {"prompt": {"1": {"class_type": "FluxImagine", "inputs": {"prompt": "grün"}}}, "workflow": {"nodes": []}}


async def test_the_graph_that_asked_is_kept_with_the_generation(generations: Generations) -> None:
    bare = await generations.start(field(seed=1))
    asked = await generations.start(field(seed=2), graph=GRAPH)
    assert await generations.graph(bare) is None
    assert await generations.graph(await generations.get(asked.id)) == GRAPH


async def test_a_generation_that_is_sent_again_keeps_its_graph(generations: Generations, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="fail"))
    failed = await generations.start(field(seed=3), graph=GRAPH)
    await moves(generations, failed.id)
    again = await generations.again(failed.id)
    assert again.id != failed.id
    assert await generations.graph(again) == GRAPH


async def test_an_image_prompt_is_kept_and_given_back_by_its_digest_alone(generations: Generations) -> None:
    data = encode(np.zeros((64, 64, 3), np.float32))
    started = await generations.start(field(image_prompt=data))
    digest = str(started.request["image_prompt"]).removeprefix("sha256:")
    assert await generations.kept_image(digest) == data
    with pytest.raises(StorageError):
        await generations.kept_image("0" * 64)
    for outside in ("", "../" * 10 + "etc/passwd", "0" * 63 + "/", "0" * 64 + "\n", "A" * 64):
        with pytest.raises(InvalidRequest, match="SHA-256"):
            await generations.kept_image(outside)


def test_several_that_failed_together_name_what_is_stored_and_every_reason() -> None:
    failures = {"seed 8": StorageError("The disk is full."), "seed 9": ServiceUnreachable("Nobody answers.")}
    error = PartlyFailed(failures, stored=["g-one", "g-two"])
    assert error.stored == ("g-one", "g-two")
    for words in (
        "2 of 4",
        "g-one g-two",
        "seed 8: The disk is full.",
        "seed 9: Nobody answers.",
        "only what is missing",
    ):
        assert words in str(error)
    assert "2 of 2" in str(PartlyFailed(failures, stored=[]))


async def test_a_scope_that_is_cancelled_while_a_request_is_sent_does_not_lose_what_was_paid(
    generations: Generations, sandbox: Sandbox, delay: Delay
) -> None:
    sandbox.inject(Fault(where="submit", kind="slow", seconds=0))

    async def leave(scope: anyio.CancelScope) -> None:
        with delay.held():
            await accepted(sandbox)
            scope.cancel()

    with anyio.CancelScope() as scope:
        leaving = asyncio.ensure_future(leave(scope))
        await generations.start(field(seed=5))
    await leaving
    assert scope.cancelled_caught
    (known,) = await generations.recent()
    assert (known.status, known.task_id) == ("submitted", sandbox.tasks[0].task_id)


async def test_a_graph_with_half_a_character_in_a_note_is_kept_as_it_is(generations: Generations) -> None:
    graph = {"workflow": {"nodes": [{"type": "Note", "widgets_values": ["cut inside \ud83d"]}]}}
    started = await generations.start(field(), graph=graph)
    assert await generations.graph(started) == graph
