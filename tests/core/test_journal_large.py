"""A journal of years: it is looked up and not read through, and a search that leaves most of it out finds the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from flux_nodes.core.errors import BudgetReached
from flux_nodes.core.journal import UNFINISHED, Intent, Journal
from flux_nodes.core.request import ImagineRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flux_nodes.core.generation import Generation, Status

# A journal as version 3 wrote it, typed out: it must keep opening whatever the code says by then.
VERSION_3 = """
CREATE TABLE flux_nodes_schema (version INTEGER NOT NULL);
INSERT INTO flux_nodes_schema VALUES (3);
CREATE TABLE generations (
  id VARCHAR(16) NOT NULL PRIMARY KEY, door VARCHAR(32) NOT NULL, service VARCHAR(255) NOT NULL,
  fingerprint VARCHAR(64) NOT NULL, request TEXT NOT NULL, status VARCHAR(16) NOT NULL,
  created_at VARCHAR(32) NOT NULL, updated_at VARCHAR(32) NOT NULL, task_id VARCHAR(255), percentage INTEGER,
  message TEXT, image_url TEXT, sha256 VARCHAR(64), media_type VARCHAR(64), size INTEGER,
  width INTEGER, height INTEGER, credits FLOAT, claim VARCHAR(64), owner VARCHAR(255), retry_of VARCHAR(16),
  graph VARCHAR(64));
CREATE INDEX generations_by_time ON generations (created_at);
CREATE INDEX generations_by_task ON generations (task_id);
CREATE UNIQUE INDEX generations_by_claim ON generations (claim);
INSERT INTO generations (id, door, service, fingerprint, request, status, created_at, updated_at, task_id, credits,
  claim, owner, graph) VALUES
 ('g-7y5nhdfj9', 'comfyui', 'sandbox', '97aac07bb87fe77d80325dfbe6c0153b1de39fb7d2910ae0dfe26e12a4f008e2',
  '{"model": "flux-dev", "prompt": "a field", "seed": 1}', 'submitted',
  '2026-11-23T10:00:00.478615+00:00', '2026-11-23T10:00:00.489921+00:00', 'task-1', 1.0,
  'ff9dc256784b361676d50b3478a6a8e4d3f04b3392a420c86b2800ac9cd08f4c', 'studio:1227',
  'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff');
"""

PROMPTS = (
    "A Pink windmill by the SEA",
    "\N{KELVIN SIGN}IND of MIL\N{KELVIN SIGN}",
    "İstanbul, Irmak, ılık, Paşabahçe İ",
    "ÜBER-blue flax, straße, STRASSE, ẞ",
    "ΟΔΟΣ οδός ſ Å Å",
    'he said "hello", and "no"',
    r"C:\new\table \u0041 \\server /a/b",
    "100 % rain, 100% sure, _underscored_name_ and f%d",
    "tab\there, bell\a there, delete\x7f, new\nline, no\u00a0break, line\u2028separator",
    "月夜の海 한국어 ² ª გზა 🌊🌊 e\u0301 i\u0307",
    "{'prompt': ['model']} *?[a-z]",
    "TAKSİ",
    "prompt",
)
LETTERS = "".join(sorted({letter for prompt in PROMPTS for letter in prompt + prompt.lower() + prompt.upper()}))


def intent(seed: int | None = None, prompt: str = "a field", *, budget: float | None = None) -> Intent:
    request = ImagineRequest(model="flux-dev", prompt=prompt, seed=seed)
    return Intent(request=request, door="Test", service="sandbox", credits=1.0, budget=budget)


def run_sql(file: Path, script: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)


@pytest.fixture(params=["new", "from version 3"])
def file_of_each_age(request: pytest.FixtureRequest, file: Path) -> Path:
    if request.param != "new":
        run_sql(file, VERSION_3)
    return file


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    with closing(Journal(f"sqlite:///{tmp_path_factory.mktemp('searched')}/journal.sqlite3")) as opened:
        for number, prompt in enumerate(PROMPTS):
            opened.submitted(opened.intend(intent(prompt=prompt)).id, f"T{number}")
        yield opened


@pytest.fixture(scope="module")
def everything(searched: Journal) -> list[Generation]:
    return searched.recent(most=None)


def looked_through(everything: list[Generation], words: str) -> list[Generation]:
    def told(one: Generation) -> str:
        return "\n".join((one.prompt, one.model, one.door, one.id, one.task_id or "")).lower()

    return [one for one in everything if all(word in told(one) for word in words.lower().split())]


def parts() -> st.SearchStrategy[str]:
    """Pieces of the prompts, in any case."""
    cases: list[Callable[[str], str]] = [str, str.lower, str.upper, str.swapcase]
    piece = st.sampled_from(PROMPTS).flatmap(
        lambda text: st.builds(
            lambda start, length, case: case(text[start : start + length]),
            st.integers(0, len(text) - 1),
            st.integers(1, 12),
            st.sampled_from(cases),
        )
    )
    return piece | st.text(LETTERS, max_size=3)


@settings(max_examples=200, deadline=None)
@given(words=st.lists(parts(), min_size=1, max_size=6).map(" ".join))
def test_a_search_finds_what_looking_at_each_generation_finds(
    searched: Journal, everything: list[Generation], words: str
) -> None:
    assert searched.recent(most=None, words=words) == looked_through(everything, words)


def test_a_search_for_each_letter_of_any_alphabet_finds_what_looking_at_each_finds(
    searched: Journal, everything: list[Generation]
) -> None:
    found = {letter: searched.recent(most=None, words=letter) for letter in LETTERS}
    assert found == {letter: looked_through(everything, letter) for letter in LETTERS}


@pytest.mark.parametrize(
    ("words", "prompt"),
    [
        ("pINK WINDmill", PROMPTS[0]),
        ("kind milk", PROMPTS[1]),
        ('"HELLO",', PROMPTS[5]),
        (r"c:\NEW\table \u0041", PROMPTS[6]),
        ("100% _name_ F%D", PROMPTS[7]),
        ("月夜", PROMPTS[9]),
        ("taksi", PROMPTS[11]),
    ],
)
def test_a_search_knows_every_way_of_writing_a_word(searched: Journal, words: str, prompt: str) -> None:
    assert [each.prompt for each in searched.recent(words=words)] == [prompt]


def test_words_that_stand_in_an_old_generation_only_are_found_behind_many_newer_ones(journal: Journal) -> None:
    old = [journal.intend(intent(prompt=f"a windmill {number}")).id for number in range(3)]
    for number in range(250):
        journal.intend(intent(prompt=f"a field {number}"))
    newer = journal.intend(intent(prompt="the windmill"))
    assert [each.id for each in journal.recent(words="Windmill")] == [newer.id, *reversed(old)]
    assert [each.id for each in journal.recent(words="Windmill", most=2)] == [newer.id, old[2]]


@pytest.mark.parametrize("words", ["hello " + "z" * 70_000, " ".join(f"word{n}" for n in range(40_000))])
def test_a_whole_page_may_be_searched_for(searched: Journal, words: str) -> None:
    assert searched.recent(words=words) == []


def test_a_page_that_is_a_prompt_is_found_by_all_of_it(journal: Journal) -> None:
    page = " ".join(f"word{number}%\\" for number in range(9000)) + " " + "long" * 20_000
    known = journal.intend(intent(prompt=page))
    assert [each.id for each in journal.recent(words=page.upper())] == [known.id]


def test_the_newest_of_several_statuses_come_in_the_order_of_time_and_each_once(journal: Journal) -> None:
    made = [journal.intend(intent(prompt=f"field {number}")).id for number in range(9)]
    for id_ in made[::3]:
        journal.submitted(id_, f"task {id_}")
    for id_ in made[1::3]:
        journal.refused(id_, "no")
    some: list[Status] = ["refused", "submitted", "refused", "stored"]
    expected = [id_ for id_ in reversed(made) if id_ not in made[2::3]]
    assert [each.id for each in journal.recent(statuses=some)] == expected
    assert [each.id for each in journal.recent(statuses=some, words="field", service="sandbox")] == expected
    assert [each.id for each in journal.recent(statuses=some, most=2)] == expected[:2]
    assert journal.recent(statuses=some, service="elsewhere") == []


@contextmanager
def plans(file: Path) -> Iterator[list[str]]:
    """Collect how SQLite goes about each statement that is run meanwhile."""
    found: list[str] = []
    run: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE")):
            run.append((statement, values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    with closing(sqlite3.connect(file)) as connection:
        for statement, values in run:
            found += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


LOOKS: dict[str, tuple[Callable[[Journal], object], str]] = {
    "what was abandoned": (Journal.settle_abandoned, "generations_by_status (status=?)"),
    "what is unfinished": (lambda journal: journal.recent(most=None, statuses=UNFINISHED), "generations_by_status"),
    "what is stored": (lambda journal: journal.recent(statuses=["stored"]), "generations_by_status (status=?)"),
    "who holds a picture": (lambda journal: journal.holder(intent(2)), "generations_by_fingerprint (fingerprint=?)"),
    "an intent": (lambda journal: journal.intend(intent(5)), "generations_by_fingerprint (fingerprint=?)"),
    "within a budget": (
        lambda journal: journal.intend(intent(6, budget=9.0)),
        "generations_by_time (created_at>? AND created_at<?)",
    ),
}


@pytest.mark.parametrize("what", LOOKS)
def test_a_journal_of_each_age_is_looked_up_by_its_indexes(file_of_each_age: Path, what: str) -> None:
    look, index = LOOKS[what]
    with closing(Journal(f"sqlite:///{file_of_each_age}")) as journal, plans(file_of_each_age) as found:
        look(journal)
    assert any(index in step for step in found)
    assert not [step for step in found if step.startswith("SCAN") and "generations" in step]


@pytest.mark.parametrize("statuses", [["stored"], ["stored", "failed", "refused", "unconfirmed"]])
def test_the_newest_of_a_status_are_taken_in_the_order_of_the_index(
    journal: Journal, file: Path, statuses: list[Status]
) -> None:
    with plans(file) as found:
        journal.recent(statuses=statuses, service="sandbox")
    assert sum("generations_by_status (status=?)" in step for step in found) == len(statuses)
    # The last term is the id, for those of the same microsecond.
    assert sum(" OF ORDER BY" in step for step in found) == len(statuses)


def test_a_journal_of_version_3_is_brought_up_to_date_with_all_that_it_holds(file: Path) -> None:
    run_sql(file, VERSION_3)
    for turn in range(2):
        with closing(Journal(f"sqlite:///{file}")) as journal:
            old = journal.get("g-7y5nhdfj9")
            assert (old.task_id, old.prompt, old.credits, old.graph) == ("task-1", "a field", 1.0, "f" * 64)
            assert journal.intend(intent(seed=1)) == replace(old, reused=True)
            assert not journal.intend(intent(seed=10 + turn)).reused
            assert journal.running(old.id, 40 + turn).percentage == 40 + turn


@pytest.mark.parametrize(
    ("moment", "counts"),
    [
        ("2026-11-22T23:59:59.999999+00:00", False),
        ("2026-11-23T00:00:00.000000+00:00", True),
        ("2026-11-23T23:59:59.999999+00:00", True),
        ("2026-11-24T00:00:00.000000+00:00", False),
    ],
)
def test_a_budget_counts_the_day_from_its_first_moment_to_its_last(
    journal: Journal, file: Path, moment: str, counts: bool
) -> None:
    journal.intend(intent())
    run_sql(file, f"UPDATE generations SET created_at = '{moment}'")  # noqa: S608 - a time of ours
    with time_machine.travel("2026-11-23T12:00:00+00:00", tick=False):
        if counts:
            with pytest.raises(BudgetReached):
                journal.intend(intent(budget=1.0))
        else:
            assert journal.intend(intent(budget=1.0)).status == "intent"


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("intent", True),
        ("submitted", True),
        ("running", True),
        ("finished", True),
        ("stored", True),
        ("failed", True),
        ("unconfirmed", True),
        ("refused", False),
    ],
)
def test_a_budget_counts_whatever_is_under_way_or_may_be_paid(
    journal: Journal, file: Path, status: str, counts: bool
) -> None:
    asked = journal.intend(intent(budget=1.0))
    if status == "refused":
        journal.refused(asked.id, "not today")
    else:
        run_sql(file, f"UPDATE generations SET status = '{status}'")  # noqa: S608 - a status of the table above
    if counts:
        with pytest.raises(BudgetReached) as caught:
            journal.intend(intent(budget=1.0))
        assert (caught.value.spent, caught.value.budget) == (1.0, 1.0)
    else:
        assert journal.intend(intent(budget=1.0)).status == "intent"


def test_a_budget_counts_what_is_being_sent_over_midnight(journal: Journal) -> None:
    with time_machine.travel("2026-11-23T23:59:58+00:00", tick=False):
        being_sent = journal.intend(intent())
    with time_machine.travel("2026-11-24T00:00:03+00:00", tick=False):
        with pytest.raises(BudgetReached):
            journal.intend(intent(budget=1.0))
        journal.submitted(being_sent.id, "task")
        assert journal.intend(intent(budget=1.0)).status == "intent"
