"""What stands under a node while it runs, as the window sees it that asked for it: a line for each of its runs."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from .telling import last_words
from .words import Line, share, told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..core.generation import Generation

_PAUSE = 0.5
"""Seconds between two drawings while several runs go on: a list may have a thousand, and each of them moves often."""


class Board:
    """The lines under one node of one prompt. Nodes that a loop has made of it stand there too.

    Nothing is shown where no window has asked.
    """

    def __init__(self, node_id: str, window: str | None) -> None:
        self._node_id = node_id
        self.window = window
        self._lines: dict[tuple[str, int], Line] = {}
        self._unfinished: set[Line] = set()
        self._shown = ""
        self._before: list[Any] = []
        self._drawn = float("-inf")
        self._put_off = False
        self._in_the_air = 0
        self._ticker: asyncio.Task[None] | None = None

    def line(self, node_id: str, index: int, *, prompt: str = "", fresh: bool = False) -> Line:
        """Add the line of one run: the `index`-th of those that a list brings about, `fresh` if it pays each time.

        `node_id` is the node's own id, which in a loop is another in each round.
        """
        self._lines[node_id, index] = added = Line(self, prompt=prompt, fresh=fresh)
        self._unfinished.add(added)
        return added

    def percentage(self, node_id: str) -> float | None:
        """Say how far all runs of a node are together; None until one of them has a generation."""
        known = [share(each) for line in self._of(node_id) for each in line.moving]
        return sum(known) / len(known) if known else None

    def made(self, node_id: str, index: int, generations: Sequence[Generation]) -> list[Generation]:
        """Note what a run of a node has made, and return what all of them have, in their order."""
        self._lines[node_id, index].made = tuple(generations)
        return [generation for line in self._of(node_id) for generation in line.made]

    def signed(self, node_id: str) -> frozenset[str]:
        """Return the ids of those that a node has made whose originals bring content credentials."""
        return frozenset().union(*(line.signed for line in self._of(node_id)))

    def _of(self, node_id: str) -> list[Line]:
        return [self._lines[place] for place in sorted(self._lines) if place[0] == node_id]

    def _all(self) -> list[Line]:
        return [self._lines[place] for place in sorted(self._lines)]

    @property
    def succeeded(self) -> bool:
        """Whether all runs have ended well."""
        return all(line.final and not line.trouble for line in self._all())

    def in_window(self, window: str | None) -> Board:
        """Return the same last words, and the pictures with them, for another window."""
        same = Board(self._node_id, window)
        same._shown = self._shown
        same._before = [picture for line in self._all() for picture in line.pictures.get("images", ())]
        return same

    def show(self) -> None:
        """Write the lines under the node; while several runs go on, at most twice a second."""
        self._put_off = len(self._unfinished) > 1 and monotonic() - self._drawn < _PAUSE
        if not self._put_off:
            self._draw()

    def finish(self, line: Line) -> None:
        """Note that a line has its last words, and show them."""
        self._unfinished.discard(line)
        self.show()

    def _draw(self) -> None:
        """Write the lines under the node, where they differ from what stands there."""
        self._drawn = monotonic()
        text = "\n".join(told(self._all()))
        if text.strip() and text != self._shown:
            self._shown = text
            self._write(text)

    def _write(self, text: str) -> None:
        if self.window is None:
            return  # a script that follows nothing: without a window's name ComfyUI would tell them all
        from server import PromptServer

        PromptServer.instance.send_progress_text(_harmless(text), self._node_id, sid=self.window)

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Let the time under the node go on while a run is under way. Only in the background."""
        self._in_the_air += 1
        if self._ticker is None:
            self._ticker = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            self._in_the_air -= 1
            if not self._in_the_air:
                self._ticker.cancel()
                self._ticker = None
                if self._put_off:
                    self._draw()

    async def _tick(self) -> None:
        """Show every second."""
        while True:
            longest = max((line.seconds for line in list(self._unfinished)), default=0.0)
            await asyncio.sleep(1 - longest % 1)
            self.show()

    def repeat(self, prompt_id: str) -> None:
        """Tell the window what stood there; where a prompt has not run the node, with its pictures."""
        if self.window is not None and self._shown:
            there = all(_is_there(picture) for picture in self._before)
            words = _harmless(self._shown)
            last_words(prompt_id, self._node_id, words, self._before if there else (), window=self.window)


def _harmless(text: str) -> str:
    """Return a text that the frontend of ComfyUI 0.3.75, which takes it for markup, shows as it is."""
    return text.replace("<", "‹")  # an error's words may be a service's


def _is_there(picture: Mapping[str, str]) -> bool:
    import folder_paths

    folder = folder_paths.get_directory_by_type(picture["type"])
    return folder is not None and Path(folder, picture["subfolder"], picture["filename"]).is_file()
