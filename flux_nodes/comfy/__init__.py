"""The ComfyUI host: our nodes compiled to its V3 schema.

Nothing heavy is imported here, and nothing of ComfyUI's before it asks: its start-up must not feel us.
"""

from __future__ import annotations

from typing import Any

__all__ = ["comfy_entrypoint"]


async def comfy_entrypoint() -> Any:
    """Return the extension that ComfyUI asks every pack for (`ComfyExtension`, V3)."""
    from .extension import extension

    return extension()
