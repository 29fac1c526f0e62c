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
    assert re.match(r"g-\w{9}  \d{4}-\d\d-\d\d \d\d:\d\d  flux-pro-1.1  submitted  1     a \[red\].*…$", row.rstrip())
    assert len(row.rstrip()) <= 72
    assert text.startswith("id ")
    assert " door " not in text.splitlines()[0]
    wide = plain(seen(terminal, "list", columns=160))
    assert "door" in wide
    assert "Not shown" not in wide


@pytest.mark.parametrize(("columns", "left_out"), [(80, "door, service"), (60, "when, door, service")])
def test_a_list_keeps_the_cost_and_says_which_columns_a_narrow_terminal_has_no_room_for(
    terminal: Terminal, columns: int, left_out: str
) -> None:
    words = ("--model", "flux-pro-1.1-ultra", "--no-wait")
    terminal.type("generate", "waves that are higher than any house [sandbox: submit:lost-after]", *words)
    text = plain(seen(terminal, "list", columns=columns))
    row = next(line for line in text.splitlines() if line.startswith("g-"))
    assert re.search(r"  flux-pro-1.1-ultra  unconfirmed  1     waves.*…$", row.rstrip())
    assert len(row.rstrip()) <= columns
    assert f"Not shown, for the terminal is too narrow: {left_out}. --json has everything." in text


def test_a_long_path_stays_in_one_piece(terminal: Terminal) -> None:
    id_ = terminal.type("generate", "a fox", *SMALL, "--json").document["id"]
    file = terminal.type("status", id_, "--json").document["file"]
    assert file in plain(seen(terminal, "status", id_, columns=50))
    assert f"-{id_}.png\n" in plain(seen(terminal, "wait", id_, columns=30))
