from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.cli.terminal import LONGEST, SMALL

if TYPE_CHECKING:
    import subprocess

    from tests.cli.conftest import Clock
    from tests.cli.terminal import Terminal

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")


def interrupted_after(process: subprocess.Popen[bytes], words: bytes) -> tuple[bytes, bytes]:
    """Press Ctrl-C as soon as these words are on stderr; return what was written until then, and afterwards."""
    assert process.stderr is not None
    before = b""
    while words not in before:
        line = process.stderr.readline()
        assert line, before
        before += line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LONGEST)
    return out, before + err


def test_ctrl_c_names_what_goes_on_and_it_can_be_collected(slow: Terminal, clock: Clock) -> None:
    process = slow.start("generate", "a fox", *SMALL, "--count", "2")
    out, err = interrupted_after(process, b"accepted\n")
    words = err.decode()
    ids = [entry["id"] for entry in slow.type("list", "--json").document["generations"]]
    assert process.returncode == 130
    assert ids
    assert all(id_ in words for id_ in ids)
    assert "free" in words
    assert "Traceback" not in words
    assert out == b""
    clock.forward(20)
    assert slow.type("wait", *ids).code == 0


def test_ctrl_c_gives_a_document_too(slow: Terminal, clock: Clock) -> None:
    id_ = slow.type("generate", "a fox", "--no-wait").out.strip()
    clock.asked.clear()
    process = slow.start("wait", id_, "--json")
    # With --json nothing is written before the end: that the service is asked tells that it waits.
    assert clock.asked.wait(LONGEST)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LONGEST)
    assert process.returncode == 130
    assert json.loads(out)["error"] | {"message": ""} == {"type": "Interrupted", "message": "", "ids": [id_]}
    assert id_ in err.decode()
