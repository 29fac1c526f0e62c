from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flux_nodes.sandbox import Fault
from tests.cli.terminal import SMALL

if TYPE_CHECKING:
    from flux_nodes.sandbox import Sandbox
    from tests.cli.conftest import Clock
    from tests.cli.terminal import Terminal


def started(terminal: Terminal, *words: str) -> list[str]:
    return terminal.type("generate", "a fox", *SMALL, *words, "--no-wait").out.split()


def test_wait_collects_what_was_started_before(terminal: Terminal) -> None:
    ids = started(terminal, "--count", "2")
    ended = terminal.type("wait", *ids, "--output", "pictures")
    assert ended.code == 0
    assert [Path(line).parent for line in ended.out.splitlines()] == [Path("pictures")] * 2
    assert len(list((terminal.folder / "pictures").iterdir())) == 2


def test_wait_takes_the_services_task_id_as_well(terminal: Terminal) -> None:
    (id_,) = started(terminal)
    task_id = terminal.type("list", "--json").document["generations"][0]["task_id"]
    assert terminal.type("wait", task_id, "--json").document["id"] == id_


def test_waiting_twice_asks_nobody_and_takes_the_file_that_is_there(terminal: Terminal, sandbox: Sandbox) -> None:
    (id_,) = started(terminal)
    first = terminal.type("wait", id_)
    asked = len(sandbox.requests)
    assert terminal.type("wait", id_).out == first.out
    assert len(sandbox.requests) == asked
    assert len(list(terminal.folder.iterdir())) == 1


def test_an_unknown_id_spoils_the_code_and_no_other_image(terminal: Terminal) -> None:
    (id_,) = started(terminal)
    ended = terminal.type("wait", "g-nope", id_, "--json")
    assert ended.code == 2
    assert [entry["id"] for entry in ended.document["generations"]] == ["g-nope", id_]
    assert ended.document["error"]["type"] == "UnknownGeneration"
    assert ended.document["generations"][1]["status"] == "stored"


def test_a_wait_that_ended_too_early_can_be_repeated(slow: Terminal, clock: Clock) -> None:
    (id_,) = started(slow)
    early = slow.type("wait", id_, "--timeout", "0.1", "--json")
    assert (early.code, early.document["error"]["ids"]) == (4, [id_])
    clock.forward(20)
    assert slow.type("wait", id_).code == 0


def test_an_image_that_cannot_be_downloaded_ends_with_1_and_can_be_collected_later(
    terminal: Terminal, sandbox: Sandbox
) -> None:
    (id_,) = started(terminal)
    sandbox.inject(Fault(where="image", kind="refuse", status=403))
    ended = terminal.type("wait", id_, "--json")
    assert ended.code == 1
    assert ended.document["error"]["type"] == "ImageUnavailable"
    assert ended.document["error"]["ids"] == [id_]
    assert terminal.type("wait", id_).code == 0


def test_status_asks_once_and_tells_how_a_generation_stands(slow: Terminal, clock: Clock) -> None:
    (id_,) = started(slow)
    clock.forward(5)
    running = slow.type("status", id_, "--json")
    assert running.code == 0
    assert running.document["status"] == "running"
    assert 0 < running.document["percentage"] < 100
    clock.forward(20)
    finished = slow.type("status", id_)
    facts = dict(line.split("\t") for line in finished.out.splitlines())
    assert facts["status"] == "stored"
    assert Path(facts["file"]).is_file()


def test_status_of_a_failed_generation_is_an_answer_and_no_error(terminal: Terminal) -> None:
    terminal.type("generate", "x [sandbox: fail moderation]", "--no-wait")
    id_ = terminal.type("list", "--json").document["generations"][0]["id"]
    ended = terminal.type("status", id_)
    assert ended.code == 0
    assert "Request Moderated" in ended.out


def test_status_of_an_unknown_generation_is_bad_input(terminal: Terminal) -> None:
    ended = terminal.type("status", "g-nope", "--json")
    assert ended.code == 2
    assert ended.document["error"]["type"] == "UnknownGeneration"


def test_list_shows_the_newest_first_and_no_more_than_asked_for(terminal: Terminal) -> None:
    ids = [*started(terminal), *started(terminal), *started(terminal)]
    lines = terminal.type("list", "--most", "2").out.splitlines()
    assert [line.split("\t")[0] for line in lines] == [ids[2], ids[1]]


def test_list_shows_only_the_statuses_that_are_asked_for(terminal: Terminal) -> None:
    kept, collected = started(terminal, "--count", "2")
    terminal.type("wait", collected)
    assert [entry["id"] for entry in terminal.type("list", "--status", "stored", "--json").document["generations"]] == [
        collected
    ]
    both = terminal.type("list", "--status", "stored", "--status", "submitted", "--json").document["generations"]
    assert {entry["id"] for entry in both} == {kept, collected}


def test_a_row_in_a_pipe_is_one_line_whatever_the_prompt_holds(terminal: Terminal) -> None:
    terminal.type("generate", "two\nlines\tand \x1b[31mred", "--no-wait")
    (line,) = terminal.type("list").out.splitlines()
    assert "two lines and [31mred" in line
    assert "\x1b" not in line


def test_an_empty_journal_is_no_error_and_needs_no_key(bare: Terminal) -> None:
    ended = bare.type("list")
    assert (ended.code, ended.out) == (0, "")
    assert bare.type("list", "--json").document == {"generations": [], "spending": []}


def test_a_journal_that_cannot_be_opened_is_told_of_in_a_sentence(bare: Terminal, tmp_path: Path) -> None:
    broken = tmp_path / "broken.sqlite3"
    broken.write_text("this is no database, however long one looks at it " * 40)
    stranger = type(bare)(bare.folder, {"FLUX_NODES_JOURNAL": f"sqlite:///{broken}"})
    ended = stranger.type("list")
    assert ended.code == 2
    assert "journal" in ended.err
