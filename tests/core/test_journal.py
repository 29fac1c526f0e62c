from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from flux_nodes.core.errors import StorageError
from flux_nodes.core.images import ImageFacts
from flux_nodes.core.journal import Intent, Journal
from flux_nodes.core.request import ImagineRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from flux_nodes.core.generation import Generation

# A journal as version 1 wrote it, typed out: it must keep opening whatever the code says by then.
VERSION_1 = """
CREATE TABLE generations (
  id VARCHAR(16) NOT NULL PRIMARY KEY, door VARCHAR(32) NOT NULL, service VARCHAR(255) NOT NULL,
  fingerprint VARCHAR(64) NOT NULL, request TEXT NOT NULL, status VARCHAR(16) NOT NULL,
  created_at VARCHAR(32) NOT NULL, updated_at VARCHAR(32) NOT NULL, task_id VARCHAR(255), percentage INTEGER,
  message TEXT, image_url TEXT, sha256 VARCHAR(64), media_type VARCHAR(64), size INTEGER,
  width INTEGER, height INTEGER);
CREATE INDEX generations_by_time ON generations (created_at);
CREATE INDEX generations_by_task ON generations (task_id);
INSERT INTO generations (id, door, service, fingerprint, request, status, created_at, updated_at, task_id) VALUES
 ('g-old000001', 'terminal', 'sandbox', 'f1', '{"model": "flux-dev", "prompt": "a field"}', 'submitted',
  '2026-11-01T10:00:00.000000+00:00', '2026-11-01T10:00:01.000000+00:00', 'task-1'),
 ('g-old000002', 'terminal', 'sandbox', 'f2', '{"model": "flux-dev", "prompt": "a field"}', 'refused',
  '2026-11-01T11:00:00.000000+00:00', '2026-11-01T11:00:01.000000+00:00', NULL);
"""


def intent(seed: int | None = None, prompt: str = "a field") -> Intent:
    request = ImagineRequest(model="flux-dev", prompt=prompt, seed=seed)
    return Intent(request=request, door="test", service="sandbox", credits=1.0)


def run_sql(file: Path, script: str) -> None:
    connection = sqlite3.connect(file)
    connection.executescript(script)
    connection.close()


def test_a_journal_of_version_1_is_brought_up_to_date_with_all_that_it_holds(file: Path) -> None:
    run_sql(file, VERSION_1)
    for _ in range(2):
        journal = Journal(f"sqlite:///{file}")
        old, refused = journal.get("g-old000001"), journal.get("g-old000002")
        assert (old.task_id, old.prompt, old.credits) == ("task-1", "a field", 1.0)
        assert refused.credits is None
        assert [item.credits for item in journal.spending() if item.day == "2026-11-01"] == [1.0]
        journal.intend(intent(seed=1))
        assert journal.running("g-old000001", 40).percentage == 40
        journal.close()


# What version 2 had more: a journal of it is one of version 1, changed so.
FROM_1_TO_2 = """
ALTER TABLE generations ADD COLUMN credits FLOAT;
ALTER TABLE generations ADD COLUMN claim VARCHAR(64);
ALTER TABLE generations ADD COLUMN owner VARCHAR(255);
ALTER TABLE generations ADD COLUMN retry_of VARCHAR(16);
CREATE UNIQUE INDEX generations_by_claim ON generations (claim);
UPDATE generations SET credits = 2.5 WHERE status <> 'refused';
CREATE TABLE flux_nodes_schema (version INTEGER NOT NULL);
INSERT INTO flux_nodes_schema VALUES (2);
"""


def test_a_journal_of_version_2_is_brought_up_to_date_with_all_that_it_holds(file: Path) -> None:
    run_sql(file, VERSION_1 + FROM_1_TO_2)
    for turn in range(2):
        journal = Journal(f"sqlite:///{file}")
        old = journal.get("g-old000001")
        assert (old.task_id, old.credits, old.graph) == ("task-1", 2.5, None)
        assert journal.intend(replace(intent(seed=turn), graph="f" * 64)).graph == "f" * 64
        journal.close()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("field", ["A Field of über-blue FLAX", "a field"]),
        ("ÜBER field", ["A Field of über-blue FLAX"]),
        ("flux-dev", ["100 % rain", "A Field of über-blue FLAX", "a field"]),
        ("100 %", ["100 % rain"]),
        ("prompt", []),
        ("f%d", []),
    ],
)
def test_the_journal_is_searched_by_words_in_any_case_and_order(journal: Journal, words: str, found: list[str]) -> None:
    for prompt in ("a field", "100 % rain", "A Field of über-blue FLAX"):
        journal.intend(intent(prompt=prompt))
    assert sorted(each.prompt for each in journal.recent(words=words)) == found


def test_a_search_finds_a_generation_by_its_ids_and_stops_at_the_number_asked_for(journal: Journal) -> None:
    known = [journal.intend(intent(prompt=f"field {number}")) for number in range(5)]
    journal.submitted(known[0].id, "task-4711")
    assert [each.id for each in journal.recent(words="task-4711")] == [known[0].id]
    assert [each.id for each in journal.recent(words=known[2].id)] == [known[2].id]
    assert [each.prompt for each in journal.recent(words="field", most=2)] == ["field 4", "field 3"]


def test_a_journal_of_a_newer_version_is_refused_and_left_as_it_is(file: Path, journal: Journal) -> None:
    journal.close()
    run_sql(file, "UPDATE flux_nodes_schema SET version = version + 1")
    with pytest.raises(StorageError, match="newer"):
        Journal(f"sqlite:///{file}")
    run_sql(file, "UPDATE flux_nodes_schema SET version = version - 1")
    Journal(f"sqlite:///{file}").close()


def test_many_processes_open_a_new_journal_and_write_to_it_at_once(file: Path) -> None:
    code = (
        "import sys; from flux_nodes.core.journal import Journal, Intent\n"
        "from flux_nodes.core.request import ImagineRequest\n"
        "journal = Journal(sys.argv[1])\n"
        "for seed in range(20):\n"
        "    request = ImagineRequest(model='flux-dev', prompt=sys.argv[2], seed=seed)\n"
        "    own = journal.intend(Intent(request=request, door='test', service='s', credits=1.0))\n"
        "    journal.submitted(own.id, f'{sys.argv[2]}-{seed}')\n"
        "    request = ImagineRequest(model='flux-dev', prompt='shared', seed=seed)\n"
        "    print(journal.intend(Intent(request=request, door='test', service='s', credits=1.0)).id)\n"
    )
    command = [sys.executable, "-W", "error", "-c", code, f"sqlite:///{file}"]
    processes = [
        subprocess.Popen([*command, f"p{n}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    told = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, told
    shared = [out.split() for out, _ in told]
    assert all(ids == shared[0] for ids in shared)
    journal = Journal(f"sqlite:///{file}")
    assert len(journal.recent(most=None)) == 4 * 20 + 20
    assert len(journal.recent(most=None, statuses=["submitted"])) == 4 * 20
    journal.close()


def test_an_intent_whose_process_was_killed_becomes_unconfirmed_and_a_living_ones_does_not(
    file: Path, journal: Journal
) -> None:
    own = journal.intend(intent(seed=1))
    code = (
        "import os, sys; from flux_nodes.core.journal import Journal, Intent\n"
        "from flux_nodes.core.request import ImagineRequest\n"
        "request = ImagineRequest(model='flux-dev', prompt='x', seed=9)\n"
        "own = Journal(sys.argv[1]).intend(Intent(request=request, door='t', service='s', credits=1.0))\n"
        "print(own.id, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, f"sqlite:///{file}"], capture_output=True, text=True, timeout=60, check=False
    )
    dead = run.stdout.strip()
    assert [settled.id for settled in journal.settle_abandoned()] == [dead]
    assert journal.get(dead).status == "unconfirmed"
    assert "charged" in str(journal.get(dead).message)
    assert journal.get(own.id).status == "intent"


FACTS = ImageFacts(media_type="image/png", width=8, height=8)
MOVES: dict[str, Callable[[Journal, str], Generation]] = {
    "submitted": lambda journal, id_: journal.submitted(id_, "task"),
    "running": lambda journal, id_: journal.running(id_, 5),
    "finished": lambda journal, id_: journal.finished(id_, "https://x/y.png"),
    "stored": lambda journal, id_: journal.stored(id_, "0" * 64, 9, FACTS),
    "failed": lambda journal, id_: journal.failed(id_, "no"),
    "refused": lambda journal, id_: journal.refused(id_, "no"),
    "unconfirmed": lambda journal, id_: journal.unconfirmed(id_, "lost"),
}
AFTER = {
    "intent": {"submitted", "refused", "unconfirmed"},
    "unconfirmed": {"submitted", "refused"},
    "submitted": {"running", "finished", "stored", "failed"},
    "running": {"running", "finished", "stored", "failed"},
    "finished": {"finished", "stored"},
    "stored": {"stored"},
    "failed": set(),
    "refused": set(),
}
"""Which moves a life allows, written down a second time: a slip in the code must not decide what the test expects."""


def put(file: Path, status: str) -> None:
    run_sql(file, f"UPDATE generations SET status = '{status}'")  # noqa: S608 - a status of the table above


def test_each_status_is_left_only_for_those_that_may_follow_it(journal: Journal, file: Path) -> None:
    id_ = journal.intend(intent()).id
    led: dict[str, set[str]] = {}
    for before in AFTER:
        for move, enter in MOVES.items():
            put(file, before)
            after = enter(journal, id_).status
            assert after in {before, move}
            assert journal.get(id_).status == after
            led.setdefault(before, set()).update({after} - {before})
    assert led == {before: may_follow - {before} for before, may_follow in AFTER.items()}


def test_only_a_stored_image_is_lost_and_only_what_is_finished_is_found_or_gone(journal: Journal, file: Path) -> None:
    def after(before: str, move: Callable[[str], Generation]) -> str:
        put(file, before)
        return move(id_).status

    id_ = journal.intend(intent()).id
    for before in AFTER:
        assert after(before, journal.lost) == ("finished" if before == "stored" else before)
        assert after(before, journal.found) == ("stored" if before == "finished" else before)
        assert after(before, lambda one: journal.gone(one, "it is gone")) == before


def test_every_commit_waits_for_the_disk_whatever_sqlite_was_built_to_do(file: Path) -> None:
    def built_otherwise(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous=OFF").close()

    levels: list[int] = []

    def look(connection: Any) -> None:
        levels.append(connection.connection.dbapi_connection.execute("PRAGMA synchronous").fetchone()[0])

    event.listen(Engine, "connect", built_otherwise, insert=True)
    event.listen(Engine, "begin", look)
    try:
        journal = Journal(f"sqlite:///{file}")
        journal.intend(intent())
        journal.close()
    finally:
        event.remove(Engine, "begin", look)
        event.remove(Engine, "connect", built_otherwise)
    full = 2
    assert levels
    assert set(levels) == {full}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(MOVES)), max_size=8))
def test_whatever_is_told_in_whatever_order_a_life_only_moves_as_it_may(journal: Journal, told: list[str]) -> None:
    life: Generation = journal.intend(intent())
    for move in told:
        before, life = life, MOVES[move](journal, life.id)
        assert life.status == (move if move in AFTER[before.status] else before.status)
        assert life.task_id is None or before.task_id in {None, life.task_id}
        assert not before.sha256 or life.sha256 == before.sha256


@pytest.mark.parametrize("lost", ["failed", "refused"])
def test_a_picture_that_did_not_come_about_is_free_to_be_asked_for_again(journal: Journal, lost: str) -> None:
    first = journal.intend(intent(seed=1))
    if lost == "failed":
        journal.submitted(first.id, "task")
    MOVES[lost](journal, first.id)
    again = journal.intend(intent(seed=1))
    assert again.id != first.id
    assert not again.reused


def test_a_journal_that_another_program_holds_is_waited_for(file: Path, journal: Journal) -> None:
    holder = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, holder.rollback)
    timer.start()
    assert journal.intend(intent()).status == "intent"
    timer.join()
    holder.close()


def test_a_journal_that_another_program_holds_is_opened_and_read_at_once(file: Path, journal: Journal) -> None:
    known = journal.intend(intent())
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    reader = Journal(f"sqlite:///{file}?timeout=0")
    assert [each.id for each in reader.recent()] == [known.id]
    reader.close()
    holder.close()


def test_a_journal_that_cannot_be_written_says_so(file: Path, journal: Journal) -> None:
    journal.close()
    run_sql(file, "PRAGMA journal_mode=DELETE")
    code = (
        "import sys; from flux_nodes.core.journal import Journal\n"
        "from flux_nodes.core.errors import StorageError\n"
        "try:\n    Journal(sys.argv[1])\nexcept StorageError as error:\n    print('said:', error)\n"
    )
    url = f"sqlite:///file:{file}?mode=ro&uri=true"
    run = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, timeout=60, check=False)
    assert "readonly" in run.stdout.replace("read-only", "readonly"), run


def test_a_journal_named_by_a_uri_makes_no_folder_where_the_program_runs(file: Path, journal: Journal) -> None:
    journal.close()
    folder = file.parent / "elsewhere"
    folder.mkdir()
    code = "import sys; from flux_nodes.core.journal import Journal; Journal(sys.argv[1]).close()"
    command = [sys.executable, "-c", code, f"sqlite:///file:{file}?uri=true"]
    repository = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": repository}
    subprocess.run(command, cwd=folder, env=environment, timeout=60, check=True)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("ended", [False, True])
def test_a_picture_that_an_older_version_asked_for_in_the_same_words_is_found(
    journal: Journal, file: Path, ended: bool
) -> None:
    asked = intent(seed=1)
    first = journal.intend(asked)
    claim = "NULL" if ended else f"'{asked.claims[1]}'"
    written = asked.request.fingerprints[1]
    digests = f"fingerprint = '{written}', claim = {claim}"
    run_sql(file, f"UPDATE generations SET {digests}, status = 'submitted'")  # noqa: S608 - digests made here

    again = journal.intend(asked)

    assert asked.request.fingerprints[0] != written
    assert (again.id, again.reused) == (first.id, True)
