from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.terminal import SMALL, plain

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals of this kind")


def seen(terminal: Terminal, *words: str, columns: int = 100, environ: dict[str, str] | None = None) -> str:
    ended = terminal.see([sys.executable, "-m", "flux_nodes", *words], columns=columns, environ=environ)
    assert ended.code == 0, ended.out
    return ended.out


def test_a_generation_draws_a_bar_then_a_table_and_the_picture(terminal: Terminal) -> None:
    screen = seen(terminal, "generate", "a [bold]fox[/bold]", *SMALL, "--seed", "7", environ={"TERM": "xterm-kitty"})
    text = plain(screen)
    assert re.search(r"g-\w+ ━+ 100% done", text)
    assert re.search(r"flux-pro-1\.1-a-bold-fox-bold-g-\w+\.png +256×256 +7", text)
    assert "\x1b_Ga=T,f=100" in screen


def test_a_terminal_that_shows_no_pictures_gets_none(terminal: Terminal) -> None:
    assert "\x1b_G" not in seen(terminal, "generate", "a fox", *SMALL)


def test_a_list_fits_a_narrow_terminal_and_keeps_its_ids_whole(terminal: Terminal) -> None:
    terminal.type("generate", "a [red]fox[/red] with a very long tail, " * 5, "--no-wait")
    text = plain(seen(terminal, "list", columns=72))
    row = next(line for line in text.splitlines() if line.startswith("g-"))
    assert re.match(r"g-\w{9}  \d{4}-\d\d-\d\d \d\d:\d\d  flux-pro-1.1  submitted  a \[red\]fox.*…$", row.rstrip())
    assert len(row.rstrip()) <= 72
    assert "door" not in text
    assert "door" in plain(seen(terminal, "list", columns=160))


def test_a_long_path_stays_in_one_piece(terminal: Terminal) -> None:
    id_ = terminal.type("generate", "a fox", *SMALL, "--json").document["id"]
    file = terminal.type("status", id_, "--json").document["file"]
    assert file in plain(seen(terminal, "status", id_, columns=50))
    assert f"-{id_}.png\n" in plain(seen(terminal, "wait", id_, columns=30))
