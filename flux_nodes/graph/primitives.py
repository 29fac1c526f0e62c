"""Nodes that only hold a value: following a link to one leads to what a person typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .link import Link

if TYPE_CHECKING:
    from .workflow import Workflow, WorkflowNode

VALUE = "value"
"""The input under which every primitive node holds its value."""

PRIMITIVES: frozenset[str] = frozenset(
    {"PrimitiveString", "PrimitiveStringMultiline", "PrimitiveInt", "PrimitiveFloat", "PrimitiveBoolean"}
)
"""ComfyUI's own (`comfy_extras/nodes_primitive.py`): one input, handed on as it is."""


def holder(workflow: Workflow, node_id: str, name: str) -> tuple[WorkflowNode, str] | None:
    """Return the node and input that hold the value of an input: itself, or the primitive that it is linked to.

    None when something else decides the value, or a link leads nowhere.
    """
    seen: set[str] = set()
    while node_id in workflow.nodes and node_id not in seen:
        seen.add(node_id)
        node = workflow.nodes[node_id]
        value = node.inputs.get(name)
        if not isinstance(value, Link):
            return node, name
        source = workflow.nodes.get(value.node)
        if source is None or source.class_type not in PRIMITIVES:
            return None
        node_id, name = source.id, VALUE
    return None
