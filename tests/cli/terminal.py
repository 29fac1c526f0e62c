"""Two ways to type a command: in this process, and as a process of its own."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from flux_nodes.cli.door import door

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SMALL = ("--width", "256", "--height", "256")
"""What keeps pictures quick to make."""

LONGEST = 60.0
"""Seconds that any command may take here."""


_KEPT = ("PATH", "SYSTEMROOT", "FLUX_NODES_HOME", "TZ", "PYTHONPATH", "TESTS_CLOCK")
"""Where programs are, the home of the test, and the clock that `python3 -m tests --only clock` moves."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what it wrote on its two streams."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document on stdout; there must be nothing else."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Terminal:
    """A place to type commands in: a folder, and an environment of its own."""

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def type(self, *words: str, stdin: str | bytes | None = None) -> Ended:
        """Run a command in this process."""
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            result = CliRunner(env=self.environ).invoke(door, words, input=stdin, catch_exceptions=False)
        finally:
            os.chdir(before)
        return Ended(result.exit_code, result.stdout, result.stderr)

    def run(self, *words: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> Ended:
        """Run a command as a process to its end."""
        process = self.start(*words, environ=environ)
        out, err = process.communicate(stdin, timeout=LONGEST)
        return Ended(process.returncode, out.decode(), err.decode())

    def start(self, *words: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a command as a process."""
        return subprocess.Popen(
            [sys.executable, "-m", "flux_nodes", *words],
            cwd=self.folder,
            env=self.environment(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def see(self, command: Sequence[str], *, columns: int = 100, environ: Mapping[str, str] | None = None) -> Ended:
        """Run a program on a terminal of this width; `out` is everything that appeared there."""
        import fcntl  # not on Windows
        import termios

        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environ = self.environment({"TERM": "xterm-256color", **(environ or {})})
        process = subprocess.Popen(
            command, cwd=self.folder, env=environ, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        appeared = b""
        with os.fdopen(ours, "rb", buffering=0) as screen:
            while chunk := _read(screen.fileno()):
                appeared += chunk
        return Ended(process.wait(LONGEST), appeared.decode(), "")

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a process: nothing of the developer's but where programs are."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {**kept, "PYTHONWARNINGS": "error", **self.environ, **(more or {})}


def until(condition: Callable[[], object]) -> None:
    """Wait for something that another process does."""
    bounded, pause = time.monotonic() + LONGEST, threading.Event()
    while not condition():
        assert time.monotonic() < bounded, "it did not happen in time"
        pause.wait(0.02)


def plain(text: str) -> str:
    """Return what appeared on a terminal without colours and movements of the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)


def _read(screen: int) -> bytes:
    try:
        return os.read(screen, 65_536)
    except OSError:  # Linux says so when the other side has closed
        return b""
