"""A lost generation is sent again once; and a task id that a person has found brings it home."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from flux_nodes.core import Generations
from flux_nodes.core.errors import (
    KeyRefused,
    NotConfirmed,
    NothingSent,
    ServiceRefused,
    ServiceUnreachable,
    SubmitUnconfirmed,
    UnknownGeneration,
)
from flux_nodes.core.journal import Journal
from flux_nodes.sandbox import Fault, Sandbox, serving
from tests.core.test_generations import field
from tests.core.test_journal import intent

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from flux_nodes.core import Settings


async def lost(generations: Generations, sandbox: Sandbox, *, seed: int | None = 1, fresh: bool = False) -> str:
    """Lose the answer to a submit that was accepted, and return the generation's id."""
    sandbox.inject(Fault(where="submit", kind="lost-after"))
    with pytest.raises(SubmitUnconfirmed) as caught:
        await generations.start(field(seed=seed), fresh=fresh)
    return str(caught.value.generation_id)


@pytest.mark.parametrize("seed", [1, None])
async def test_what_is_sent_again_three_times_is_paid_once(
    generations: Generations, sandbox: Sandbox, seed: int | None
) -> None:
    id_ = await lost(generations, sandbox, seed=seed)
    again = [await generations.again(id_) for _ in range(3)]
    assert len({one.id for one in again}) == 1
    assert [one.reused for one in again] == [False, True, True]
    assert sandbox.charges == 2
    found = await generations.sent_again(id_)
    assert found is not None
    assert found.id == again[0].id
    assert (await generations.again(id_, fresh=True)).retry_of == id_
    assert sandbox.charges == 3


@pytest.mark.parametrize("seed", [1, None])
async def test_two_programs_that_send_again_at_once_pay_once(
    settings: Settings, sandbox: Sandbox, seed: int | None
) -> None:
    async with Generations.open(settings, door="one") as one, Generations.open(settings, door="two") as two:
        id_ = await lost(one, sandbox, seed=seed)
        sandbox.inject(Fault(where="submit", kind="slow", seconds=0.2, times=None))
        again = await asyncio.gather(*(door.again(id_) for door in [one, two] * 4))
        assert len({each.id for each in again}) == 1
        assert sorted(each.reused for each in again) == [False, *[True] * 7]
        assert (await two.wait(again[0].id)).status == "stored"
    assert sandbox.charges == 2


async def test_what_was_refused_when_it_was_sent_again_may_be_sent_once_more(
    generations: Generations, sandbox: Sandbox
) -> None:
    id_ = await lost(generations, sandbox)
    sandbox.inject(Fault(where="submit", kind="refuse", status=400))
    with pytest.raises(ServiceRefused):
        await generations.again(id_)
    assert await generations.sent_again(id_) is None
    assert not (await generations.again(id_)).reused
    assert sandbox.charges == 2


@pytest.mark.parametrize("fresh", [False, True])
async def test_what_may_be_paid_is_held_back_also_after_sending_it_again_was_refused(
    generations: Generations, sandbox: Sandbox, fresh: bool
) -> None:
    id_ = await lost(generations, sandbox)
    sandbox.inject(Fault(where="submit", kind="refuse", status=400))
    with pytest.raises(ServiceRefused):
        await (generations.start(field(seed=1), fresh=True) if fresh else generations.again(id_))
    with pytest.raises(SubmitUnconfirmed, match=id_):
        await generations.start(field(seed=1))
    assert sandbox.charges == 1


@pytest.mark.parametrize("kind", ["lost-after", "fail"])
async def test_what_was_sent_again_and_lost_too_is_named_and_not_paid_a_third_time(
    generations: Generations, sandbox: Sandbox, kind: str
) -> None:
    id_ = await lost(generations, sandbox)
    sandbox.inject(Fault(where="submit", kind="lost-after" if kind == "lost-after" else "fail"))
    with pytest.raises(Exception, match=r"lost|failed|no answer|Disconnected|disconnected"):
        await generations.wait((await generations.again(id_)).id)
    (second,) = [row.id for row in await generations.recent() if row.retry_of == id_]
    for _ in range(2):
        with pytest.raises(NothingSent, match=f"flux-nodes retry {second}.*--fresh"):
            await generations.again(id_)
    assert sandbox.charges == 2
    third = await generations.again(second)
    assert (third.retry_of, third.reused) == (second, False)
    assert (await generations.again(id_)).id == third.id
    assert sandbox.charges == 3


async def test_a_picture_that_was_asked_for_afresh_since_is_not_sent_again(
    generations: Generations, sandbox: Sandbox
) -> None:
    id_ = await lost(generations, sandbox)
    fresh = await generations.start(field(seed=1), fresh=True)
    again = await generations.again(id_)
    assert (again.id, again.reused) == (fresh.id, True)
    assert sandbox.charges == 2


async def test_what_a_webhook_has_settled_meanwhile_is_not_sent_again(settings: Settings, sandbox: Sandbox) -> None:
    async with Generations.open(settings, door="one") as generations:
        id_ = await lost(generations, sandbox)
        known = await generations.get(id_)
        await generations.confirm(id_, sandbox.tasks[0].task_id)
        found = await generations._sender.again(known, fresh=False)  # between its look and its sending
    assert (found.id, found.reused) == (id_, True)
    assert sandbox.charges == 1


async def test_what_a_claim_of_an_older_version_held_is_given_up_when_it_is_sent_again(
    generations: Generations, sandbox: Sandbox, settings: Settings
) -> None:
    from flux_nodes.core.generation import claim_on

    id_ = await lost(generations, sandbox)
    older = claim_on(settings.service_name, field(seed=1).fingerprints[1])
    with closing(sqlite3.connect(settings.home / "journal.sqlite3")) as connection:
        connection.execute("UPDATE generations SET claim = ?", (older,))
        connection.commit()
    again = await generations.again(id_)
    assert (await generations.start(field(seed=1))).id == again.id


async def test_a_task_id_that_was_found_brings_a_lost_generation_home_for_free(
    generations: Generations, sandbox: Sandbox
) -> None:
    id_ = await lost(generations, sandbox)
    task_id = sandbox.tasks[0].task_id
    for _ in range(2):
        confirmed = await generations.confirm_task(id_, f" {task_id}\n")
        assert (confirmed.status, confirmed.task_id, confirmed.message) == ("submitted", task_id, None)
    assert (await generations.wait(id_)).status == "stored"
    assert (await generations.confirm_task(id_, task_id)).status == "stored"
    assert sandbox.charges == 1


async def test_a_task_id_that_is_there_is_never_overwritten(generations: Generations, sandbox: Sandbox) -> None:
    other = await generations.start(field(seed=2))
    id_ = await lost(generations, sandbox)
    own = sandbox.tasks[1].task_id
    with pytest.raises(NotConfirmed, match=f"that of generation {other.id}"):
        await generations.confirm_task(id_, str(other.task_id))
    with pytest.raises(NotConfirmed, match="keeps it"):
        await generations.confirm_task(other.id, own)
    assert [(await generations.get(one)).task_id for one in (id_, other.id)] == [None, other.task_id]


@pytest.mark.parametrize("bad", ["", "  ", "two words", "line\nbreak", "nul\0", "half \ud83d", "x" * 256])
async def test_what_is_no_task_id_is_refused_without_asking(
    generations: Generations, sandbox: Sandbox, bad: str
) -> None:
    id_ = await lost(generations, sandbox)
    asked = len(sandbox.requests)
    with pytest.raises(NotConfirmed, match="no task id"):
        await generations.confirm_task(id_, bad)
    assert len(sandbox.requests) == asked


async def test_a_task_that_the_service_does_not_know_changes_nothing(
    generations: Generations, sandbox: Sandbox
) -> None:
    id_ = await lost(generations, sandbox)
    with pytest.raises(NotConfirmed, match="does not know the task"):
        await generations.confirm_task(id_, "00000000-0000-4000-8000-000000000000")
    assert (await generations.get(id_)).status == "unconfirmed"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("{}", NotConfirmed),
        ('{"message": "not found"}', NotConfirmed),
        ('{"task_id": "another", "status": "finished"}', NotConfirmed),
        ('{"errors": [{"msg": "Task not found"}]}', NotConfirmed),
        ("[]", ServiceUnreachable),
    ],
)
async def test_an_answer_that_says_nothing_of_the_task_confirms_nothing(
    settings: Settings, body: str, error: type[Exception]
) -> None:
    class Says(Sandbox):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope.get("path") != "/fetch":
                await super().__call__(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body.encode()})

    sandbox = Says(seconds=0)
    with serving(sandbox) as server:
        there = settings.model_copy(update={"base_url": server.url})
        async with Generations.open(there, door="test") as generations:
            id_ = await lost(generations, sandbox)
            with pytest.raises(error):
                await generations.confirm_task(id_, sandbox.tasks[0].task_id)
            assert (await generations.get(id_)).task_id is None
    sandbox.close()


async def test_what_was_never_accepted_has_no_task_to_confirm(generations: Generations, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="refuse", status=400))
    with pytest.raises(ServiceRefused):
        await generations.start(field(seed=1))
    (refused,) = await generations.recent()
    with pytest.raises(NotConfirmed, match="never accepted"):
        await generations.confirm_task(refused.id, "a-task")
    with pytest.raises(UnknownGeneration):
        await generations.confirm_task("g-nobody00", "a-task")


async def test_a_key_that_is_refused_confirms_nothing(generations: Generations, sandbox: Sandbox) -> None:
    id_ = await lost(generations, sandbox)
    sandbox.inject(Fault(where="fetch", kind="refuse", status=401))
    with pytest.raises(KeyRefused):
        await generations.confirm_task(id_, sandbox.tasks[0].task_id)
    assert (await generations.get(id_)).task_id is None


@pytest.mark.parametrize("word", ["refused", "submitted"])
def test_the_senders_own_word_wins_over_what_another_program_made_of_its_silence(tmp_path: Path, word: str) -> None:
    journal = Journal(f"sqlite:///{tmp_path / 'journal.sqlite3'}")
    asked = journal.intend(intent(seed=1))
    journal.unconfirmed(asked.id, "another program takes it for abandoned")
    if word == "refused":
        settled = journal.refused(asked.id, "not today")
        assert (settled.status, settled.credits, settled.message) == ("refused", 0.0, "not today")
        assert not journal.intend(intent(seed=1)).reused
    else:
        settled = journal.submitted(asked.id, "task")
        assert (settled.status, settled.credits, settled.message) == ("submitted", 1.0, None)
    assert journal.unconfirmed(asked.id, "late").status == word
    journal.close()


async def test_a_refusal_after_another_program_gave_the_intent_up_is_heard(
    settings: Settings, sandbox: Sandbox
) -> None:
    async with Generations.open(settings, door="slept") as slept, Generations.open(settings, door="other") as other:
        asked = await slept.intend(field(seed=1))
        with closing(sqlite3.connect(settings.home / "journal.sqlite3")) as connection:
            connection.execute("UPDATE generations SET created_at = '2026-01-01T00:00:00.000000+00:00'")
            connection.commit()
        assert (await other.refresh(asked.id)).status == "unconfirmed"
        sandbox.inject(Fault(where="submit", kind="refuse", status=400))
        with pytest.raises(ServiceRefused):
            await slept.send(asked, field(seed=1))
        known = await other.get(asked.id)
    assert (known.status, known.credits) == ("refused", 0.0)
