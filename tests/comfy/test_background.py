"""Signals that would end ComfyUI while an answer is due: it is waited for, as after Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals for another process")

ROOT = Path(__file__).resolve().parents[2]
WAITING = """
import asyncio, sys, threading
from flux_nodes.comfy import background

background.hear_out_signals()

async def answered():
    with background.heard_out():
        print("sent", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print("written down", flush=True)

background.start(answered())
for _ in range(3000):
    threading.Event().wait(0.02)  # ComfyUI's loop wakes again and again; a thread that sleeps may miss a signal
"""


@contextmanager
def waiting() -> Iterator[subprocess.Popen[str]]:
    """A process that waits for an answer, which a line on its stdin is."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "sent\n"
        yield process
        process.kill()


@pytest.mark.parametrize(
    "sent",
    [[signal.SIGTERM], [signal.SIGHUP], [signal.SIGHUP, signal.SIGHUP]],
    ids=lambda sent: "-".join(map(str, sent)),
)
def test_an_answer_that_is_due_is_waited_for(sent: list[signal.Signals]) -> None:
    with waiting() as process:
        for each in sent:
            process.send_signal(each)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.3)
        out, _ = process.communicate("answer\n", timeout=60)
    assert (out, process.returncode) == ("written down\n", -sent[-1])


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(again: signal.Signals) -> None:
    with waiting() as process:
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(again)
        assert process.wait(60) == -again
