"""The journal in a real PostgreSQL, shared by several programs."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.core import Generations, Settings
from flux_nodes.core.errors import (
    BudgetReached,
    GenerationFailed,
    InvalidSettings,
    NotConfirmed,
    StorageError,
    SubmitUnconfirmed,
)
from flux_nodes.core.images import ImageFacts
from flux_nodes.core.journal import Intent, Journal
from flux_nodes.core.request import ImagineRequest
from flux_nodes.sandbox import Fault
from tests.core.test_generations import field
from tests.core.test_journal import VERSION_1

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flux_nodes.sandbox import Sandbox
    from tests.hosts.postgresql import Postgresql


@pytest.fixture
def database(postgresql: Postgresql) -> str:
    return postgresql.new_database()


@pytest.fixture
def journal(postgresql: Postgresql, database: str) -> Iterator[Journal]:
    opened = Journal(postgresql.url(database))
    yield opened
    opened.close()


def intent(seed: int | None = None, *, budget: float | None = None) -> Intent:
    request = ImagineRequest(model="flux-dev", prompt="a field", seed=seed)
    return Intent(request=request, door="test", service="sandbox", credits=1.0, budget=budget)


WORK = """
import sys
from flux_nodes.core.journal import Intent, Journal
from flux_nodes.core.request import ImagineRequest

def intend(prompt, seed):
    request = ImagineRequest(model="flux-dev", prompt=prompt, seed=seed)
    return journal.intend(Intent(request=request, door="test", service="sandbox", credits=1.0))

journal = Journal(sys.argv[1])
for seed in range(20):
    own = intend(sys.argv[2], seed)
    journal.submitted(own.id, f"{sys.argv[2]}-{seed}")
    print(intend("shared", seed).id)
journal.close()
"""


def test_several_programs_open_a_new_journal_at_once_and_agree_on_who_holds_a_picture(
    postgresql: Postgresql, database: str
) -> None:
    command = [sys.executable, "-W", "error", "-c", WORK, postgresql.url(database)]
    programs = [
        subprocess.Popen([*command, f"p{number}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(4)
    ]
    told = [program.communicate(timeout=60) for program in programs]
    assert [program.returncode for program in programs] == [0] * 4, told
    shared = [out.split() for out, _ in told]
    assert all(ids == shared[0] for ids in shared)
    journal = Journal(postgresql.url(database))
    assert len(journal.recent(most=None)) == 4 * 20 + 20
    assert len(journal.recent(most=None, statuses=["submitted"])) == 4 * 20
    journal.close()


def test_a_budget_holds_when_many_ask_at_once(journal: Journal) -> None:
    def ask(seed: int) -> bool:
        try:
            return not journal.intend(intent(seed, budget=5.0)).reused
        except BudgetReached:
            return False

    with ThreadPoolExecutor(12) as crowd:
        assert sum(crowd.map(ask, range(24))) == 5
    assert [(item.generations, item.credits) for item in journal.spending()] == [(5, 5.0)]


def test_a_life_moves_forward_only(journal: Journal) -> None:
    id_ = journal.intend(intent(seed=1)).id
    assert journal.submitted(id_, "task").status == "submitted"
    assert journal.running(id_, 40).percentage == 40
    assert journal.finished(id_, "https://images.example/a.png").status == "finished"
    stored = journal.stored(id_, "0" * 64, 9, ImageFacts(media_type="image/png", width=8, height=8))
    for late in (journal.running(id_, 50), journal.failed(id_, "late"), journal.get("task")):
        assert late == stored
    assert journal.intend(intent(seed=1)).reused


@pytest.mark.parametrize("programs", [1, 4])
def test_a_journal_of_version_1_is_brought_up_to_date_once(
    postgresql: Postgresql, database: str, programs: int
) -> None:
    postgresql.run(VERSION_1, database=database)
    with ThreadPoolExecutor(programs) as crowd:
        journals = list(crowd.map(Journal, [postgresql.url(database)] * programs))
    old = journals[0].get("g-old000001")
    assert (old.task_id, old.prompt, old.credits) == ("task-1", "a field", 1.0)
    assert journals[-1].running(old.id, 40).percentage == 40
    assert not journals[-1].intend(intent(seed=1)).reused
    for journal in journals:
        journal.close()


def test_a_journal_of_a_newer_version_is_refused(postgresql: Postgresql, database: str, journal: Journal) -> None:
    journal.close()
    postgresql.run("UPDATE flux_nodes_schema SET version = version + 1", database=database)
    with pytest.raises(StorageError, match="newer"):
        Journal(postgresql.url(database))


def test_a_database_that_is_not_there_is_said_to_be_so_without_the_password(postgresql: Postgresql) -> None:
    url = postgresql.url("nowhere").replace("flux@", "flux:hush-hush@")
    with pytest.raises((StorageError, InvalidSettings)) as caught:
        Journal(url)
    assert "hush" not in str(caught.value)


async def test_two_doors_share_one_generation_and_its_image(
    postgresql: Postgresql, database: str, settings: Settings, sandbox: Sandbox
) -> None:
    there = Settings.model_validate({**dict(settings), "journal": postgresql.url(database)})
    async with Generations.open(there, door="one") as one, Generations.open(there, door="two") as two:
        started = await one.start(field(seed=1))
        assert (await two.start(field(seed=1))).id == started.id
        stored = await two.wait(started.id)
        assert await one.data(stored) == await two.data(stored)
        assert [item.door for item in await one.spending()] == ["one"]
    assert sandbox.charges == 1


async def test_a_failure_whose_words_hold_half_an_emoji_and_nul_is_recorded(
    postgresql: Postgresql, database: str, settings: Settings, sandbox: Sandbox
) -> None:
    there = Settings.model_validate({**dict(settings), "journal": postgresql.url(database)})
    sandbox.inject(Fault(where="submit", kind="fail", message="too bold"))
    sandbox.inject(Fault(where="fetch", kind="half-emoji", times=None))
    async with Generations.open(there, door="test") as generations:
        started = await generations.start(field(seed=1))
        with pytest.raises(GenerationFailed, match="too bold"):
            await generations.wait(started.id)
        assert (await generations.get(started.id)).message == "too bold\ufffd\ufffd"


@pytest.mark.parametrize("kind", ["half-emoji", "long-id"])
async def test_a_task_id_that_cannot_be_stored_leaves_an_unconfirmed_generation(
    postgresql: Postgresql, database: str, settings: Settings, sandbox: Sandbox, kind: Any
) -> None:
    there = Settings.model_validate({**dict(settings), "journal": postgresql.url(database)})
    sandbox.inject(Fault(where="submit", kind=kind))
    async with Generations.open(there, door="test") as generations:
        with pytest.raises(SubmitUnconfirmed):
            await generations.start(field(seed=1))
        (row,) = await generations.recent()
    assert row.status == "unconfirmed"
    assert sandbox.tasks[0].task_id in str(row.message)


@pytest.mark.parametrize("seed", [1, None])
def test_what_many_programs_send_again_at_once_is_sent_once(
    postgresql: Postgresql, database: str, journal: Journal, seed: int | None
) -> None:
    lost = journal.intend(intent(seed=seed))
    journal.unconfirmed(lost.id, "the answer was lost")
    journals = [Journal(postgresql.url(database)) for _ in range(4)]
    with ThreadPoolExecutor(8) as crowd:
        terms = replace(intent(seed=seed), retry_of=lost.id)
        again = list(crowd.map(lambda number: journals[number % 4].intend(terms), range(16)))
    assert len({each.id for each in again}) == 1
    assert sorted(each.reused for each in again) == [False, *[True] * 15]
    found = journal.sent_again(lost.id)
    assert found is not None
    assert found.id == again[0].id
    for each in journals:
        each.close()


def test_a_task_id_is_given_to_one_generation_only(journal: Journal) -> None:
    first, second = journal.intend(intent(seed=1)), journal.intend(intent(seed=2))
    assert journal.confirm(first.id, "task").task_id == "task"
    assert journal.confirm(first.id, "another").task_id == "task"
    with pytest.raises(NotConfirmed, match=first.id):
        journal.confirm(second.id, "task")
    assert journal.get(second.id).task_id is None
