from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from flux_nodes.sandbox import Fault, Sandbox
from tests.cli.terminal import LONGEST, SMALL, Terminal, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Clock
    from tests.delay import Delay

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")


def pressed_while_waiting(process: subprocess.Popen[bytes], sandbox: Sandbox, clock: Clock) -> tuple[str, str]:
    """Press Ctrl-C when the process has asked the service a few times how its tasks stand; return what it wrote."""
    while sum(request.path.startswith("/fetch") for request in sandbox.requests) < 4:
        assert clock.asked.wait(LONGEST)
        clock.asked.clear()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LONGEST)
    return out.decode(), err.decode()


def test_ctrl_c_names_what_goes_on_and_it_can_be_collected(slow: Terminal, slow_sandbox: Sandbox, clock: Clock) -> None:
    process = slow.start("generate", "a fox", *SMALL, "--count", "2")
    out, err = pressed_while_waiting(process, slow_sandbox, clock)
    ids = [entry["id"] for entry in slow.type("list", "--json").document["generations"]]
    assert (process.returncode, out) == (130, "")
    assert len(ids) == 2
    assert all(id_ in err for id_ in ids)
    assert "free" in err
    assert "Traceback" not in err
    clock.forward(20)
    assert slow.type("wait", *ids).code == 0


def test_ctrl_c_gives_a_document_of_those_that_go_on(slow: Terminal, slow_sandbox: Sandbox, clock: Clock) -> None:
    done = slow.type("generate", "a fox", *SMALL, "--no-wait").out.strip()
    clock.forward(20)
    slow.type("wait", done)
    id_ = slow.type("generate", "a fox", "--no-wait").out.strip()
    process = slow.start("wait", done, id_, "--json")
    out, err = pressed_while_waiting(process, slow_sandbox, clock)
    assert process.returncode == 130
    assert json.loads(out)["error"] | {"message": ""} == {"type": "Interrupted", "message": "", "ids": [id_]}
    assert id_ in err


@contextmanager
def sending(terminal: Terminal, sandbox: Sandbox, delay: Delay) -> Iterator[subprocess.Popen[bytes]]:
    """A command whose request the service has accepted, and holds its answer back until the end."""
    sandbox.inject(Fault(where="submit", kind="slow", seconds=0))
    with delay.held():
        process = terminal.start("generate", "a fox", *SMALL)
        until(lambda: sandbox.tasks)
        yield process


@pytest.mark.parametrize(
    "sent", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGHUP], [signal.SIGHUP, signal.SIGHUP]], ids=str
)
def test_a_signal_while_a_request_is_on_its_way_still_names_its_id(
    terminal: Terminal, sandbox: Sandbox, delay: Delay, sent: list[signal.Signals]
) -> None:
    with sending(terminal, sandbox, delay) as process:
        for each in sent:  # a closing terminal sends SIGHUP twice
            process.send_signal(each)
    _, err = process.communicate(timeout=LONGEST)
    (entry,) = terminal.type("list", "--json").document["generations"]
    assert (process.returncode, sandbox.charges) == (130, 1)
    assert f"flux-nodes wait {entry['id']}" in err.decode()
    assert terminal.type("wait", entry["id"]).code == 0


@pytest.mark.parametrize("again", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_command_at_once(
    terminal: Terminal, sandbox: Sandbox, delay: Delay, again: signal.Signals
) -> None:
    with sending(terminal, sandbox, delay) as process:
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(again)
        _, err = process.communicate(timeout=LONGEST)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert b"may be paid: `flux-nodes resume` tells" in err
    (entry,) = terminal.type("list", "--json").document["generations"]
    assert terminal.type("status", entry["id"], "--json").document["status"] == "unconfirmed"


def test_a_signal_that_is_ignored_stays_ignored(terminal: Terminal, sandbox: Sandbox, delay: Delay) -> None:
    sandbox.inject(Fault(where="submit", kind="slow", seconds=0))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with delay.held():
            process = terminal.start("generate", "a fox", *SMALL)
            until(lambda: sandbox.tasks)
            process.send_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    process.communicate(timeout=LONGEST)
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_says_at_once_that_an_answer_is_awaited(
    terminal: Terminal, sandbox: Sandbox, delay: Delay, number: signal.Signals
) -> None:
    with sending(terminal, sandbox, delay) as process:
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.readline()  # before the answer comes
    process.communicate(timeout=LONGEST)
    assert b"Waiting for the answer to a request that may be paid; the same signal again ends this at once" in said
