"""What appears on the two streams: text for people, rows, and the one JSON document.

A terminal gets tables that fit it. A pipe gets one line a row, tabs between the cells, nothing cut.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeVar, cast

import click

from ..core.streams import plug_closed_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Answer = TypeVar("Answer")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Column:
    """A column.

    `wide` ones give way when the terminal is narrow: they are `cut` to one line, or wrapped. `spare` ones are left out
    then, the last one first. `least` is how narrow a wide one may become before that. `only` says where a column
    appears at all.
    """

    title: str
    wide: bool = False
    cut: bool = False
    spare: bool = False
    least: int = 16
    only: Literal["terminal", "pipe"] | None = None


class OutputLost(Exception):
    """Standard output cannot be written; `unread` when nobody reads it any more, which is no error (`| head`)."""

    def __init__(self, cause: OSError) -> None:
        self.unread = isinstance(cause, BrokenPipeError)
        super().__init__(
            f"Standard output cannot be written ({cause.strerror or cause}). Whatever was asked for is in the journal: "
            "`flux-nodes list` shows it."
        )


class _Guarded:
    """A stream whose failures are ours to tell: every other attribute is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text."""
        return self._guard(lambda: self._stream.write(text)) or 0

    def flush(self) -> None:
        """Write what is buffered."""
        self._guard(self._stream.flush)

    def _guard(self, act: Callable[[], Answer]) -> Answer | None:
        raise NotImplementedError


class _Output(_Guarded):
    """Standard output: what is lost there is told."""

    def _guard(self, act: Callable[[], Answer]) -> Answer:
        try:
            return act()
        except OSError as error:
            raise OutputLost(error) from error


class _Chatter(_Guarded):
    """Standard error: that nobody can read it, as when a terminal has closed, must not end what may be paid."""

    def _guard(self, act: Callable[[], Answer]) -> Answer | None:
        with suppress(OSError):
            return act()
        return None


def prepare_streams() -> None:
    """Make the streams safe to write to.

    No character that a stream cannot write ends the program: it is written as an escape instead. Closed streams lead to
    nowhere, a failure of stdout is OutputLost, and one of stderr is nothing.
    """
    plug_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    if not isinstance(sys.stdout, _Guarded):
        sys.stdout = cast("TextIO", _Output(sys.stdout))
    if not isinstance(sys.stderr, _Guarded):
        sys.stderr = cast("TextIO", _Chatter(sys.stderr))


def abandon_output() -> None:
    """Lead stdout to nowhere: what is still buffered must not be complained of when the process ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person looks at this stream."""
    return stream is not None and stream.isatty()


def printable(text: str) -> str:
    """Return text without control characters: words of others must not steer the terminal."""
    return _CONTROL.sub("", text)


def one_line(text: str) -> str:
    """Return text as a single line."""
    return printable(" ".join(text.split()))


def write_line(line: str, stream: TextIO | None = None) -> None:
    """Write a line on a stream, stdout unless given."""
    # The stream is named because click would write UTF-8 to one that is known to take only ASCII.
    click.echo(line, file=stream or sys.stdout)


def say(text: str, *, to_stdout: bool = False) -> None:
    """Write a line for people: on stderr, unless it is what was asked for."""
    write_line(printable(text), sys.stdout if to_stdout else sys.stderr)


def write_json(document: Mapping[str, object]) -> None:
    """Write the one JSON document of a command; every character as itself where the stream can."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") in {"utf8", "utf8sig"}
    write_line(json.dumps(document, ensure_ascii=not unicode, indent=2))


def write_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Write names and values on stdout, a line each; a long path stays in one piece, to be copied."""
    if not is_terminal(sys.stdout):
        write_rows((Column(""), Column("")), pairs)
        return
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        write_line(f"{click.style(f'{name:{width}}', dim=True)}  {one_line(value)}")


def write_rows(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Write rows on stdout: a table on a terminal, tab-separated lines in a pipe.

    Columns that a terminal is too narrow for are named on stderr.
    """
    terminal = is_terminal(sys.stdout)
    hidden = "pipe" if terminal else "terminal"
    kept = [at for at, column in enumerate(columns) if column.only != hidden]
    shown = [[one_line(row[at]) for at in kept] for row in rows]
    if terminal:
        from .tables import draw

        left_out = draw([columns[at] for at in kept], shown)
        if left_out:
            say(f"Not shown, for the terminal is too narrow: {', '.join(left_out)}. --json has everything.")
    else:
        for row in shown:
            write_line("\t".join(row))
