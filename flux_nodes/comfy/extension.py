"""From the face of a node to a class of ComfyUI's V3 schema.

Hosts differ in the keywords that they know, and an unknown one would keep the whole pack from loading: each is passed
only where the host's own signature has it.
"""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from ..nodes import NODES
from ..nodes.fields import FRESH
from . import background, inscription, pixels, routes, service
from .execution import run
from .prompts import foresee

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..nodes import Input, Node, Output


def extension() -> Any:
    """Build the extension with all our nodes. Needs ComfyUI."""
    from comfy_api.latest import ComfyExtension

    compiled = [node_class(node) for node in NODES]
    # Not in on_load, which ComfyUI 0.3.75 does not call.
    routes.register()
    inscription.register()
    background.hear_out_signals()

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
        return await run(node, values, cls)

    def fingerprint_inputs(cls: type, /, **values: Any) -> float | str:
        del cls
        foresee(repr(sorted(values.items())))
        if node.volatile or _may_be_fresh(values):
            return float("nan")  # which equals nothing: the result is never used again
        return service.mark() if node.paid else ""  # for as long as the service is the same

    members: dict[str, Any] = {
        "define_schema": classmethod(define_schema),
        "execute": classmethod(execute),
        "fingerprint_inputs": classmethod(fingerprint_inputs),
    }
    judged = _judged(node)
    if judged:
        members["validate_inputs"] = classmethod(_judge(node, judged))
    return type(node.id, (io.ComfyNode,), members)


def _may_be_fresh(values: Mapping[str, Any]) -> bool:
    """Tell whether a run is to pay whatever is there; None stands for what a link brings, and then the core decides."""
    return values.get(FRESH.name, False) is not False


def _judged(node: Node) -> Sequence[str]:
    """Name the inputs that we judge before a run in place of ComfyUI, which checks all others.

    Those are the recent generations, since it does not know the choices, and the prompt. No more: it repeats what is
    wrong for every input that is named, and takes it for the fault of each. What else is wrong is told by the run.
    """
    return [item.name for item in node.inputs if item.recent or (node.check and item.multiline)]


def _judge(node: Node, names: Sequence[str]) -> Callable[..., bool | str]:
    """Make a `validate_inputs` for these inputs, which ComfyUI finds in its signature. It returns what is wrong."""

    def validate_inputs(cls: type, /, **values: Any) -> bool | str:
        del cls
        known = {name: value for name, value in values.items() if value is not None}  # None comes along a link
        faults = node.check(known) if node.check else ()
        wrong = " ".join(f"{fault.problem}. Allowed: {fault.allowed}." for fault in faults)
        return f"{wrong} Nothing was paid." if wrong else True

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    named = [inspect.Parameter(name, kind, default=None) for name in ("cls", *names)]
    validate_inputs.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]  # inspect reads it
    return validate_inputs


def _schema(io: Any, node: Node) -> Any:
    return _call(
        io.Schema,
        node_id=node.id,
        display_name=node.label,
        category=node.category,
        description=node.description,
        inputs=[_input(io, item) for item in node.inputs],
        outputs=[_output(io, item) for item in node.outputs],
        hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        is_input_list=node.takes_lists,
        is_output_node=node.is_output,
        has_intermediate_output=pixels.shows_pictures(node),
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
    if item.recent:
        # ComfyUI's own frontend asks there for the choices; ours does the same, and leaves a saved choice alone.
        return {"options": [], "remote": io.RemoteOptions(route="/flux-nodes/recent", refresh_button=True)}
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
    return _call(
        _type(io, item.type).Output,
        id=item.name,
        display_name=item.label,
        tooltip=item.tooltip,
        is_output_list=item.is_list,
    )


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
