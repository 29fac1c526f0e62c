from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.faults import TRIALS, Trial, line, run

if TYPE_CHECKING:
    from flux_nodes.sandbox import Fault

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"

CONTACTED: list[str] = []
"""The hosts that this process has tried to connect to, since the first test that asked."""


@cache
def note_contacts() -> None:
    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.connect":
            CONTACTED.append(str(arguments[1]))

    sys.addaudithook(note)


def hurried(trial: Trial) -> Trial:
    """The same trial with a service that wants no pause before the next request."""

    def at_once(fault: Fault) -> Fault:
        waits = fault.where == "fetch" and fault.kind == "refuse" and fault.retry_after is None
        return replace(fault, retry_after=0) if waits else fault

    return replace(trial, faults=tuple(at_once(fault) for fault in trial.faults))


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
async def test_a_generation_that_meets_this_fault_ends_as_promised(trial: Trial, tmp_path: Path) -> None:
    assert await run(hurried(trial), tmp_path) == trial.promise


def test_the_page_shows_the_table_as_it_is_promised() -> None:
    lines = PAGE.read_text("utf-8").splitlines()
    first = lines.index("| fault | what the caller got | paid tasks | id kept | image home |") + 2
    assert lines[first : first + len(TRIALS) + 1] == [*(line(trial, trial.promise) for trial in TRIALS), ""]


async def test_a_private_address_that_an_image_is_redirected_to_is_not_even_contacted(tmp_path: Path) -> None:
    note_contacts()
    (trial,) = (each for each in TRIALS if "private address" in each.name)
    assert (await run(trial, tmp_path)).got == "ImageUnavailable"
    assert any("127.0.0.1" in contact for contact in CONTACTED)
    assert not any("10.1.2.3" in contact for contact in CONTACTED)


def test_no_fault_of_the_table_is_there_twice() -> None:
    names = [trial.name for trial in TRIALS]
    assert len(names) == len(set(names))
