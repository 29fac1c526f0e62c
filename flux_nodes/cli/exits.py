"""Exit codes: what a script can tell from the end of a command.

0 done · 1 the generation failed, or its image could not be had · 2 bad input, nothing was sent · 3 the service refused
or could not be reached · 4 still running · 130 interrupted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.errors import (
    FluxNodesError,
    GenerationFailed,
    ImageUnavailable,
    InvalidSettings,
    PartlyFailed,
    ServiceError,
    StillRunning,
    UnreadableImage,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

DONE = 0
FAILED = 1
BAD_INPUT = 2
SERVICE = 3
STILL_RUNNING = 4
INTERRUPTED = 130

_BY_SEVERITY = (STILL_RUNNING, FAILED, SERVICE, BAD_INPUT, INTERRUPTED)


class Interrupted(Exception):
    """A signal ended the command; `generation_ids` are those that were started and had not ended.

    `at_once` after a second one, which waits for no answer. It is no FluxNodesError: nothing that looks after those may
    take it for one and go on.
    """

    def __init__(self, generation_ids: Iterable[str], *, at_once: bool = False) -> None:
        self.generation_ids = tuple(generation_ids)
        ids = " ".join(self.generation_ids)
        started = (
            f" What was started goes on at the service: {ids}. "
            f"Nothing is lost: collect later, free of charge, with `flux-nodes wait {ids}`."
            if ids
            else ""
        )
        unheard = " A request was still unanswered and may be paid: `flux-nodes resume` tells." if at_once else ""
        super().__init__(
            f"Interrupted.{started}{unheard}" if started or unheard else "Interrupted. Nothing is under way."
        )


_CODES: tuple[tuple[type[Exception], int], ...] = (
    (GenerationFailed, FAILED),
    (InvalidSettings, BAD_INPUT),
    (ImageUnavailable, FAILED),
    (UnreadableImage, FAILED),
    (ServiceError, SERVICE),
    (StillRunning, STILL_RUNNING),
    (Interrupted, INTERRUPTED),
)


def exit_code(error: BaseException) -> int:
    """Return the code of an error.

    That of a workflow which failed is the gravest of its nodes'; of several generations that failed, the first's.
    """
    if isinstance(error, PartlyFailed):
        return exit_code(error.errors[0])
    causes = [failure.error for failure in getattr(error, "failures", ())]
    if causes:
        return max(map(exit_code, causes), key=_BY_SEVERITY.index)
    other = BAD_INPUT if isinstance(error, FluxNodesError) else FAILED
    return next((code for kind, code in _CODES if isinstance(error, kind)), other)


def gravest(errors: Iterable[FluxNodesError]) -> FluxNodesError | None:
    """Return the worst that happened: bad input, then the service, then a failure, then still running."""
    return max(errors, key=lambda error: _BY_SEVERITY.index(exit_code(error)), default=None)
