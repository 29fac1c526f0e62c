from __future__ import annotations

import os
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.sandbox import Fault
from tests.cli.terminal import LONGEST, SMALL, Terminal, plain, until

if TYPE_CHECKING:
    from flux_nodes.sandbox import Sandbox
    from tests.cli.conftest import Clock
    from tests.delay import Delay

FOX = ("generate", "a fox", *SMALL)
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals of this kind")


def unconfirmed(terminal: Terminal, sandbox: Sandbox, *words: str) -> str:
    """Lose the answer to a submit, and return the generation's id."""
    sandbox.inject(Fault(where="submit", kind="lost-after"))
    ended = terminal.type(*FOX, *words, "--json")
    (id_,) = ended.document["error"]["ids"]
    return str(id_)


def test_the_same_picture_is_answered_from_the_journal_and_said_to_be_free(
    terminal: Terminal, sandbox: Sandbox
) -> None:
    first = terminal.type(*FOX, "--seed", "7")
    again = terminal.type(*FOX, "--seed", "7")
    assert (again.code, again.out) == (0, first.out)
    assert "answered from the journal, free" in again.err
    assert "journal" not in first.err
    assert sandbox.charges == 1


def test_the_document_tells_what_was_reused_and_what_it_cost(terminal: Terminal) -> None:
    words = (*FOX, "--seed", "7", "--json")
    first, again = terminal.type(*words), terminal.type(*words)
    assert [ended.document["reused"] for ended in (first, again)] == [False, True]
    assert (again.document["credits"], again.err) == (1, "")


def test_a_started_picture_is_shared_without_waiting_too(slow: Terminal, slow_sandbox: Sandbox) -> None:
    first = slow.type(*FOX, "--seed", "7", "--no-wait")
    again = slow.type(*FOX, "--seed", "7", "--no-wait")
    assert again.out == first.out
    assert "free" in again.err
    assert slow_sandbox.charges == 1


def test_fresh_pays_again(terminal: Terminal, sandbox: Sandbox) -> None:
    first = terminal.type(*FOX, "--seed", "7")
    again = terminal.type(*FOX, "--seed", "7", "--fresh")
    assert again.out != first.out
    assert "free" not in again.err
    assert sandbox.charges == 2


def test_a_budget_that_is_reached_ends_with_2_and_says_how_to_raise_it(terminal: Terminal, sandbox: Sandbox) -> None:
    limited = Terminal(terminal.folder, {**terminal.environ, "FLUX_NODES_BUDGET": "1"})
    assert limited.type(*FOX).code == 0
    ended = limited.type(*FOX, "--json")
    assert (ended.code, ended.document["error"]["type"]) == (2, "BudgetReached")
    assert "FLUX_NODES_BUDGET" in ended.err
    assert sandbox.charges == 1


def test_list_tells_what_each_costs_and_what_was_spent_by_day_and_door(terminal: Terminal, sandbox: Sandbox) -> None:
    terminal.type(*FOX, "--count", "2")
    sandbox.inject(Fault(where="submit", kind="credits"))
    terminal.type(*FOX)
    listed = terminal.type("list", "--json").document
    assert [entry["credits"] for entry in listed["generations"]] == [0, 1, 1]
    (spent,) = listed["spending"]
    assert (spent["door"], spent["generations"], spent["credits"]) == ("terminal", 2, 2)
    rows = terminal.type("list")
    assert f"Spent on {spent['day']}" in rows.err
    assert "2 credits (terminal 2)" in rows.err
    assert len(rows.out.splitlines()) == 3


def test_status_of_a_lost_answer_tells_what_happened_what_may_be_paid_and_what_can_be_done(
    terminal: Terminal, sandbox: Sandbox
) -> None:
    id_ = unconfirmed(terminal, sandbox, "--seed", "7")
    told = dict(line.split("\t", 1) for line in terminal.type("status", id_).out.splitlines())
    assert "no answer came" in told["happened"]
    assert "1 credit or nothing" in told["paid"]
    assert f"flux-nodes retry {id_}" in told["to send"]
    assert "--fresh" in told["to send"]
    assert "never sent again" in told["to leave"]


def test_status_of_a_lost_answer_names_the_webhook_that_will_settle_it(terminal: Terminal, sandbox: Sandbox) -> None:
    hooked = Terminal(
        terminal.folder,
        {
            **terminal.environ,
            "FLUX_NODES_WEBHOOK_URL": "https://me:word@hooks.example.com/in?token=9",
            "FLUX_NODES_WEBHOOK_SECRET": "0123456789abcdef",
        },
    )
    ended = hooked.type("status", unconfirmed(terminal, sandbox))
    assert "hooks.example.com" in ended.out
    assert "token" not in ended.out
    doctor = hooked.type("doctor")
    assert "webhook\tinfo\tthe service calls hooks.example.com" in doctor.out
    assert not any(secret in doctor.out + doctor.err for secret in ("0123456789abcdef", "token", "word"))


def test_status_of_one_that_is_being_sent_says_so(terminal: Terminal, sandbox: Sandbox, delay: Delay) -> None:
    sandbox.inject(Fault(where="submit", kind="slow", seconds=0))
    with delay.held():
        process = terminal.start(*FOX, "--no-wait")
        until(lambda: sandbox.tasks)
        (listed,) = terminal.type("list", "--json").document["generations"]
        ended = terminal.type("status", listed["id"])
    process.communicate(timeout=LONGEST)
    assert "a program that still runs is sending it" in ended.out


def test_doctor_tells_the_budget(terminal: Terminal) -> None:
    assert "budget\tinfo\tnone" in terminal.type("doctor").out
    limited = Terminal(terminal.folder, {**terminal.environ, "FLUX_NODES_BUDGET": "12"})
    assert "budget\tinfo\t12 credits a day" in limited.type("doctor").out


def test_retry_without_a_terminal_tells_the_risk_and_sends_nothing(terminal: Terminal, sandbox: Sandbox) -> None:
    id_ = unconfirmed(terminal, sandbox)
    ended = terminal.type("retry", id_)
    assert ended.code == 2
    assert "a second time" in ended.err
    assert "--yes" in ended.err
    assert sandbox.charges == 1


def test_retry_with_yes_sends_again_and_delivers(terminal: Terminal, sandbox: Sandbox) -> None:
    id_ = unconfirmed(terminal, sandbox, "--seed", "7")
    ended = terminal.type("retry", id_, "--yes", "--json", "-o", "again")
    assert (ended.code, ended.document["retry_of"], ended.document["status"]) == (0, id_, "stored")
    assert len(list((terminal.folder / "again").iterdir())) == 1
    assert sandbox.charges == 2


def test_retry_tells_what_each_kind_costs(terminal: Terminal, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="fail"))
    sandbox.inject(Fault(where="submit", kind="credits"))
    failed = terminal.type(*FOX, "--json").document["id"]
    terminal.type(*FOX)
    (refused,) = terminal.type("list", "--status", "refused", "--json").document["generations"]
    ended = terminal.type("retry", failed, refused["id"], "--yes")
    assert f"{failed}: it failed at the service" in ended.err
    assert f"{refused['id']}: it was never accepted, and nothing was paid" in ended.err
    assert len(ended.out.splitlines()) == 2


def test_retry_of_what_is_stored_or_unknown_sends_nothing_of_all_that_was_named(
    terminal: Terminal, sandbox: Sandbox
) -> None:
    lost = unconfirmed(terminal, sandbox)
    stored = terminal.type(*FOX, "--json").document["id"]
    for other in (stored, "g-nope"):
        assert terminal.type("retry", lost, other, "--yes").code == 2
    assert sandbox.charges == 2


def test_retry_sends_nothing_of_another_service_to_this_one(terminal: Terminal, sandbox: Sandbox) -> None:
    failed = terminal.type("generate", "a fox [sandbox: fail]", *SMALL, "--sandbox", "--json").document["id"]
    ended = terminal.type("retry", failed, "--yes")
    assert ended.code == 2
    assert "--sandbox" in ended.err
    assert sandbox.requests == []


@POSIX
@pytest.mark.parametrize(("answer", "charges"), [("y", 2), ("n", 1)])
def test_retry_asks_on_a_terminal(terminal: Terminal, sandbox: Sandbox, answer: str, charges: int) -> None:
    id_ = unconfirmed(terminal, sandbox)
    # `script` of a sort: Python gives the command a terminal to be asked on.
    program = (
        "import os, pty, sys\n"
        "pid, screen = pty.fork()\n"
        f"if pid == 0: os.execv(sys.executable, [sys.executable, '-m', 'flux_nodes', 'retry', {id_!r}])\n"
        "seen = b''\n"
        "while b'[y/N]' not in seen: seen += os.read(screen, 1)\n"
        f"os.write(screen, b'{answer}\\n')\n"
        "try:\n"
        "    while chunk := os.read(screen, 9999): seen += chunk\n"
        "except OSError: pass\n"
        "print(seen.decode())\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    ended = terminal.see([sys.executable, "-c", program])
    assert ended.code == (0 if answer == "y" else 2)
    assert "a second time" in plain(ended.out)
    assert sandbox.charges == charges


def test_resume_collects_everything_unfinished(slow: Terminal, clock: Clock) -> None:
    ids = slow.type(*FOX, "--count", "2", "--no-wait").out.split()
    early = slow.type("resume", "--timeout", "0.1", "--json")
    assert (early.code, sorted(entry["id"] for entry in early.document["generations"])) == (4, sorted(ids))
    clock.forward(20)
    ended = slow.type("resume", "-o", "found")
    assert ended.code == 0
    assert len(ended.out.splitlines()) == len(list((slow.folder / "found").iterdir())) == 2
    again = slow.type("resume")
    assert (again.code, again.out) == (0, "")
    assert "nothing to resume" in again.err
    assert slow.type("resume", "--json").document == {"generations": [], "error": None}


def test_resume_names_what_is_unconfirmed_until_it_was_sent_again(terminal: Terminal, sandbox: Sandbox) -> None:
    id_ = unconfirmed(terminal, sandbox)
    assert f"flux-nodes status {id_}" in terminal.type("resume").err
    terminal.type("retry", id_, "--yes")
    assert id_ not in terminal.type("resume").err


def test_retry_three_times_pays_once_and_status_tells_what_it_was_sent_as(terminal: Terminal, sandbox: Sandbox) -> None:
    id_ = unconfirmed(terminal, sandbox, "--seed", "7")
    assert terminal.type("status", id_, "--json").document["retried_as"] is None
    first, *others = [terminal.type("retry", id_, "--yes", "--json", "-o", "again") for _ in range(3)]
    again = first.document["id"]
    assert [ended.code for ended in (first, *others)] == [0, 0, 0]
    assert {ended.document["id"] for ended in others} == {again}
    assert [ended.document["reused"] for ended in (first, *others)] == [False, True, True]
    assert sandbox.charges == 2
    told = terminal.type("status", id_).out
    assert f"sent again\tas {again}, which is stored" in told
    assert f"flux-nodes wait {again}" in told
    assert terminal.type("status", id_, "--json").document["retried_as"] == again
    assert terminal.type("retry", id_, "--yes", "--fresh").code == 0
    assert sandbox.charges == 3


def test_retry_with_fresh_says_before_it_pays_that_it_was_sent_again_already(
    terminal: Terminal, sandbox: Sandbox
) -> None:
    id_ = unconfirmed(terminal, sandbox, "--seed", "7")
    first = terminal.type("retry", id_, "--yes", "--json").document["id"]
    ended = terminal.type("retry", id_, "--fresh")
    assert ended.code == 2
    assert f"{id_}: it was sent again already, as {first}, which is stored: `flux-nodes wait {first}`" in ended.err
    assert f"Sending {id_} once more costs 1 credit on top of that" in ended.err
    assert sandbox.charges == 2


@pytest.mark.parametrize(
    ("kind", "status"),
    [("lost-after", "unconfirmed"), ("fail", "failed"), ("stuck", "running|submitted"), ("credits", None)],
)
def test_retry_with_fresh_tells_how_the_earlier_resend_ended(
    terminal: Terminal, sandbox: Sandbox, kind: Any, status: str | None
) -> None:
    id_ = unconfirmed(terminal, sandbox)
    sandbox.inject(Fault(where="submit", kind=kind))
    terminal.type("retry", id_, "--yes", "--timeout", "0.1")
    ended = terminal.type("retry", id_, "--fresh")
    assert ended.code == 2
    if status is None:  # it was refused and cost nothing, so it is no resend
        assert "sent again already" not in ended.err
    else:
        assert re.search(
            rf"it was sent again already, as g-\w+, which is ({status}): `flux-nodes (wait|status)", ended.err
        )


def test_status_names_every_resend(terminal: Terminal, sandbox: Sandbox) -> None:
    id_ = unconfirmed(terminal, sandbox, "--seed", "7")
    assert terminal.type("status", id_, "--json").document["resends"] == []
    ids = [
        terminal.type("retry", id_, "--yes", "--fresh", "--json").document["id"],
        terminal.type("retry", id_, "--yes", "--fresh", "--json").document["id"],
    ]
    told = terminal.type("status", id_)
    assert f"sent again\tas {ids[0]}, which is stored; as {ids[1]}, which is stored" in told.out
    document = terminal.type("status", id_, "--json").document
    assert (document["resends"], document["retried_as"]) == (ids, ids[1])


def test_status_names_the_resend_of_a_resend(terminal: Terminal, sandbox: Sandbox) -> None:
    id_ = unconfirmed(terminal, sandbox)
    sandbox.inject(Fault(where="submit", kind="lost-after"))
    (second,) = terminal.type("retry", id_, "--yes", "--json").document["error"]["ids"]
    third = terminal.type("retry", second, "--yes", "--json").document["id"]
    assert terminal.type("status", id_, "--json").document["resends"] == [second, third]
    assert terminal.type("status", second, "--json").document["resends"] == [third]


def test_retry_with_fresh_of_what_is_stored_sends_nothing(terminal: Terminal, sandbox: Sandbox) -> None:
    stored = terminal.type(*FOX, "--json").document["id"]
    ended = terminal.type("retry", stored, "--yes", "--fresh")
    assert ended.code == 2
    assert f"`flux-nodes wait {stored}` collects it" in ended.err
    assert sandbox.charges == 1


def test_retry_of_what_was_sent_again_needs_no_yes_and_says_that_it_is_free(
    terminal: Terminal, sandbox: Sandbox
) -> None:
    id_ = unconfirmed(terminal, sandbox)
    terminal.type("retry", id_, "--yes")
    ended = terminal.type("retry", id_, "-o", "again")
    assert ended.code == 0
    assert "it was sent again already" in ended.err
    assert "free of charge" in ended.err
    assert sandbox.charges == 2


def test_confirm_brings_home_what_was_paid_and_lost(terminal: Terminal, sandbox: Sandbox) -> None:
    id_ = unconfirmed(terminal, sandbox, "--seed", "7")
    (task,) = sandbox.tasks
    ended = terminal.type("confirm", id_, task.task_id)
    assert ended.code == 0
    assert f"task\t{task.task_id}" in ended.out
    assert "status\tstored" in ended.out
    assert terminal.type("confirm", id_, task.task_id, "--json").document["status"] == "stored"
    assert terminal.type("wait", id_).code == 0
    assert sandbox.charges == 1


@pytest.mark.parametrize("task", ["00000000-0000-4000-8000-000000000000", "two words", ""])
def test_confirm_refuses_a_task_that_nobody_knows_in_one_sentence(
    terminal: Terminal, sandbox: Sandbox, task: str
) -> None:
    id_ = unconfirmed(terminal, sandbox)
    ended = terminal.type("confirm", id_, task)
    assert (ended.code, ended.out) == (2, "")
    assert "Nothing was changed, nothing was paid" in ended.err
    assert terminal.type("status", id_, "--json").document["task_id"] is None


def test_status_of_an_intent_in_a_home_that_was_copied_says_that_nobody_knows(
    terminal: Terminal, sandbox: Sandbox
) -> None:
    id_ = unconfirmed(terminal, sandbox)
    with closing(sqlite3.connect(Path(os.environ["FLUX_NODES_HOME"]) / "journal.sqlite3")) as journal:
        journal.execute("UPDATE generations SET status = 'intent', owner = 'another-machine:4711.0123456789abcdef'")
        journal.commit()
    ended = terminal.type("status", id_)
    assert "status\tunconfirmed" in ended.out
    assert "nobody knows" in ended.out
    assert "still runs" not in ended.out


def test_a_failure_says_what_it_may_have_cost_and_status_repeats_it(terminal: Terminal, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="fail"))
    ended = terminal.type(*FOX, "--json")
    assert ended.code == 1
    assert "This may have cost 1 credit: it was accepted" in ended.err
    assert "paid\tThis may have cost 1 credit" in terminal.type("status", ended.document["id"]).out


@pytest.mark.parametrize("kind", ["credits", "errors", "429", "400"])
def test_a_refusal_says_that_nothing_was_paid(terminal: Terminal, sandbox: Sandbox, kind: Any) -> None:
    if kind.isdigit():
        sandbox.inject(Fault(where="submit", kind="refuse", status=int(kind), times=None))
    else:
        sandbox.inject(Fault(where="submit", kind=kind))
    ended = terminal.type(*FOX, "--timeout", "0.1")
    assert (ended.code, ended.err.count("Nothing was paid.")) == (3, 1)
    (refused,) = terminal.type("list", "--json").document["generations"]
    again = terminal.type("wait", refused["id"])
    assert (again.code, again.err.count("Nothing was paid.")) == (3, 1)
    assert sandbox.charges == 0


def test_a_lost_answer_is_not_said_to_come_of_a_service_that_could_not_be_reached(
    terminal: Terminal, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="lost-after"))
    ended = terminal.type(*FOX)
    assert "A request was sent to http" in ended.err
    assert "may have been accepted and charged" in ended.err
    assert "could not be reached" not in ended.err


def test_resume_says_what_is_unfinished_at_other_services(bare: Terminal, terminal: Terminal) -> None:
    bare.type(*FOX, "--seed", "1", "--no-wait", "--sandbox")
    bare.type(*FOX, "--seed", "2", "--no-wait", "--sandbox")
    ended = terminal.type("resume")
    assert ended.code == 0
    assert "There is nothing to resume at http://127.0.0.1" in ended.err
    assert "2 generations are unfinished at the sandbox: resume with --sandbox." in ended.err


def test_resume_on_the_sandbox_says_what_is_unfinished_at_the_service(bare: Terminal, slow: Terminal) -> None:
    slow.type(*FOX, "--no-wait")
    ended = bare.type("resume", "--sandbox")
    url = slow.environ["APIFRAME_BASE_URL"]
    assert f"1 generation is unfinished at {url}: resume without --sandbox and with APIFRAME_BASE_URL" in ended.err
    assert bare.type("resume", "--sandbox", "--json").err == ""
