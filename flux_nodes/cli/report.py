"""The end of a command that made or collected images: rows or a document, pictures, complaints, exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..core.errors import FluxNodesError, StillRunning
from .complaint import complain_of, error_document
from .delivery import near
from .documents import generation_document
from .exits import DONE, exit_code, gravest
from .inline import show_pictures
from .screen import Column, write_json, write_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .collect import Outcome

_FILES = (Column("file"), Column("pixels", spare=True, only="terminal"), Column("seed", spare=True, only="terminal"))


def report(outcomes: Sequence[Outcome], *, as_json: bool, several: bool) -> int:
    """Render outcomes and return the exit code; `several` chooses the form of the document."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if as_json:
        write_json(_document(outcomes, errors) if several else _entry(outcomes[0]))
    else:
        _show(outcomes)
    complain_of(_together(errors), on_sandbox=click.get_current_context().obj.sandbox)
    worst = gravest(errors)
    return DONE if worst is None else exit_code(worst)


def _show(outcomes: Sequence[Outcome]) -> None:
    files = [outcome.file for outcome in outcomes if outcome.file is not None]
    if files:
        write_rows(_FILES, [row for outcome in outcomes for row in _row(outcome)])
        show_pictures(files)


def _row(outcome: Outcome) -> list[tuple[str, str, str]]:
    generation = outcome.generation
    if outcome.file is None or generation is None:
        return []
    seed = "" if generation.seed is None else str(generation.seed)
    return [(near(outcome.file), generation.pixels or "", seed)]


def _together(errors: Sequence[FluxNodesError]) -> list[FluxNodesError]:
    """Tell of all that still run in one sentence, so that one command collects them."""
    running = [id_ for error in errors if isinstance(error, StillRunning) for id_ in error.generation_ids]
    others = [error for error in errors if not isinstance(error, StillRunning)]
    return [*others, StillRunning(running)] if running else others


def _document(outcomes: Sequence[Outcome], errors: Sequence[FluxNodesError]) -> dict[str, object]:
    worst = gravest(errors)
    return {
        "generations": [_entry(outcome) for outcome in outcomes if outcome.id is not None],
        "error": None if worst is None else error_document(worst),
    }


def _entry(outcome: Outcome) -> dict[str, object]:
    error = None if outcome.error is None else error_document(outcome.error)
    if outcome.generation is None:
        return {"id": outcome.id, "error": error}
    return {**generation_document(outcome.generation, outcome.file, outcome.original), "error": error}
