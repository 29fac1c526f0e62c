"""The JSON documents of `--json`: stable, so that programs can rely on them (docs/cli.md describes each key)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..core.generation import Generation
    from ..core.journal import Spending

_REQUEST = frozenset({"model", "prompt", "seed"})


def generation_document(
    generation: Generation, file: Path | None, original: Path | None, *, resends: Sequence[Generation] = ()
) -> dict[str, object]:
    """Return a generation as JSON, with absolute paths of its image: `file`, and the service's own bytes.

    `resends` are what it was sent again as; the last is the one that counts.
    """
    return {
        "id": generation.id,
        "task_id": generation.task_id,
        "status": generation.status,
        "percentage": generation.percentage,
        "model": generation.model,
        "prompt": generation.prompt,
        "seed": generation.seed,
        "parameters": {name: value for name, value in generation.request.items() if name not in _REQUEST},
        "file": _absolute(file),
        "original": _absolute(original),
        "media_type": generation.media_type,
        "size": generation.size,
        "width": generation.width,
        "height": generation.height,
        "sha256": generation.sha256,
        "message": generation.message,
        "credits": generation.credits,
        "reused": generation.reused,
        "retry_of": generation.retry_of,
        "retried_as": resends[-1].id if resends else None,
        "resends": [one.id for one in resends],
        "door": generation.door,
        "service": generation.service,
        "created_at": generation.created_at.isoformat(),
        "updated_at": generation.updated_at.isoformat(),
    }


def _absolute(file: Path | None) -> str | None:
    return None if file is None else str(file.absolute())


def spending_documents(spending: Sequence[Spending]) -> list[dict[str, object]]:
    """Return what was spent as JSON."""
    return [asdict(item) for item in spending]
