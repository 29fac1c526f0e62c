"""Where an image prompt comes from: a stored generation, a file in an allowed folder, or base64. Nowhere else.

A stored generation is named by its id, or by the file that an answer told of it.

An assistant may be talked into naming any file of this machine, and an image prompt leaves the machine. So a path is
compared with the allowed folders before anything on the disk is touched, and again after links are followed; and what
is refused reads the same whether it exists or not.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from flux_nodes.core.errors import Fault, FluxNodesError, InvalidRequest
from mcp_server.imagine_arguments import IMAGE_SOURCES
from mcp_server.pictures import shown_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flux_nodes.core import Generations

_GENERATION = re.compile(r"g-[0-9a-z]{4,20}")
_STORED = re.compile("[0-9a-f]{64}")
"""How the name of a file in the image store begins: the SHA-256 of its bytes."""

_LONGEST_PATH = 4096
_JPEG = "/9j/"
"""How every JPEG file begins in base64: it looks like a path and is none."""


async def image_prompt(source: object, generations: Generations, folders: Sequence[Path]) -> bytes:
    """Return the bytes that an image prompt means; the first of the folders is the image store.

    Raises InvalidRequest with one fault.
    """
    if not isinstance(source, str) or not source.strip():
        raise _refused("is empty" if isinstance(source, str) else "is not text")
    text = source.strip()
    if _GENERATION.fullmatch(text):
        return await _of_generation(text, generations)
    if _is_path(text) and (shown := shown_by(Path(text), generations.settings)) is not None:
        return await _of_generation(shown, generations)  # the image alone: its graph is nobody else's business
    if _is_path(text):
        most = generations.settings.max_image_mib * 2**20
        return await asyncio.to_thread(_of_file, Path(text), folders, most)
    return _from_base64(text)


def _refused(problem: str) -> InvalidRequest:
    return InvalidRequest([Fault("image_prompt", problem, IMAGE_SOURCES)])


async def _of_generation(id_: str, generations: Generations) -> bytes:
    try:
        return await generations.data(await generations.get(id_))
    except FluxNodesError as error:
        raise _refused(str(error).rstrip(".")) from error


def _is_path(text: str) -> bool:
    return len(text) <= _LONGEST_PATH and not text.startswith(_JPEG) and Path(text).is_absolute()


def _of_file(path: Path, folders: Sequence[Path], most: int) -> bytes:
    data = _read(path, folders, most + 1)
    if data is None:
        raise _refused("is no file that may be read here")
    if len(data) > most:
        raise _refused(f"is a file of more than {most // 2**20} MiB")
    if _was_damaged(path, data, store=folders[0]):
        raise _refused("was damaged since it was stored; its generation_id fetches it again, free")
    return data


def _was_damaged(path: Path, data: bytes, *, store: Path) -> bool:
    """Tell whether this is a file of the image store whose bytes are no longer those that its name says."""
    named = _STORED.match(path.name)
    is_stored = named is not None and _is_in(Path(os.path.realpath(path)), [Path(os.path.realpath(store))])
    return is_stored and named is not None and named[0] != hashlib.sha256(data).hexdigest()


def _read(path: Path, folders: Sequence[Path], most: int) -> bytes | None:
    bare = Path(os.path.normpath(path))
    allowed = [folder.absolute() for folder in folders]
    real_folders = [Path(os.path.realpath(folder)) for folder in allowed]
    if not _is_in(bare, [*allowed, *real_folders]):
        return None
    try:
        real = bare.resolve(strict=True)
        if not _is_in(real, real_folders) or not real.is_file():
            return None
        with real.open("rb") as file:
            return file.read(most)
    except (OSError, RuntimeError, ValueError):  # RuntimeError: links in a circle, before Python 3.13
        return None


def _is_in(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _from_base64(text: str) -> bytes:
    bare = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(bare.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused("is neither a generation_id nor an absolute path nor base64") from error
