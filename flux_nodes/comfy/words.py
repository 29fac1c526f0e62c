"""What is said of the runs of a node: their state in words and the time."""

from __future__ import annotations

from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..core.errors import FluxNodesError
from ..nodes.words import in_words, summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..core.generation import Generation
    from .board import Board

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


class Line:
    """What is known of one run of a node."""

    def __init__(self, board: Board, *, prompt: str, fresh: bool) -> None:
        self.prompt = " ".join(prompt.split())
        self.fresh = fresh
        self.pictures: Mapping[str, Sequence[Any]] = {}
        self.made: tuple[Generation, ...] = ()
        self.signed: frozenset[str] = frozenset()
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
    def moving(self) -> tuple[Generation, ...]:
        """Those that it waits for, as they were last seen."""
        return tuple(self._generations.values())

    def moved(self, generation: Generation) -> None:
        """Note that a generation has moved, and show it."""
        self._generations[generation.id] = generation
        self._sending = self._sending or monotonic()
        self._waited = self._waited or not generation.settled
        self._board.show()

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

    def end(self, words: str, *, trouble: bool = False) -> None:
        """Show the last words of this run; `trouble` is what a summary of many must not swallow."""
        self._took = self.seconds
        self.final = words
        self.trouble = trouble
        self._board.finish(self)

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


def told(lines: Sequence[Line]) -> list[str]:
    """Say how the runs of a node stand: one by itself; many as one and what went wrong, for there is little room."""
    if len(lines) == 1:
        return [lines[0].words()]
    made = [generation for line in lines for generation in line.generations]
    troubles = [f"{name} {line.final}" for name, line in _named(lines) if line.trouble] if _in_trouble(lines) else []
    if not made:
        return troubles or [f"{name} {line.words()}" for name, line in _named(lines)]
    seconds = max(line.seconds for line in lines)
    if troubles or not all(line.final for line in lines):
        return [f"{in_words(made)} · {int(seconds)} s", *troubles, *_kept(lines)]
    fresh = f" · {_FRESH}" if any(line.fresh for line in lines) else ""
    return [f"stored in {seconds:.1f} s · {summary(made)}{fresh}"] if _new(made) else [f"{summary(made)}{fresh}"]


def _in_trouble(lines: Sequence[Line]) -> bool:
    return any(line.trouble for line in lines)


def _named(lines: Sequence[Line]) -> list[tuple[str, Line]]:
    """Call each run by the beginning of its prompt, or by its number where that is another's too."""
    beginnings = [shortened(line.prompt, _BEGINNING) for line in lines]
    times = Counter(beginnings)
    return [
        (f'"{beginning}":' if beginning and times[beginning] == 1 else f"{at}.", line)
        for at, (beginning, line) in enumerate(zip(beginnings, lines, strict=True), 1)
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


def share(generation: Generation) -> float:
    """Say how far a generation is, 0 to 100."""
    if generation.settled or generation.status == "finished":
        return 100.0
    return float(generation.percentage or 0)


def shortened(text: str, longest: int) -> str:
    """Return the beginning of a text that is longer than so many characters."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"
