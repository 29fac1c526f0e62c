"""A clock that a test moves by hand."""

from __future__ import annotations


class Clock:
    """Tells the time; it passes when it is told to, and by `tick` seconds whenever somebody looks."""

    def __init__(self) -> None:
        self.tick = 0.0
        self._now = 1_700_000_000.0

    def __call__(self) -> float:
        self._now += self.tick
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
