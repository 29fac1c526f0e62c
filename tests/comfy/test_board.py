"""What stands under a node: who is told, and how often."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING

from flux_nodes.comfy.board import Board
from flux_nodes.core.generation import Generation

if TYPE_CHECKING:
    from tests.comfy.windows import Windows

MANY = 300
NOW = datetime.now(UTC)


def generation(at: int) -> Generation:
    return Generation(
        id=f"g-{at}",
        door="comfyui",
        service="https://api.example",
        fingerprint="",
        request={"prompt": "a hill", "model": "flux-dev"},
        status="intent",
        created_at=NOW,
        updated_at=NOW,
        credits=1.0,
    )


def test_words_go_to_the_window_that_asked_by_its_name_alone(windows: Windows) -> None:
    Board("7", "mine").line("7", 0).end("done")
    assert windows.written == [("done", "7", "mine")]


def test_where_no_window_has_asked_nothing_is_told(windows: Windows) -> None:
    board = Board("7", None)
    board.line("7", 0).end("done")
    board.repeat("a prompt")
    assert not windows.written
    assert not windows.events


def test_last_words_are_told_once_more_by_an_event_of_our_own(windows: Windows) -> None:
    board = Board("7", "mine")
    board.line("7", 0).end("<b>done")
    board.repeat("a prompt")
    assert windows.events == [("flux-nodes.words", {"prompt_id": "a prompt", "node": "7", "text": "‹b>done"}, "mine")]


def test_however_often_the_runs_of_a_list_move_they_are_drawn_twice_a_second_and_at_their_end(windows: Windows) -> None:
    board, begun = Board("7", "mine"), monotonic()
    lines = [board.line("7", at, prompt="a hill") for at in range(MANY)]
    made = [generation(at) for at in range(MANY)]
    for percentage in range(0, 100, 10):
        for line, known in zip(lines, made, strict=True):
            line.moved(replace(known, status="running", percentage=percentage))
    assert 1 <= len(windows.written) <= 1 + 2 * (monotonic() - begun)
    assert board.percentage("7") == 90
    stored = [replace(known, status="stored", width=320, height=256) for known in made]
    for line, known in zip(lines, stored, strict=True):
        line.moved(known)
        line.succeed("done", [known])
    assert len(windows.written) <= 4 + 2 * (monotonic() - begun), "the last two are drawn at once"
    assert windows.written[-1][0].startswith("stored in ")
    assert f"{MANY} images" in windows.written[-1][0]


def test_nodes_that_a_loop_brings_about_share_the_words_and_keep_what_they_made_apart(windows: Windows) -> None:
    board = Board("7", "mine")
    for at, own in enumerate(("7", "9.0.0.7")):
        line = board.line(own, 0, prompt="a hill")
        known = replace(generation(at), status="stored", width=320, height=256)
        line.moved(known)
        assert board.made(own, 0, [known]) == [known]
        line.succeed("done", [known])
    assert "2 images" in windows.written[-1][0]
    assert {node for _, node, _ in windows.written} == {"7"}
