from __future__ import annotations

import pytest

from flux_nodes.cli.exits import Interrupted, exit_code, gravest
from flux_nodes.core.errors import (
    GenerationFailed,
    ImageUnavailable,
    KeyRefused,
    MissingKey,
    ServiceUnreachable,
    StillRunning,
    StorageError,
    SubmitUnconfirmed,
    UnknownGeneration,
)

FAILED = GenerationFailed("failed", generation_id="g-1", task_id=None)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FAILED, 1),
        (ImageUnavailable("not there"), 1),
        (MissingKey("no key"), 2),
        (UnknownGeneration("unknown"), 2),
        (StorageError("full"), 2),
        (KeyRefused("refused", status=401), 3),
        (ServiceUnreachable("down"), 3),
        (SubmitUnconfirmed("lost"), 3),
        (StillRunning(["g-1"]), 4),
        (Interrupted(["g-1"]), 130),
    ],
)
def test_every_cause_has_its_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_of_several_errors_the_gravest_counts() -> None:
    running, refused, unknown = StillRunning(["g-1"]), KeyRefused("refused", status=401), UnknownGeneration("unknown")
    assert gravest([]) is None
    assert gravest([running, FAILED]) is FAILED
    assert gravest([FAILED, refused, running]) is refused
    assert gravest([refused, unknown, FAILED]) is unknown


def test_an_interruption_names_what_goes_on_and_says_that_collecting_is_free() -> None:
    words = str(Interrupted(["g-1", "g-2"]))
    assert "flux-nodes wait g-1 g-2" in words
    assert "free" in words
    assert "wait" not in str(Interrupted([]))
