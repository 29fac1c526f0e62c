"""Streams as a shell hands them over: closed, full, or with nobody at the other end."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.terminal import LONGEST, SMALL, Ended, Terminal

if TYPE_CHECKING:
    from flux_nodes.sandbox import Sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="written for its shell and its /dev/full")


def typed(terminal: Terminal, command: str, *, module: str = "flux_nodes") -> Ended:
    """Type a command with redirections into a shell."""
    done = subprocess.run(
        ["bash", "-c", f"{shlex.quote(sys.executable)} -m {module} {command}"],
        cwd=terminal.folder,
        env=terminal.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("closing", [">&-", "2>&-", "2>/dev/full", "2> >(true)", "<&- >&- 2>&-"])
def test_a_picture_is_made_whichever_stream_is_closed(terminal: Terminal, sandbox: Sandbox, closing: str) -> None:
    ended = typed(terminal, f"generate fox {' '.join(SMALL)} {closing}")
    (file,) = terminal.folder.iterdir()
    assert (ended.code, sandbox.charges) == (0, 1)
    assert ended.out.split() == ([] if ">&-" in closing.split() else [file.name])
    assert ("done" in ended.err) is (closing == ">&-")


@pytest.mark.parametrize("command", ["list --json", "models", "--help", "nonsense --json"])
def test_output_that_cannot_be_written_is_one_sentence(bare: Terminal, command: str) -> None:
    ended = typed(bare, f"{command} >/dev/full")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert ended.err.startswith("Error: Standard output cannot be written (No space left on device).")


@pytest.mark.parametrize("command", ["generate --help", "models --parameters"])
def test_a_reader_that_goes_away_is_no_error(bare: Terminal, command: str) -> None:
    ended = typed(bare, f"{command} | true; exit ${{PIPESTATUS[0]}}")
    assert (ended.code, ended.err) == (0, "")


def test_a_prompt_from_a_closed_stream_is_bad_input(bare: Terminal) -> None:
    ended = typed(bare, "generate - --sandbox <&-")
    assert (ended.code, "prompt: is empty" in ended.err) == (2, True)


@pytest.mark.parametrize(("module", "words"), [("flux_nodes", "mcp <&-"), ("mcp_server", ">&-")])
def test_a_server_without_its_streams_says_so(bare: Terminal, module: str, words: str) -> None:
    ended = typed(bare, words, module=module)
    assert (ended.code, ended.out) == (2, "")
    assert "is closed" in ended.err
