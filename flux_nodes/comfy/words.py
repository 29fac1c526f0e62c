"""What stands under a node while it runs: its state in words and the time, a line for each of its runs."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..core.errors import FluxNodesError
from ..nodes.words import in_words, summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..core.generation import Generation

_LONGEST = 700
"""Characters under the node of an error that is not ours; ComfyUI shows all of it elsewhere. Ours end with the money
and the way out, so they are never cut here."""

_BEGINNING = 40
"""Characters of a prompt that names one run of several."""

_FREE = "reused, free"
_FRESH = "Pay again is on"

_PATIENCE = 4.0
"""Seconds without an answer to what is sent, after which it is said."""

_NO_ANSWER = "no answer from the service yet, it is tried for up to a minute"


class Board:
    """The lines under one node of one prompt, as the window sees them that asked for it."""

    def __init__(self, node_id: str, window: str | None) -> None:
        self._node_id = node_id
        self._window = window
        self._lines: dict[int, Line] = {}
        self._shown = ""
        self._before: dict[str, list[Any]] = {}

    def line(self, index: int, *, prompt: str = "", fresh: bool = False) -> Line:
        """Add the line of one run: the `index`-th of those that a list brings about, `fresh` if it pays each time."""
        self._lines[index] = added = Line(self, prompt=prompt, fresh=fresh)
        return added

    @property
    def percentage(self) -> float | None:
        """How far all runs are together; None until one of them has a generation."""
        known = [share for line in list(self._lines.values()) for share in line.shares()]
        return sum(known) / len(known) if known else None

    def made(self, index: int, generations: Sequence[Generation]) -> list[Generation]:
        """Note what a run has made, and return what all of them have, in their order."""
        self._lines[index].made = tuple(generations)
        return [generation for at in sorted(self._lines) for generation in self._lines[at].made]

    @property
    def succeeded(self) -> bool:
        """Whether all runs have ended well."""
        return all(line.final and not line.trouble for line in list(self._lines.values()))

    def in_window(self, window: str | None) -> Board:
        """Return the same last words, and the pictures with them, for another window."""
        same = Board(self._node_id, window)
        same._shown = self._shown
        same._before = _joined([self._lines[at].pictures for at in sorted(self._lines)])
        return same

    def show(self) -> None:
        """Write the lines under the node, where they differ from what stands there."""
        text = "\n".join(_told([self._lines[at] for at in sorted(self._lines)]))
        if text.strip() and text != self._shown:
            self._shown = text
            _send(text, self._node_id, self._window)

    def repeat(self, prompt_id: str) -> None:
        """Write what stands there again; where a prompt has not run the node, show its pictures again too."""
        if self._before and self._window is not None:
            _send_pictures(self._before, self._node_id, self._window, prompt_id)
        if self._shown:
            _send(self._shown, self._node_id, self._window)


class Line:
    """What is known of one run of a node."""

    def __init__(self, board: Board, *, prompt: str, fresh: bool) -> None:
        self.prompt = " ".join(prompt.split())
        self.fresh = fresh
        self.pictures: Mapping[str, Sequence[Any]] = {}
        self.made: tuple[Generation, ...] = ()
        self.final = ""
        self.trouble = False
        self._took: float | None = None
        self._board = board
        self._since = monotonic()
        self._generations: dict[str, Generation] = {}
        self._waited = False
        self._sending: float | None = None

    @property
    def seconds(self) -> float:
        """How long it runs, or ran."""
        return monotonic() - self._since if self._took is None else self._took

    @property
    def generations(self) -> tuple[Generation, ...]:
        """The generations that it is about, as they were last seen."""
        return self.made or tuple(self._generations.values())

    @property
    def ids(self) -> tuple[str, ...]:
        """The generations that it is about."""
        return tuple(self._generations)

    def moved(self, generation: Generation) -> None:
        """Note that a generation has moved, and show it."""
        self._generations[generation.id] = generation
        self._sending = self._sending or monotonic()
        self._waited = self._waited or not generation.settled
        self.show()

    def shares(self) -> list[float]:
        """Say how far each generation is, 0 to 100."""
        return [_share(generation) for generation in list(self._generations.values())]

    def words(self) -> str:
        """Say how it stands."""
        if self.final or not self._generations:
            return self.final
        passed = f" · {int(self.seconds)} s" if self.seconds >= 1 else ""
        slow = f" · {_NO_ANSWER}" if self._unanswered() else ""
        return in_words(list(self._generations.values())) + slow + passed

    def _unanswered(self) -> bool:
        """Tell whether the service is silent for long about all that is sent to it."""
        sending = all(generation.status == "intent" for generation in self._generations.values())
        return sending and self._sending is not None and monotonic() - self._sending > _PATIENCE

    def show(self) -> None:
        """Bring what stands under the node up to date."""
        self._board.show()

    def end(self, words: str, *, trouble: bool = False) -> None:
        """Show the last words of this run; `trouble` is what a summary of many must not swallow."""
        self._took = self.seconds
        self.final = words
        self.trouble = trouble
        self.show()

    def succeed(self, text: str, generations: Sequence[Generation]) -> None:
        """Show what came of it: `text`, with the time if it was waited for."""
        stored = _stored(generations)
        text = f"{text} · {_FRESH}" if self.fresh else text
        if stored and self._waited:
            return self.end(f"stored in {self.seconds:.1f} s · {text}")
        if stored and all(generation.reused for generation in generations) and _FREE not in text:
            return self.end(f"{_FREE} · {text}")
        return self.end(text)

    def fail(self, error: BaseException) -> None:
        """Show that it failed, and why: what matters first, for a frontend may show no more than two lines."""
        reason = " ".join(str(error).split()) or type(error).__name__
        ours = isinstance(error, FluxNodesError)
        self.end(f"failed · {reason if ours else shortened(reason, _LONGEST)}", trouble=True)


def _told(lines: Sequence[Line]) -> list[str]:
    """Say how the runs of a node stand: one by itself; many as one and what went wrong, for there is little room."""
    if len(lines) == 1:
        return [lines[0].words()]
    made = [generation for line in lines for generation in line.generations]
    named = list(zip(_names(lines), lines, strict=True))
    troubles = [f"{name} {line.final}" for name, line in named if line.trouble]
    if not made:
        return troubles or [f"{name} {line.words()}" for name, line in named]
    seconds = max(line.seconds for line in lines)
    if troubles or not all(line.final for line in lines):
        return [f"{in_words(made)} · {int(seconds)} s", *troubles, *_kept(lines)]
    fresh = f" · {_FRESH}" if any(line.fresh for line in lines) else ""
    return [f"stored in {seconds:.1f} s · {summary(made)}{fresh}"] if _new(made) else [f"{summary(made)}{fresh}"]


def _names(lines: Sequence[Line]) -> list[str]:
    """Call each run by the beginning of its prompt, or by its number where that is another's too."""
    beginnings = [shortened(line.prompt, _BEGINNING) for line in lines]
    return [
        f'"{beginning}":' if beginning and beginnings.count(beginning) == 1 else f"{at}."
        for at, beginning in enumerate(beginnings, 1)
    ]


def _kept(lines: Sequence[Line]) -> list[str]:
    """Say what becomes of the runs that ended well beside those that did not, once all have ended."""
    well = [line for line in lines if not line.trouble]
    if not all(line.final for line in lines) or not any(_stored(line.generations) for line in well):
        return []
    kept = "The others are kept in the FLUX sidebar"
    if any(line.fresh for line in well):
        return [f"{kept}. {_FRESH}: running this graph again pays for them once more."]
    return [f"{kept}, and come free when the same is run again."]


def _stored(generations: Sequence[Generation]) -> bool:
    return bool(generations) and all(generation.status == "stored" for generation in generations)


def _new(generations: Sequence[Generation]) -> bool:
    """Tell whether all of them were made just now, and not found."""
    return all(generation.status == "stored" and not generation.reused for generation in generations)


def _share(generation: Generation) -> float:
    if generation.settled or generation.status == "finished":
        return 100.0
    return float(generation.percentage or 0)


def shortened(text: str, longest: int) -> str:
    """Return the beginning of a text that is longer than so many characters."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _joined(shown: Sequence[Mapping[str, Sequence[Any]]]) -> dict[str, list[Any]]:
    """Join what several runs of a node show, as ComfyUI does."""
    shown = [each for each in shown if each]
    return {key: [item for each in shown for item in each[key]] for key in shown[0]} if shown else {}


def _send_pictures(pictures: Mapping[str, Sequence[Any]], node_id: str, window: str, prompt_id: str) -> None:
    """Show pictures on a node once more, if their files are still there: as ComfyUI does when a node has run."""
    from server import PromptServer

    if all(_is_there(picture) for picture in pictures["images"]):
        shown = {"node": node_id, "display_node": node_id, "output": pictures, "prompt_id": prompt_id}
        PromptServer.instance.send_sync("executed", shown, window)


def _is_there(picture: Mapping[str, str]) -> bool:
    import folder_paths

    folder = folder_paths.get_directory_by_type(picture["type"])
    return folder is not None and Path(folder, picture["subfolder"], picture["filename"]).is_file()


def _send(text: str, node_id: str, window: str | None) -> None:
    from server import PromptServer

    # The frontend of ComfyUI 0.3.75 takes it for markup, and an error's words may be a service's.
    PromptServer.instance.send_progress_text(text.replace("<", "‹"), node_id, window)
