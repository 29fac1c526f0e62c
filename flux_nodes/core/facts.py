"""What an image file tells of the generations that it came from, beside the graph that ComfyUI's own chunks hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .store import ImageStore

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .generation import Generation

CHUNK = "flux_nodes"
"""The name of the text chunk (PNG) or text (EXIF) that holds `document` as JSON."""

_STORE = ImageStore(Path("images"))
"""Where originals are, from the home: the home itself is nobody else's business."""


def document(
    made: Mapping[str, Sequence[Generation]], *, signed: Collection[str] = (), pixels: str | None = None
) -> dict[str, Any]:
    """Tell the generations of each node of a graph, by the node's id there.

    `signed` are the ids of those whose original brings content credentials; `pixels` is the digest of the file's own
    (`images.pixel_digest`). Nothing else of them gets into a file that people hand on: no address, no fingerprint, no
    name of a machine.
    """
    from .. import __version__

    digest = {} if pixels is None else {"pixels": pixels}
    nodes = {
        node: [facts(generation, signed=generation.id in signed) for generation in generations]
        for node, generations in made.items()
    }
    return {"software": f"flux-nodes {__version__}", **digest, "nodes": nodes}


def facts(generation: Generation, *, signed: bool = False) -> dict[str, Any]:
    """Tell one generation; a seed of None was left to the service, which does not say what it took.

    Of one whose original is `signed`, tell where that is: this file is a copy, and its signature is not.
    """
    told = {
        "generation_id": generation.id,
        "task_id": generation.task_id,
        "model": generation.model,
        "prompt": generation.prompt,
        "seed": generation.seed,
        "door": generation.door,
        "created_at": generation.created_at.isoformat(timespec="seconds"),
        "sha256": generation.sha256,
    }
    return {**told, "original": _original(generation)} if signed else told


def _original(generation: Generation) -> dict[str, Any]:
    file = _STORE.file(generation)
    return {
        "signed": "c2pa",
        "sha256": generation.sha256,
        "media_type": generation.media_type,
        "file": None if file is None else file.as_posix(),
    }
