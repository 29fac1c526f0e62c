"""How many generations a run of a workflow would start, as far as that can be known before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .link import Link
from .order import needed, outputs

if TYPE_CHECKING:
    from ..nodes.face import Output
    from .registry import Registry
    from .workflow import Workflow

_MANY = ("image_prompt", "count")
"""Inputs of a generating node that, when they are linked, tell only at the run how many there will be."""


@dataclass(frozen=True)
class Cost:
    """So many generations; `at_least` when a list, a batch or a linked count may bring more."""

    generations: int
    at_least: bool

    def __str__(self) -> str:
        return f"{'at least ' if self.at_least else ''}{self.generations}"


def cost(workflow: Workflow, registry: Registry) -> Cost:
    """Count the generations that a run would start: what is reused from the journal is among them."""
    wanted = needed(workflow, outputs(workflow, registry))
    paid = [id_ for id_ in wanted if _is_paid(workflow, registry, id_)]
    return Cost(
        generations=sum(_count(workflow, id_) for id_ in paid),
        at_least=any(_is_open(workflow, registry, id_) for id_ in paid),
    )


def _is_paid(workflow: Workflow, registry: Registry, node_id: str) -> bool:
    face = registry.get(workflow.nodes[node_id].class_type)
    return face is not None and face.paid


def _count(workflow: Workflow, node_id: str) -> int:
    count = workflow.nodes[node_id].inputs.get("count", 1)
    return count if isinstance(count, int) else 1


def _is_open(workflow: Workflow, registry: Registry, node_id: str) -> bool:
    """Tell whether a node may start more than its count: it is given a list, or a batch of image prompts."""
    node = workflow.nodes[node_id]
    if any(isinstance(node.inputs.get(name), Link) for name in _MANY):
        return True
    before = needed(workflow, (link.node for link in node.links.values() if link.node in workflow.nodes))
    return any(output.is_list for id_ in before for output in _outputs(workflow, registry, id_))


def _outputs(workflow: Workflow, registry: Registry, node_id: str) -> tuple[Output, ...]:
    face = registry.get(workflow.nodes[node_id].class_type)
    return face.outputs if face else ()
