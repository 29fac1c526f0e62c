"""Nodes that only ComfyUI's page knows: they never reach its server, and the page dissolves them before it queues.

A node of a pack that is not installed looks the same in a file whether the server knows it or not, so those of packs
that many graphs use are named here. One that is not named is left out only where it cannot mean anything: it has no
inputs and no outputs, and lacks the name that the page writes into every node of the server's.
Not here, though the page knows them too: nodes that change others while a graph is queued ("Random Unmuter (rgthree)",
"Anything Everywhere", global seeds). Without them a graph means something else.
Source: ComfyUI frontend, `saveImageExtraOutput.ts`; ComfyUI-KJNodes, `setgetnodes.js`; rgthree-comfy, `constants.ts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .drawing import Drawn

PRIMITIVE = "PrimitiveNode"
"""The frontend's own primitive: it writes its value into the widgets that it is wired to."""

SETTERS = frozenset({"SetNode", "easy setNode"})
"""Keep what they are given under a name."""

GETTERS = frozenset({"GetNode", "easy getNode"})
"""Hand on what a setter of the same name was given, on their own sheet or one around it."""

HANDING_ON = frozenset({"Reroute", "Reroute (rgthree)"}) | SETTERS
"""Hand on their input."""

NOTES = frozenset({"Note", "MarkdownNote"})

_TOOLS = frozenset(
    f"{name} (rgthree)"
    for name in (
        "Label",
        "Bookmark",
        "Fast Muter",
        "Fast Bypasser",
        "Fast Groups Muter",
        "Fast Groups Bypasser",
        "Fast Actions Button",
        "Mute / Bypass Relay",
        "Mute / Bypass Repeater",
        "Node Collector",
    )
)
"""Change the page when somebody clicks on them, never a graph that is queued."""

VIRTUAL = HANDING_ON | GETTERS | NOTES | _TOOLS | {PRIMITIVE}
"""Every node that is named here."""


def is_left_out(drawn: Drawn) -> bool:
    """Tell whether a node that nobody here knows is the page's own, and nothing can come from it or go to it."""
    return drawn.is_bare and not drawn.alias


def key_of(drawn: Drawn) -> str:
    """Return the name that a setter or getter is for; "" when it has none."""
    values = drawn.values.values() if isinstance(drawn.values, Mapping) else drawn.values
    first = next(iter(values), None)
    return "" if first is None else str(first)
