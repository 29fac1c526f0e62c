"""Where the images are: each file under the SHA-256 of its bytes, the very bytes that the service sent."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING

from .errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from .generation import Generation

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


class ImageStore:
    """A folder of files named by their content. Putting the same bytes twice keeps one file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str, extension: str) -> Path:
        """Return where the file of this digest stands, or would stand."""
        return self.folder / sha256[:2] / f"{sha256}{extension}"

    def file(self, generation: Generation) -> Path | None:
        """Return the file of a generation's image; None while it has none."""
        if generation.sha256 is None:
            return None
        return self.path(generation.sha256, EXTENSIONS.get(generation.media_type or "", ".img"))

    def holds(self, generation: Generation) -> bool:
        """Tell whether a generation's image is still on the disk."""
        file = self.file(generation)
        return file is not None and file.is_file()

    def read(self, generation: Generation) -> bytes:
        """Return the bytes of a generation's image. Raises StorageError."""
        if generation.sha256 is None:
            raise StorageError(f"Generation {generation.id} has no image in the store.")
        return self.get(generation.sha256, EXTENSIONS.get(generation.media_type or "", ".img"))

    def get(self, sha256: str, extension: str) -> bytes:
        """Return the bytes of this digest. Raises StorageError."""
        file = self.path(sha256, extension)
        try:
            return file.read_bytes()
        except OSError as error:
            raise StorageError(f"The image {file} cannot be read: {error.strerror or error}.") from error

    def put(self, data: bytes, extension: str) -> tuple[str, Path]:
        """Keep these bytes; return their SHA-256 and their file. Raises StorageError."""
        sha256 = hashlib.sha256(data).hexdigest()
        target = self.path(sha256, extension)
        try:
            if not target.is_file() or target.stat().st_size != len(data):
                write_whole(target, data)
        except OSError as error:
            raise StorageError(f"The image cannot be written to {target.parent}: {error.strerror or error}.") from error
        return sha256, target


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
