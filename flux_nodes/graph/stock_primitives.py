"""ComfyUI's primitive nodes: each hands on the value that a person typed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..nodes.face import Context, Input, Node, Output, Result, Step
from .primitives import VALUE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ..nodes.face import Type

_MOST = float(sys.maxsize)


async def _hand_on(context: Context, *, value: Any) -> AsyncGenerator[Step, None]:
    del context
    yield Result((value,))


def _primitive(id_: str, label: str, type_: Type, *, default: str | int | float | bool, **more: Any) -> Node:
    value = Input(name=VALUE, type=type_, label="Value", tooltip="What to hand on.", default=default, **more)
    return Node(
        id=id_,
        label=label,
        category="utils/primitive",
        description="Hands on one value, to any number of nodes.",
        inputs=(value,),
        outputs=(Output(name=type_, type=type_, label=label, tooltip="The value."),),
        run=_hand_on,
    )


PRIMITIVE_NODES: tuple[Node, ...] = (
    _primitive("PrimitiveString", "String", "STRING", default=""),
    _primitive("PrimitiveStringMultiline", "String (Multiline)", "STRING", default="", multiline=True),
    _primitive("PrimitiveInt", "Int", "INT", default=0, minimum=-_MOST, maximum=_MOST, seed_control=True),
    _primitive("PrimitiveFloat", "Float", "FLOAT", default=0.0, minimum=-_MOST, maximum=_MOST),
    _primitive("PrimitiveBoolean", "Boolean", "BOOLEAN", default=False),
)
