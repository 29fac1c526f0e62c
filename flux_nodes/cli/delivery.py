"""Delivery: an image in a folder, with its graph in it or as the service sent it, under a name that says what it is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import StorageError

if TYPE_CHECKING:
    from ..core.generation import Generation


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How images are delivered: into which folder, and whether as the service's own bytes."""

    folder: Path
    original: bool = False


def near(file: Path) -> str:
    """Return a file's path as a person here would type it: from the current folder, if it is below that."""
    try:
        here = Path.cwd()
    except OSError:  # the current folder was deleted
        return str(file)
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def prepare_folder(folder: Path) -> None:
    """Make the folder, and make sure that it takes files, before anything is paid for. Raises StorageError."""
    import tempfile  # commands that deliver nothing start without it

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, prefix=".flux-nodes-"):
            pass
    except OSError as error:
        raise StorageError(
            f"Nothing was sent, nothing was paid: the folder {folder} takes no files ({error.strerror or error}). "
            "Choose another with --output."
        ) from error


def deliver(generation: Generation, data: bytes, *, folder: Path, name: str) -> Path:
    """Write the image into a folder and return its file. Raises StorageError.

    A file that is there already is never overwritten: if it is this image it is taken, else the next free name is.
    """
    stem, dot, ending = name.rpartition(".")
    for number in count(1):
        target = folder / (name if number == 1 else f"{stem}-{number}{dot}{ending}")
        try:
            if _written(target, data) or target.read_bytes() == data:
                return target
        except IsADirectoryError:
            continue
        except OSError as error:
            raise StorageError(
                f"The image of {generation.id} cannot be written to {folder}: {error.strerror}. It is kept: "
                f"`flux-nodes wait {generation.id} --output DIR` copies it to another folder, free of charge."
            ) from error
    raise AssertionError("unreachable: count() has no end")


def _written(target: Path, data: bytes) -> bool:
    """Write a new file whole; False when there is one of this name."""
    try:
        file = target.open("xb")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(data)
    except OSError:
        target.unlink(missing_ok=True)
        raise
    return True
