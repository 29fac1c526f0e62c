"""Progress for people, on stderr: a bar for each generation on a terminal, a line for each step otherwise."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from .screen import is_terminal, one_line, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from ..core.generation import Generation, Status

_WORDS: Mapping[Status, str] = {
    "intent": "being sent",
    "submitted": "accepted",
    "running": "running",
    "finished": "downloading",
    "stored": "done",
    "failed": "failed",
    "refused": "refused",
    "unconfirmed": "unconfirmed",
}
_STEP = 25
"""How many percent a line must tell of more than the last one did."""


class Progress(Protocol):
    """Shows how far generations are."""

    def show(self, generation: Generation, label: str = "") -> None:
        """Show a generation as it stands; `label` is what it is called, its id unless given."""

    def note(self, text: str) -> None:
        """Show a line of its own."""


class Silence:
    """Shows nothing."""

    def show(self, generation: Generation, label: str = "") -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""


class Lines:
    """Writes a line when a generation has taken a step worth telling."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[Status, int]] = {}

    def show(self, generation: Generation, label: str = "") -> None:
        """Write a line, unless the last one said the same."""
        step = (generation.percentage or 0) // _STEP if generation.status == "running" else 0
        if self._told.get(generation.id) == (generation.status, step):
            return
        self._told[generation.id] = (generation.status, step)
        say(f"{label or generation.id}: {_state(generation)}")

    def note(self, text: str) -> None:
        """Write the line."""
        say(text)


class Bars:
    """Draws a bar for each generation."""

    def __init__(self, drawing: RichProgress) -> None:
        self._drawing = drawing
        self._bars: dict[str, TaskID] = {}

    def show(self, generation: Generation, label: str = "") -> None:
        """Draw the bar of a generation as it stands."""
        if generation.id not in self._bars:
            self._bars[generation.id] = self._drawing.add_task(one_line(label or generation.id), total=None, state="")
        bar = self._bars[generation.id]
        ended = generation.settled
        self._drawing.update(
            bar,
            # Before the service tells a percentage the bar only pulses.
            total=None if generation.percentage is None and not ended else 100,
            completed=100 if generation.status == "stored" else generation.percentage or 0,
            state=_WORDS[generation.status],
        )
        if ended:
            self._drawing.stop_task(bar)

    def note(self, text: str) -> None:
        """Write the line above the bars."""
        from rich.text import Text

        self._drawing.console.print(Text(one_line(text)))


def _state(generation: Generation) -> str:
    percentage = f", {generation.percentage} %" if generation.status == "running" and generation.percentage else ""
    return _WORDS[generation.status] + percentage


@contextmanager
def progress(*, silent: bool) -> Iterator[Progress]:
    """Choose how progress is shown: not at all for programs, as bars or as lines for people."""
    if silent:
        yield Silence()
    elif not is_terminal(sys.stderr):
        yield Lines()
    else:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        with RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[state]}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        ) as drawing:
            yield Bars(drawing)
