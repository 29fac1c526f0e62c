"""Commands that a sentence names: on the sandbox they want `--sandbox`, and every door says so in the same words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_COMMAND = re.compile(r"`(flux-nodes (?:account|confirm|doctor|generate|resume|retry|run|status|wait)\b[^`]*)`")
"""A command of ours in a text, of those that take `--sandbox`."""


def sandbox_hint(texts: Iterable[str]) -> str:
    """Return the sentence to add to texts about the sandbox; "" where they name no command that lacks `--sandbox`."""
    commands = {command for text in texts for command in _COMMAND.findall(text) if "--sandbox" not in command}
    if not commands:
        return ""
    return f"It is on the sandbox: add --sandbox to {'that command' if len(commands) == 1 else 'those commands'}."
