"""Keeps what a stopped node has left behind: its generations go on, and are collected in the background, free."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from ..core.errors import FluxNodesError, StillRunning
from . import background
from .guidance import Run, guided
from .telling import notice, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.generation import Generation
    from ..core.settings import Settings

_TOGETHER = 0.5
"""Seconds that a notice waits for the other nodes of its prompt: a person stops them all at once, and reads once."""

_following: set[str] = set()
_leaving: dict[str, list[str]] = {}


def collect(settings: Settings, ids: Sequence[str], *, window: str | None = None) -> None:
    """Follow generations to their stored images, in the background, for as long as the settings' timeout allows.

    Callable from any thread. What cannot be collected becomes a notice, in the window that asked for them, or in all
    where none is named.
    """
    if ids:
        background.leave(_collect(settings, tuple(ids), window))


async def _collect(settings: Settings, ids: tuple[str, ...], window: str | None) -> None:
    from .shared import shared

    new = [id_ for id_ in dict.fromkeys(ids) if id_ not in _following]
    _following.update(new)
    seen: dict[str, Generation] = {}
    try:
        async with shared(settings) as generations, aclosing(generations.follow(*new)) as moves:
            async for moved in moves:
                seen[moved.id] = moved
                tell(moved)
    except StillRunning as error:
        time = f"After {settings.timeout / 60:g} minutes still running at the service"
        ids_ = " ".join(error.generation_ids)
        detail = f"{time}: Collect in the FLUX sidebar looks again, free. ({ids_})"
        notice("warn", "ComfyUI has stopped looking", detail, window=window)
    except FluxNodesError as error:
        told = guided(error, Run(alone=True, generations=tuple(seen.values())))
        notice("warn", "Not all FLUX generations could be collected", str(told), window=window)
    finally:
        _following.difference_update(new)


def leave(prompt_id: str, settings: Settings, ids: Sequence[str], *, window: str | None) -> None:
    """Collect what a stopped node of a prompt has left behind, and tell the person so. Only in the background.

    Who follows the prompt in no `window` is told nothing: it is no business of those who have others open.
    """
    if prompt_id not in _leaving:
        _leaving[prompt_id] = []
        background.leave(_tell_left(prompt_id, window))
    _leaving[prompt_id] += ids
    collect(settings, ids, window=window)


async def _tell_left(prompt_id: str, window: str | None) -> None:
    await asyncio.sleep(_TOGETHER)
    left = left_in_words(_leaving.pop(prompt_id))
    if window is not None:
        notice("info", "FLUX goes on", left, window=window)


def left_in_words(ids: Sequence[str]) -> str:
    """Say what goes on, and how it is had."""
    apart = list(dict.fromkeys(ids))
    those, are = ("goes on", "is") if len(apart) == 1 else ("go on", "are")
    return (
        f"{' '.join(apart)} {those} at the service and {are} collected free: the FLUX sidebar has "
        f"{'it' if len(apart) == 1 else 'them'} then."
    )
