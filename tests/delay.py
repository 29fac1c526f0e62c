"""Slow replies of a sandbox that last for as long as a test needs, on a machine of any speed."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK = 0.01
"""Seconds between two looks whether replies are still held back."""


class Delay:
    """How a sandbox waits over the replies that a fault makes slow: hand it over as `Sandbox(sleep=…)`.

    They take the time that their fault says, but none comes while the delay is `held`. So with `seconds=0` a reply
    takes exactly as long as the test is not done with what has to happen before it.
    """

    def __init__(self) -> None:
        self._is_held = False

    async def __call__(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while self._is_held:  # noqa: ASYNC110 - the test that lets go is in another thread
            await asyncio.sleep(_LOOK)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold back every slow reply."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
