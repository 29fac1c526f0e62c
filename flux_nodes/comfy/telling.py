"""What ComfyUI's frontend is told of generations: one form for lists and events."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..core.generation import Generation

MOVED = "flux-nodes.generation"
"""The event that tells a generation whenever it has moved in this process."""

NOTICE = "flux-nodes.notice"
"""The event that asks for a toast."""

LAST_WORDS = "flux-nodes.words"
"""The event that tells one window what stood under a node when its prompt ended: `prompt_id`, `node`, `text`, and
`images` where the prompt has not run the node and its pictures are still there."""

Severity = Literal["info", "warn", "error"]
"""How a toast looks."""


def describe(generation: Generation) -> dict[str, Any]:
    """Tell a generation in JSON's own types.

    `words` is its state for people, `percentage` 0..100, `created_at` ISO 8601 in UTC; `workflow` says whether the
    graph that asked for it was kept ("own") or one is drawn from its request ("made").
    """
    from ..core.journal import UNFINISHED  # the database library is there by now: a generation comes out of a journal
    from ..nodes.words import in_words

    has_image = generation.status == "stored" and generation.sha256 is not None and not generation.is_unopened
    return {
        "id": generation.id,
        "task_id": generation.task_id,
        "status": generation.status,
        "words": in_words([generation]),
        "model": generation.model,
        "prompt": generation.prompt,
        "seed": generation.seed,
        "door": generation.door,
        "service": generation.service,
        "created_at": generation.created_at.isoformat(timespec="seconds"),
        "credits": generation.credits,
        "percentage": generation.percentage,
        "width": generation.width,
        "height": generation.height,
        "message": generation.message,
        "has_image": has_image,
        "has_thumbnail": has_image,
        "unfinished": generation.status in UNFINISHED,
        "workflow": "made" if generation.graph is None else "own",
    }


def tell(generation: Generation) -> None:
    """Tell every window that a generation has moved. Callable from any thread."""
    _send(MOVED, describe(generation))


def notice(severity: Severity, summary: str, detail: str, *, window: str | None = None) -> None:
    """Show a toast in one window, or in every one. Callable from any thread."""
    _send(NOTICE, {"severity": severity, "summary": summary, "detail": detail}, window)


def last_words(prompt_id: str, node: str, text: str, images: Sequence[Mapping[str, str]], *, window: str) -> None:
    """Tell one window what stood under a node, with the images that are to be shown there again."""
    words = {"prompt_id": prompt_id, "node": node, "text": text}
    _send(LAST_WORDS, {**words, "images": images} if images else words, window)


def _send(event: str, data: dict[str, Any], window: str | None = None) -> None:
    # Not imported: outside ComfyUI, where nobody listens, there is no such module.
    host = getattr(sys.modules.get("server"), "PromptServer", None)
    if host is not None:
        host.instance.send_sync(event, data, window)
