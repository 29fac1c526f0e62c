"""What each step of a generation's life writes down, and what it leaves as it was."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.core.errors import UnknownGeneration
from flux_nodes.core.images import ImageFacts
from flux_nodes.core.journal import Intent, Journal
from flux_nodes.core.request import ImagineRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flux_nodes.core.generation import Generation

URL = "https://cdn.example/a.png"
FACTS = ImageFacts(media_type="image/webp", width=320, height=256)


def begun(journal: Journal, *, door: str = "test", service: str = "sandbox", seed: int = 1) -> str:
    request = ImagineRequest(model="flux-dev", prompt="a field", seed=seed)
    return journal.intend(Intent(request=request, door=door, service=service, credits=1.0)).id


def written(before: Generation, after: Generation) -> dict[str, Any]:
    """Return what is not as it was."""
    old = asdict(before)
    return {name: value for name, value in asdict(after).items() if value != old[name] and name != "updated_at"}


STEPS: list[tuple[list[Callable[[Journal, str], Generation]], dict[str, Any]]] = [
    ([lambda journal, id_: journal.submitted(id_, "t-1")], {"status": "submitted", "task_id": "t-1"}),
    ([lambda journal, id_: journal.running(id_, 40)], {"status": "running", "percentage": 40}),
    (
        [lambda journal, id_: journal.finished(id_, URL)],
        {"status": "finished", "percentage": 100, "image_url": URL},
    ),
    (
        [lambda journal, id_: journal.stored(id_, "a" * 64, 7, FACTS, "words")],
        {
            "status": "stored",
            "percentage": 100,
            "message": "words",
            "sha256": "a" * 64,
            "size": 7,
            "media_type": "image/webp",
            "width": 320,
            "height": 256,
        },
    ),
    ([lambda journal, id_: journal.failed(id_, "moderated")], {"status": "failed", "message": "moderated"}),
    (
        [lambda journal, id_: journal.refused(id_, "wrong")],
        {"status": "refused", "message": "wrong", "credits": 0.0},
    ),
    ([lambda journal, id_: journal.unconfirmed(id_, "lost")], {"status": "unconfirmed", "message": "lost"}),
    (
        [
            lambda journal, id_: journal.unconfirmed(id_, "lost"),
            lambda journal, id_: journal.submitted(id_, "t-1"),
        ],
        {"status": "submitted", "task_id": "t-1", "message": None},
    ),
]


@pytest.mark.parametrize(
    ("steps", "facts"), STEPS, ids=lambda value: value["status"] if isinstance(value, dict) else ""
)
def test_a_step_writes_what_it_knows_and_nothing_else(
    journal: Journal, steps: list[Callable[[Journal, str], Generation]], facts: dict[str, Any]
) -> None:
    id_ = begun(journal)
    before = journal.get(id_)
    if facts["status"] in {"running", "finished", "stored", "failed"}:
        before = journal.submitted(id_, "t-1")
    for step in steps:
        after = step(journal, id_)
    assert journal.get(id_) == after
    assert written(before, after) == {name: value for name, value in facts.items() if value is not None}


def test_every_step_tells_when_it_was_made(journal: Journal, file: Path) -> None:
    id_ = begun(journal)
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE generations SET updated_at = created_at")
        database.commit()
    assert journal.submitted(id_, "t-1").updated_at > journal.get(id_).created_at


def test_an_image_that_is_lost_found_or_gone_keeps_its_facts(journal: Journal) -> None:
    id_ = begun(journal)
    journal.submitted(id_, "t-1")
    stored = journal.stored(id_, "a" * 64, 7, FACTS, "words")
    lost = journal.lost(id_)
    assert (lost.status, lost.message, lost.sha256, lost.width) == ("finished", None, "a" * 64, 320)
    gone = journal.gone(id_, "no longer there")
    assert written(lost, gone) == {"message": "no longer there"}
    assert journal.found(id_, "words") == stored or written(stored, journal.get(id_)) == {}


def test_only_a_lost_image_can_be_gone_or_found(journal: Journal) -> None:
    id_ = begun(journal)
    journal.submitted(id_, "t-1")
    assert journal.gone(id_, "no").status == journal.found(id_).status == journal.lost(id_).status == "submitted"


FOLLOWED: dict[str, Callable[[Journal, str], Generation]] = {
    "submitted": lambda journal, id_: journal.get(id_),
    "running": lambda journal, id_: journal.running(id_, 40),
    "finished": lambda journal, id_: journal.finished(id_, URL),
    "stored": lambda journal, id_: journal.stored(id_, "a" * 64, 7, FACTS, "words"),
    "failed": lambda journal, id_: journal.failed(id_, "moderated"),
}


@pytest.mark.parametrize("follow", FOLLOWED.values(), ids=FOLLOWED)
def test_the_answers_own_task_id_wins_and_what_was_followed_under_another_is_forgotten(
    journal: Journal, follow: Callable[[Journal, str], Generation]
) -> None:
    id_, other = begun(journal), begun(journal, seed=2)
    journal.submitted(id_, "a webhook's")
    follow(journal, id_)
    answered = journal.submitted(id_, "the answer's")
    assert (answered.status, answered.task_id) == ("submitted", "the answer's")
    assert (answered.message, answered.percentage, answered.image_url, answered.sha256) == (None,) * 4
    assert journal.get(other).status == "intent"


@pytest.mark.parametrize("follow", FOLLOWED.values(), ids=FOLLOWED)
def test_the_same_task_id_told_again_forgets_nothing(
    journal: Journal, follow: Callable[[Journal, str], Generation]
) -> None:
    id_ = begun(journal)
    journal.submitted(id_, "t-1")
    before = follow(journal, id_)
    assert written(before, journal.submitted(id_, "t-1")) == {}


def test_what_was_refused_stays_refused_whatever_task_is_named(journal: Journal) -> None:
    id_ = begun(journal)
    journal.submitted(id_, "t-1")
    with_id = journal.get(id_)
    assert with_id.task_id == "t-1"
    other = begun(journal, seed=2)
    refused = journal.refused(other, "wrong")
    assert journal.submitted(other, "t-2") == refused


def test_spending_is_told_by_day_newest_first_then_by_door(journal: Journal, file: Path) -> None:
    for seed, door in enumerate(("terminal", "comfyui", "terminal", "assistant")):
        begun(journal, door=door, seed=seed)
    journal.refused(begun(journal, door="refused", seed=9), "no")
    with closing(sqlite3.connect(file)) as database:
        rows = [row[0] for row in database.execute("SELECT id FROM generations WHERE door != 'refused' ORDER BY rowid")]
        for day, id_ in zip((1, 2, 2, 2), rows, strict=True):
            moment = f"2026-11-0{day}T10:00:00.000000+00:00"
            database.execute("UPDATE generations SET created_at = ? WHERE id = ?", (moment, id_))
        database.commit()
    told = [(item.day, item.door, item.generations, item.credits) for item in journal.spending()]
    second = [("2026-11-02", door, 1, 1.0) for door in ("assistant", "comfyui", "terminal")]
    assert told == [*second, ("2026-11-01", "terminal", 1, 1.0)]
    assert [item.day for item in journal.spending(days=1)] == ["2026-11-02"] * 3


def test_the_newest_are_told_of_one_service_or_of_all(journal: Journal) -> None:
    here, there = begun(journal, service="sandbox"), begun(journal, service="https://other.example", seed=2)
    assert [made.id for made in journal.recent(service="sandbox")] == [here]
    assert [made.id for made in journal.recent(service="https://other.example")] == [there]
    assert {made.id for made in journal.recent()} == {here, there}


def test_an_intent_is_written_with_its_id_its_picture_and_its_words_as_they_are(journal: Journal, file: Path) -> None:
    request = ImagineRequest(model="flux-dev", prompt="远山", seed=1, width=1024)
    intent = Intent(request=request, door="test", service="sandbox", credits=1.0, graph="b" * 64)
    made = journal.intend(intent)
    assert re.fullmatch(r"g-[a-z0-9]{9}", made.id)
    with closing(sqlite3.connect(file)) as database:
        ((fingerprint, text, graph, service),) = database.execute(
            "SELECT fingerprint, request, graph, service FROM generations"
        )
    assert (fingerprint, graph, service) == (request.fingerprints[0], "b" * 64, "sandbox")
    assert '"远山"' in text, "a search looks at this text"


def test_a_generation_is_found_by_its_id_and_by_its_task(journal: Journal) -> None:
    id_ = begun(journal)
    begun(journal, seed=2)
    made = journal.submitted(id_, "t-1")
    assert journal.get(id_) == journal.get("t-1") == made
    with pytest.raises(UnknownGeneration, match="'t-2'"):
        journal.get("t-2")


def test_a_picture_is_held_until_its_generation_has_come_to_nothing(journal: Journal) -> None:
    id_ = begun(journal)
    assert begun(journal) == id_
    journal.submitted(id_, "t-1")
    assert begun(journal) == id_
    journal.failed(id_, "moderated")
    again = begun(journal)
    assert again != id_
    assert begun(journal) == again


def claims(file: Path) -> dict[str, str | None]:
    """Return the claim on a picture that each generation has."""
    with closing(sqlite3.connect(file)) as database:
        return dict(database.execute("SELECT id, claim FROM generations").fetchall())


def test_a_claim_is_given_up_by_what_came_to_nothing_and_by_what_is_paid_again(journal: Journal, file: Path) -> None:
    id_, other = begun(journal), begun(journal, seed=2)
    for step in (FOLLOWED["running"], FOLLOWED["finished"], FOLLOWED["stored"]):
        journal.submitted(id_, "t-1")
        step(journal, id_)
        assert claims(file)[id_] is not None
    request = ImagineRequest(model="flux-dev", prompt="a field", seed=1)
    fresh = journal.intend(Intent(request=request, door="test", service="sandbox", credits=1.0, fresh=True))
    assert claims(file)[id_] is None
    assert None not in {claims(file)[other], claims(file)[fresh.id]}
    journal.refused(fresh.id, "no")
    assert claims(file)[fresh.id] is None


def test_an_intent_gives_its_service_one_name() -> None:
    request = ImagineRequest(model="flux-dev", prompt="a field", seed=1)
    one, other = (
        Intent(request=request, door="test", service=service, credits=1.0)
        for service in ("https://API.example:443", "https://api.example")
    )
    assert one == other


def test_fifty_are_told_unless_more_are_asked_for(journal: Journal) -> None:
    for seed in range(51):
        begun(journal, seed=seed)
    assert [len(journal.recent()), len(journal.recent(most=51))] == [50, 51]
