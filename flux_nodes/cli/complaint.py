"""Telling of errors: a sentence on stderr, and with `--json` a document on stdout."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from ..core.commands import sandbox_hint
from ..core.errors import Faulty, PartlyFailed
from .screen import is_terminal, printable, say, write_line

if TYPE_CHECKING:
    from collections.abc import Iterable


def generation_ids(error: BaseException) -> list[str]:
    """Return the ids of the generations that an error, or one of those that it is made of, is about."""
    several: Iterable[str] = getattr(error, "generation_ids", ())
    one: str | None = getattr(error, "generation_id", None)
    parts = [*getattr(error, "errors", ()), *(failure.error for failure in getattr(error, "failures", ()))]
    inner = [id_ for part in parts for id_ in generation_ids(part)]
    return list(several) or ([one] if one else inner)


def error_document(error: BaseException, message: str | None = None) -> dict[str, object]:
    """Return what `--json` says under `error`: type, message, ids, and what it is made of when it is made of parts."""
    document: dict[str, object] = {
        "type": type(error).__name__,
        "message": str(error) if message is None else message,
        "ids": generation_ids(error),
    }
    if isinstance(error, Faulty):
        document["faults"] = [vars(fault) for fault in error.faults]
    if failures := getattr(error, "failures", ()):
        document["nodes"] = [
            {"node": failure.node.id, "title": failure.node.title, **error_document(failure.error)}
            for failure in failures
        ]
        document["stored"] = list(getattr(error, "stored", ()))
    if isinstance(error, PartlyFailed):
        document["errors"] = [error_document(part) for part in error.errors]
        document["stored"] = list(error.stored)
    return document


def complain(message: str) -> None:
    """Write an error's sentence on stderr."""
    coloured = is_terminal(sys.stderr) and not os.environ.get("NO_COLOR")
    title = click.style("Error:", fg="red", bold=True) if coloured else "Error:"
    write_line(f"{title} {printable(message)}", sys.stderr)


def complain_of(errors: Iterable[Exception], *, on_sandbox: bool) -> None:
    """Write each sentence once, and how to reach the generations that are meant."""
    told = {str(error): error for error in errors}
    for message in told:
        complain(message)
    hint_sandbox(told, on_sandbox=on_sandbox)


def hint_sandbox(texts: Iterable[str], *, on_sandbox: bool | None = None) -> None:
    """Say that the commands which texts name want `--sandbox`, where this command was given it."""
    if on_sandbox is None:
        on_sandbox = click.get_current_context().obj.sandbox
    hint = sandbox_hint(texts)
    if on_sandbox and hint:
        say(hint)
