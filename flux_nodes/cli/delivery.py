"""Delivery: the service's own bytes, copied from the store to a folder, under a name that says what it is."""

from __future__ import annotations

import re
import unicodedata
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import StorageError

if TYPE_CHECKING:
    from ..core.generation import Generation

_LONGEST_SLUG = 40


def slug(prompt: str) -> str:
    """Return the words of a prompt as they can stand in a file name: a-z, 0-9 and hyphens, at most 40 characters."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(words) <= _LONGEST_SLUG:
        return words
    whole = words[: _LONGEST_SLUG + 1].rpartition("-")[0]
    return whole or words[:_LONGEST_SLUG]


def file_stem(generation: Generation) -> str:
    """Return the file name of a generation's image, without its ending: model, words of the prompt, id."""
    return "-".join(filter(None, (generation.model, slug(generation.prompt), generation.id)))


def near(file: Path) -> str:
    """Return a file's path as a person here would type it: from the current folder, if it is below that."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def prepare_folder(folder: Path) -> None:
    """Make the folder, before anything is paid for. Raises StorageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"Nothing was sent: the folder {folder} cannot be made ({error.strerror}). Choose another with --output."
        ) from error


def deliver(generation: Generation, data: bytes, *, extension: str, folder: Path) -> Path:
    """Write the image into a folder and return its file. Raises StorageError.

    A file that is there already is never overwritten: if it is this image it is taken, else the next free name is.
    """
    stem = file_stem(generation)
    for number in count(1):
        target = folder / (f"{stem}{extension}" if number == 1 else f"{stem}-{number}{extension}")
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
