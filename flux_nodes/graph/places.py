"""Where the files of a workflow are read and written: three folders, and never outside them.

Source: ComfyUI's `folder_paths.py` (annotated names, get_save_image_path).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import InvalidImage, StorageError

if TYPE_CHECKING:
    from .events import Folder

_ANNOTATED = re.compile(r"^(?P<name>.*?) ?\[(?P<folder>input|output|temp)\]$", re.DOTALL)
_MOST_BYTES = 128 * 2**20
_LONGEST_NAME = 200
"""Bytes of a file name, before its counter; file systems take 255."""

_LONGEST_PART = 255


class OutsideError(ValueError):
    """A name that leads out of its folder, or that no file can have; the text says which."""


@dataclass(frozen=True, kw_only=True)
class Folders:
    """The folders of a workflow: what it loads, what it saves, and what it only shows."""

    input: Path
    output: Path
    temp: Path

    def of(self, folder: Folder) -> Path:
        """Return one of them by ComfyUI's name for it."""
        return {"input": self.input, "output": self.output, "temp": self.temp}[folder]


def within(base: Path, name: str) -> Path:
    """Return the path of a name in a folder, links resolved. Raises OutsideError when it leads anywhere else."""
    try:
        root = base.resolve()
        path = (root / name).resolve()
    except FileNotFoundError as error:  # a relative folder, where the working folder was deleted
        raise OutsideError(f"is in the folder {base}, which is not there any more") from error
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise OutsideError("is a name that no file can have") from error
    if not path.is_relative_to(root):
        raise OutsideError(f"leads out of the folder {base}")
    return path


def loadable(folders: Folders, name: str) -> Path:
    """Return the path of an image to load: "name", or "name [output]" in another folder. Raises OutsideError."""
    annotated = _ANNOTATED.match(name)
    folder = annotated["folder"] if annotated else "input"
    base: Path = getattr(folders, folder)
    plain = annotated["name"] if annotated else name
    # A graph that was saved on Windows has backslashes between folders; elsewhere a name may hold one.
    for spelled in dict.fromkeys((plain, plain.replace("\\", "/"))):
        path = within(base, spelled)
        if _is_file(path):
            return path
    raise OutsideError(f"is no file in the {folder} folder {base}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError) as error:
        raise OutsideError("is a name that no file can have") from error


def load(folders: Folders, name: str) -> bytes:
    """Return the bytes of an image to load. Raises InvalidImage."""
    try:
        with loadable(folders, name).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OutsideError as error:
        raise InvalidImage(f"The image {name!r} {error}.") from error
    except OSError as error:
        raise InvalidImage(f"The image {name!r} cannot be read: {error.strerror}.") from error
    if len(data) > _MOST_BYTES:
        raise InvalidImage(f"The image {name!r} is larger than {_MOST_BYTES // 2**20} MiB.")
    return data


@dataclass(frozen=True)
class Target:
    """Where images are saved: the folder, and what the file names begin with."""

    base: Path
    folder: Path
    stem: str

    @property
    def subfolder(self) -> str:
        """The folder's path in its base folder, as ComfyUI tells it."""
        relative = self.folder.relative_to(self.base.resolve())
        return "" if relative == Path() else relative.as_posix()


def target(base: Path, prefix: str) -> Target:
    """Return where a file name prefix leads, with its subfolders; an empty one leaves the number alone.

    Raises OutsideError.
    """
    if "\0" in prefix:
        raise OutsideError("is a name that no file can have")
    parts = Path(prefix.replace("\\", "/"))
    stem = parts.name
    if stem == ".." or (not stem and parts.anchor):
        raise OutsideError("names no file")
    folder = within(base, str(parts.parent))
    _require_folder(folder, base.resolve())
    return Target(base, folder, stem.encode(errors="replace")[:_LONGEST_NAME].decode(errors="ignore"))


def _require_folder(folder: Path, root: Path) -> None:
    """Raise OutsideError where a folder cannot be made: a file stands in its way, or its name is too long."""
    for part in (folder, *folder.parents):
        if part == root:
            return
        if len(os.fsencode(part.name)) > _LONGEST_PART:
            raise OutsideError(f"has a folder name of more than {_LONGEST_PART} bytes")
        if part.exists() and not part.is_dir():
            raise OutsideError(f"leads through {part.name}, which is a file")


def write_next(place: Target, data: bytes, *, stem: str) -> Path:
    """Write a file under the next free number, `stem_00001_.png`; nothing is ever overwritten. Raises StorageError."""
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        number = _last_number(place.folder, stem) + 1
        while True:
            path = place.folder / f"{stem}_{number:05}_.png"
            if _write_new(path, data):
                return path
            number += 1
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no file can have this name"
        raise StorageError(f"An image cannot be saved in {place.folder} as {stem}: {reason}.") from error


def _write_new(path: Path, data: bytes) -> bool:
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        return False
    return True


def _last_number(folder: Path, stem: str) -> int:
    numbered = re.compile(rf"{re.escape(stem)}_(\d+)", re.IGNORECASE)
    found = (numbered.match(entry.name) for entry in folder.iterdir())
    return max((int(match[1]) for match in found if match), default=0)
