"""The order of each node's widgets: append-only.

A saved graph keeps the values of a node as a bare list, in the order of its widgets, and ComfyUI gives each value to
the widget at the same position. A widget that moves therefore changes what every saved graph means. So the order is
written down here, once. A widget that is not written down yet (a new parameter of the catalog, say) comes after all
others and is optional, wherever it is declared. Before a release, append its name here; never insert, move or remove
one.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .face import Input

_GENERATING = (
    # Version 0.2.0.
    "model",
    "prompt",
    "image_prompt_strength",
    "prompt_upsampling",
    "width",
    "height",
    "aspect_ratio",
    "steps",
    "guidance",
    "interval",
    "seed",
    "safety_tolerance",
    "raw",
    # Version 0.3.0. ComfyUI puts optional inputs behind required ones: all that follow must be optional.
    "fresh",
    "count",
)

WIDGETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "FluxImagine": _GENERATING,
        "FluxSubmit": _GENERATING,
        "FluxFetch": ("generation_id",),
        "FluxLoadGeneration": ("generation", "generation_id"),
        "FluxPromptList": ("prompts", "before", "after"),
        "FluxAspectRatio": ("ratio", "megapixels", "custom"),
        "FluxContactSheet": ("labels", "title", "columns", "cell"),
        "FluxKeptImage": ("sha256",),
    }
)
"""The names of the widgets by node id, as a saved graph holds their values.

The value behind a seed (what becomes of it after a run) is ComfyUI's own and has no name here.
"""


def in_order(node_id: str, inputs: Sequence[Input]) -> tuple[Input, ...]:
    """Return a node's inputs with its widgets in the written order, and new widgets behind them, optional.

    Sockets keep their positions, since links find them by name. A node that is not in WIDGETS stays as it is.
    """
    order = WIDGETS.get(node_id)
    if order is None:
        return tuple(inputs)
    known = [item for name in order for item in inputs if item.is_widget and item.name == name]
    new = [replace(item, optional=True) for item in inputs if item.is_widget and item.name not in order]
    widgets = iter((*known, *new))
    return tuple(next(widgets) if item.is_widget else item for item in inputs)


def is_new(node_id: str, name: str) -> bool:
    """Tell whether graphs that were saved before may lack this widget of a node."""
    return name not in WIDGETS.get(node_id, ())
