"""What an image file tells of the generations that it came from, beside the graph that ComfyUI's own chunks hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .generation import Generation

CHUNK = "flux_nodes"
"""The name of the text chunk (PNG) or text (EXIF) that holds `document` as JSON."""


def document(made: Mapping[str, Sequence[Generation]]) -> dict[str, Any]:
    """Tell the generations of each node of a graph, by the node's id there.

    Nothing else of them gets into a file that people hand on: no address, no fingerprint, no name of a machine.
    """
    from .. import __version__

    return {
        "software": f"flux-nodes {__version__}",
        "nodes": {node: [facts(generation) for generation in generations] for node, generations in made.items()},
    }


def facts(generation: Generation) -> dict[str, Any]:
    """Tell one generation; a seed of None was left to the service, which does not say what it took."""
    return {
        "generation_id": generation.id,
        "task_id": generation.task_id,
        "model": generation.model,
        "prompt": generation.prompt,
        "seed": generation.seed,
        "door": generation.door,
        "created_at": generation.created_at.isoformat(timespec="seconds"),
        "sha256": generation.sha256,
    }
