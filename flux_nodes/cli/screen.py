"""What appears on the two streams: text for people, rows, and the one JSON document.

A terminal gets tables that fit it. A pipe gets one line a row, tabs between the cells, nothing cut.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Column:
    """A column.

    `wide` ones give way when the terminal is narrow: they are `cut` to one line, or wrapped. `spare` ones are left out
    then. `only` says where a column appears at all.
    """

    title: str
    wide: bool = False
    cut: bool = False
    spare: bool = False
    only: Literal["terminal", "pipe"] | None = None


def prepare_streams() -> None:
    """Let no character that a stream cannot write end the program: it is written as an escape instead."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


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
    """Write rows on stdout: a table on a terminal, tab-separated lines in a pipe."""
    terminal = is_terminal(sys.stdout)
    hidden = "pipe" if terminal else "terminal"
    kept = [at for at, column in enumerate(columns) if column.only != hidden]
    shown = [[one_line(row[at]) for at in kept] for row in rows]
    if terminal:
        from .tables import draw

        draw([columns[at] for at in kept], shown)
    else:
        for row in shown:
            write_line("\t".join(row))
