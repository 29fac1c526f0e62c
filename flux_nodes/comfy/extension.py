"""From the face of a node to a class of ComfyUI's V3 schema.

Hosts differ in the keywords that they know, and an unknown one would keep the whole pack from loading: each is passed
only where the host's own signature has it.
"""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from ..nodes import NODES
from .execution import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..nodes import Input, Node, Output


def extension() -> Any:
    """Build the extension with all our nodes. Needs ComfyUI."""
    from comfy_api.latest import ComfyExtension

    compiled = [node_class(node) for node in NODES]

    class FluxNodesExtension(ComfyExtension):  # type: ignore[misc]  # ComfyUI has no types where it is not installed
        async def get_node_list(self) -> list[type]:
            return compiled

    return FluxNodesExtension()


def node_class(node: Node) -> type:
    """Compile one node to a V3 node class. Needs ComfyUI."""
    from comfy_api.latest import io

    def define_schema(cls: type, /) -> Any:
        del cls
        return _schema(io, node)

    async def execute(cls: type, /, **values: Any) -> Any:
        del cls
        return await run(node, values)

    def always_new(cls: type, /, **values: Any) -> float:
        del cls, values
        return float("nan")  # never equal to the last run's, so ComfyUI does not reuse its result

    members: dict[str, Any] = {"define_schema": classmethod(define_schema), "execute": classmethod(execute)}
    if node.volatile:
        members["fingerprint_inputs"] = classmethod(always_new)
    return type(node.id, (io.ComfyNode,), members)


def _schema(io: Any, node: Node) -> Any:
    return _call(
        io.Schema,
        node_id=node.id,
        display_name=node.label,
        category=node.category,
        description=node.description,
        inputs=[_input(io, item) for item in node.inputs],
        outputs=[_output(io, item) for item in node.outputs],
        is_output_node=node.is_output,
        search_aliases=list(node.search),
    )


def _input(io: Any, item: Input) -> Any:
    common = {
        "id": item.name,
        "display_name": item.label,
        "tooltip": item.tooltip,
        "optional": item.optional,
    }
    if not item.is_widget:
        return _call(_type(io, item.type).Input, **common)
    return _call(
        _type(io, item.type).Input, **common, default=item.default, advanced=item.advanced, **_widget(io, item)
    )


def _widget(io: Any, item: Input) -> dict[str, Any]:
    if item.type == "COMBO":
        return {"options": list(item.choices)}
    if item.type == "STRING":
        return {"multiline": item.multiline}
    if item.type not in {"INT", "FLOAT"}:
        return {}
    as_number = int if item.type == "INT" else float
    found: dict[str, Any] = {
        name: as_number(value)
        for name, value in (("min", item.minimum), ("max", item.maximum), ("step", item.step))
        if value is not None
    }
    if item.slider:
        found["display_mode"] = io.NumberDisplay.slider
    if item.seed_control:
        found["control_after_generate"] = True
    return found


def _output(io: Any, item: Output) -> Any:
    return _call(_type(io, item.type).Output, id=item.name, display_name=item.label, tooltip=item.tooltip)


_TYPES: Mapping[str, str] = {
    "STRING": "String",
    "INT": "Int",
    "FLOAT": "Float",
    "BOOLEAN": "Boolean",
    "COMBO": "Combo",
    "IMAGE": "Image",
    "MASK": "Mask",
}


def _type(io: Any, name: str) -> Any:
    return getattr(io, _TYPES[name]) if name in _TYPES else io.Custom(name)


def _call(function: Any, **options: Any) -> Any:
    """Call a host's function with those keywords that it knows."""
    known = _keywords(function)
    return function(**{name: value for name, value in options.items() if name in known})


def _keywords(function: Any) -> frozenset[str]:
    if is_dataclass(function):
        return frozenset(field.name for field in fields(function))
    return frozenset(inspect.signature(function).parameters)
