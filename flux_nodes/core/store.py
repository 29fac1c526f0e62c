"""Where the images are: each file under the SHA-256 of its bytes, the very bytes that the service sent."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from .errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader
    from pathlib import Path

    from .generation import Generation

Found = TypeVar("Found")

EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/heic-sequence": ".heics",
    "image/heif": ".heif",
    "image/heif-sequence": ".heifs",
    "image/jxl": ".jxl",
    "image/jp2": ".jp2",
    "image/jxr": ".jxr",
    "image/svg+xml": ".svg",
    "image/vnd.adobe.photoshop": ".psd",
    "image/vnd.microsoft.icon": ".ico",
    "image/x-exr": ".exr",
    "image/x-qoi": ".qoi",
}
"""The ending of a file's name, by its media type; any other has ".img".

Files are found by it: a line may be added for a type that no version has stored yet, and none may change. Up to 0.3.0
multi-picture JPEGs were "image/mpo", and have ".img".
"""

GRAPH = ".json"
"""The ending of a file that holds the graph which asked for a generation."""

_DIGITS = 64
"""Hexadecimal digits of a SHA-256."""


class ImageStore:
    """A folder of files named by their content. Putting the same bytes twice keeps one file.

    Whatever is read is compared with its digest first: a file that was changed, cut or damaged since is not given out.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str, extension: str) -> Path:
        """Return where the file of this digest is put."""
        return self.folder / sha256[:2] / f"{sha256}{extension}"

    def file(self, generation: Generation) -> Path | None:
        """Return the file of a generation's image, which may be damaged or missing; None while it has none."""
        if generation.sha256 is None:
            return None
        usual = self.path(generation.sha256, _extension(generation))
        # Another version may have known another ending for its media type.
        return usual if usual.is_file() else next(self._others(usual), usual)

    def holds(self, generation: Generation) -> bool:
        """Tell whether a generation's image is in the store, byte for byte. Raises StorageError."""
        return generation.sha256 is not None and self._find(generation.sha256, _extension(generation)) is not None

    def seems_whole(self, generation: Generation) -> bool:
        """Tell the same, reading only what was written to since the image was stored: for a look at all of them."""
        file = self.file(generation)
        try:
            facts = None if file is None else file.stat()
        except OSError:
            return False
        if facts is None or facts.st_size != generation.size:
            return False
        return facts.st_mtime <= generation.updated_at.timestamp() or self.holds(generation)

    def read(self, generation: Generation) -> bytes | None:
        """Return the bytes of a generation's image; None when they are missing or damaged. Raises StorageError."""
        if generation.sha256 is None:
            return None
        return self._read(generation.sha256, _extension(generation))

    def get(self, sha256: str, extension: str) -> bytes:
        """Return the bytes of this digest. Raises StorageError, also when they are missing or damaged."""
        data = self._read(sha256, extension)
        if data is None:
            raise StorageError(self.loss(self.path(sha256, extension)))
        return data

    def loss(self, file: Path) -> str:
        """Say in a sentence what is wrong with a file that is missing or damaged."""
        if not file.is_file():
            return f"The file {file} is no longer there."
        return f"The file {file} was changed or damaged: its bytes no longer have the SHA-256 that is its name."

    def put(self, data: bytes, extension: str) -> tuple[str, Path]:
        """Keep these bytes; return their SHA-256 and their file, which is mended if it was damaged.

        Raises StorageError.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        target = self.path(sha256, extension)
        with suppress(StorageError):  # what cannot be read is replaced
            if _has(target, sha256):
                return sha256, target
        try:
            write_whole(target, data)
        except OSError as error:
            raise StorageError(
                f"The image store cannot be written in {target.parent}: {error.strerror or error}."
            ) from error
        return sha256, target

    def _read(self, sha256: str, extension: str) -> bytes | None:
        """Return the bytes that have this digest, read once: what is given out is what was compared."""
        usual = self.path(sha256, extension)
        found = (_intact(file, sha256) for file in (usual, *self._others(usual)))
        return next((data for data in found if data is not None), None)

    def _find(self, sha256: str, extension: str) -> Path | None:
        """Return a file that has this digest indeed. Raises StorageError when one cannot be read."""
        usual = self.path(sha256, extension)
        return next((file for file in (usual, *self._others(usual)) if _has(file, sha256)), None)

    def _others(self, usual: Path) -> Iterator[Path]:
        """Yield files of the same digest under other endings: one digest, the same bytes."""
        digest = usual.name[:_DIGITS]
        yield from (file for file in sorted(usual.parent.glob(f"{digest}*")) if file != usual)


def _extension(generation: Generation) -> str:
    return EXTENSIONS.get(generation.media_type or "", ".img")


def _has(file: Path, sha256: str) -> bool:
    """Tell whether a file is there and has this digest. Raises StorageError when it cannot be read."""
    return _used(file, lambda opened: hashlib.file_digest(opened, "sha256").hexdigest()) == sha256


def _intact(file: Path, sha256: str) -> bytes | None:
    """Return a file's bytes if it is there and they have this digest. Raises StorageError when it cannot be read."""
    data = _used(file, lambda opened: opened.read())
    return data if data is not None and hashlib.sha256(data).hexdigest() == sha256 else None


def _used(file: Path, use: Callable[[BufferedReader], Found]) -> Found | None:
    """Return what `use` makes of a file; None where there is none. Raises StorageError when it cannot be read."""
    try:
        if not file.is_file():
            return None
        with file.open("rb") as opened:
            return use(opened)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> StorageError:
    return StorageError(f"The image {file} cannot be read: {error.strerror or error}.")


def write_whole(target: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file so that it is there whole or not at all: a temporary name, synced to disk, then renamed.

    Raises OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)  # noqa: PTH101 - a name from mkstemp, not a path to reason about
        os.replace(name, target)  # noqa: PTH105 - likewise
    except OSError:
        os.unlink(name)  # noqa: PTH108 - likewise
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where the system lets a folder be synced; the file is there in any case."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
