"""Searching a journal in a real PostgreSQL, which has its own idea of what is the same letter."""

from __future__ import annotations

from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING

import psycopg
import pytest

from flux_nodes.core.journal import Journal
from tests.core.test_journal_large import LETTERS, PROMPTS, VERSION_3, intent, looked_through

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hosts.postgresql import Postgresql

TURKISH = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'"
"""In it the small letter of I has no dot."""

_NUMBERS = count(1)


@pytest.fixture(params=["", TURKISH], ids=["usual", "turkish"])
def database(request: pytest.FixtureRequest, postgresql: Postgresql) -> str:
    if not request.param:
        return postgresql.new_database()
    name = f"turkish_{next(_NUMBERS)}"
    try:
        postgresql.run(f"CREATE DATABASE {name} {request.param}")
    except psycopg.errors.SyntaxError:
        pytest.skip("this PostgreSQL is older than 15: a database has no rules of its own")
    return name


@pytest.fixture
def journal(postgresql: Postgresql, database: str) -> Iterator[Journal]:
    with closing(Journal(postgresql.url(database))) as opened:
        yield opened


def test_a_search_finds_what_looking_at_each_generation_finds(journal: Journal) -> None:
    for number, prompt in enumerate(PROMPTS):
        journal.submitted(journal.intend(intent(prompt=prompt)).id, f"T{number}")
    everything = journal.recent(most=None)
    pieces = {prompt[start : start + 4] for prompt in PROMPTS for start in range(0, len(prompt), 3)}
    asked = {*LETTERS, *PROMPTS, *pieces, *map(str.upper, pieces), *map(str.lower, pieces)}
    wrong = {words for words in asked if journal.recent(most=None, words=words) != looked_through(everything, words)}
    assert wrong == set()
    assert [each.prompt for each in journal.recent(words="PINK windmill", most=1)] == [PROMPTS[0]]


def test_a_whole_page_may_be_searched_for(journal: Journal) -> None:
    page = " ".join(f"word{number}%\\" for number in range(9000)) + " " + "long" * 20_000
    known = journal.intend(intent(prompt=page))
    assert [each.id for each in journal.recent(words=page.upper())] == [known.id]


def test_a_journal_of_version_3_is_brought_up_to_date_with_all_that_it_holds(postgresql: Postgresql) -> None:
    database = postgresql.new_database()
    postgresql.run(VERSION_3, database=database)
    for turn in range(2):
        with closing(Journal(postgresql.url(database))) as journal:
            assert journal.get("task-1").credits == 1.0
            assert journal.intend(intent(seed=1)).reused
            assert not journal.intend(intent(seed=10 + turn)).reused
    with psycopg.connect(postgresql.url(database).replace("+psycopg", "")) as connection:
        names = {name for (name,) in connection.execute("SELECT indexname FROM pg_indexes")}
    assert {"generations_by_status", "generations_by_fingerprint"} <= names
