"""Tables on a terminal, drawn with rich to the width that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .screen import write_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .screen import Column

_GAP = 2
_LONGEST_WORD = 32
"""How long a word may be and still stay whole."""

_STYLES: Mapping[str, str] = {
    "ok": "green",
    "stored": "green",
    "wrong": "bold red",
    "failed": "red",
    "refused": "red",
    "unconfirmed": "yellow",
}


def draw(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """Draw a table on stdout, and return the titles of columns with cells for which there was no room."""
    console = Console()
    kept = _fitting(columns, rows, console.width)
    left_out = [columns[at].title for at in range(len(columns)) if at not in kept and any(row[at] for row in rows)]
    if len(kept) == 1:
        # Nothing to align: the terminal wraps a long path by itself, and it can be copied in one piece.
        for row in rows:
            write_line(row[kept[0]])
        return left_out
    titled = any(column.title for column in columns)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim", show_header=titled)
    for at in kept:
        least = _longest_word(row[at] for row in rows) if columns[at].wide and not columns[at].cut else None
        table.add_column(columns[at].title, no_wrap=not columns[at].wide, overflow="fold", min_width=least)
    for row in rows:
        table.add_row(*(_cell(columns[at], row[at]) for at in kept))
    console.print(table)
    return left_out


def _cell(column: Column, text: str) -> Text:
    # A Text, so that brackets in a prompt are no markup.
    cell = Text(text, style=_STYLES.get(text, ""))
    if column.cut:
        cell.no_wrap, cell.overflow = True, "ellipsis"
    return cell


def _fitting(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return which columns to draw: as many of the spare ones as leave room for the others."""
    needs = [_need(column, [row[at] for row in rows]) for at, column in enumerate(columns)]
    kept = [at for at, column in enumerate(columns) if not column.spare or any(row[at] for row in rows)]
    while sum(needs[at] + _GAP for at in kept) - _GAP > width:
        spare = [at for at in kept if columns[at].spare]
        if not spare:
            break
        kept.remove(spare[-1])
    return kept


def _need(column: Column, cells: Sequence[str]) -> int:
    natural = max(map(cell_len, (column.title, *cells)))
    return min(natural, max(column.least, 0 if column.cut else _longest_word(cells))) if column.wide else natural


def _longest_word(cells: Iterable[str]) -> int:
    words = (cell_len(word) for cell in cells for word in cell.split())
    return min(max(words, default=0), _LONGEST_WORD)


def draw_entries(entries: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Draw names with the lines that are told of each: the first plain, the others dim."""
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, (first, *others) in entries:
        table.add_row(Text(name, style="bold"), Text(first))
        for line in others:
            table.add_row("", Text(line, style="dim"))
    Console().print(table)
