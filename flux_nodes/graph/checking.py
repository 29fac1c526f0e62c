"""Checking a workflow before anything runs: every fault at once, each with the node and the input it stands at.

As in ComfyUI every node must be known, and those that an output node needs are looked at closely; unlike there, one
faulty output is enough to refuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.errors import Fault, InvalidWorkflow
from .image_sizes import size_faults
from .link import Link
from .order import cycles, needed, outputs
from .primitives import holder
from .unknown_nodes import unknown_nodes
from .values import WrongValueError, allowed, coerced, fits, held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..nodes.face import Input, Node
    from .link import Json
    from .registry import Registry
    from .workflow import Workflow, WorkflowNode

_MOST_IN_CIRCLE = 6


def check(workflow: Workflow, registry: Registry) -> tuple[Fault, ...]:
    """Return everything that keeps a workflow from running. It may look at files, so it can block."""
    ends = outputs(workflow, registry)
    wanted = needed(workflow, ends)
    unknown = unknown_nodes(workflow, registry)
    faults = [unknown] if unknown else []
    if not ends and not unknown:  # an unknown node may be the one that saves
        saving = ", ".join(node.label for node in registry.outputs)
        faults.append(Fault("the workflow", "has no node that saves or shows anything", f"one of {saving}"))
    for circle in cycles(workflow, wanted):
        path = " → ".join(str(workflow.nodes[node_id]) for node_id in circle[:_MOST_IN_CIRCLE])
        path += f" → {'… → ' if len(circle) > _MOST_IN_CIRCLE else ''}{workflow.nodes[circle[0]]}"
        faults.append(Fault(path, "these links go in a circle", "links that lead from one node to a later one"))
    for node_id in wanted:
        node = workflow.nodes[node_id]
        if node.class_type in registry:
            faults += _node_faults(workflow, node, registry)
    # Where all that stands on the nodes is good, what follows from it is looked at.
    return tuple(faults or size_faults(workflow, wanted, registry))


def require(workflow: Workflow, registry: Registry) -> None:
    """Raise InvalidWorkflow, with every fault, unless a workflow can run. It may look at files, so it can block."""
    faults = check(workflow, registry)
    if faults:
        raise InvalidWorkflow(faults)


def _node_faults(workflow: Workflow, node: WorkflowNode, registry: Registry) -> Iterator[Fault]:
    face = registry[node.class_type]
    good: dict[str, Any] = {}
    for item in face.inputs:
        known = _known(workflow, node, item, registry)
        if isinstance(known, Fault):
            yield known
        else:
            good |= known
    for fault in face.check(good) if face.check else ():
        yield _fault(node, fault.where, fault.problem, fault.allowed)


def _fault(node: WorkflowNode, name: str, problem: str, allowed_: str) -> Fault:
    return Fault(f"{node}, input {name}", problem, allowed_)


def _known(workflow: Workflow, node: WorkflowNode, item: Input, registry: Registry) -> dict[str, Any] | Fault:
    """Return the value of an input, by name, if it is known before a run; or what is wrong with it."""
    value = node.inputs.get(item.name)
    if isinstance(value, Link):
        wrong = _link_fault(workflow, node, item, registry)
        return wrong or _through_primitive(workflow, node, item, registry)
    try:
        return _literal(item, value) if item.name in node.inputs else _left_out(item)
    except WrongValueError as error:
        return _fault(node, item.name, str(error), allowed(item))


def _left_out(item: Input) -> dict[str, Any]:
    if not item.optional:
        raise WrongValueError("is required, and is neither set nor linked")
    return {}


def _literal(item: Input, value: Json) -> dict[str, Any]:
    if not item.is_widget:
        raise WrongValueError("has a value instead of a link")
    if isinstance(value, list):
        raise WrongValueError("has a list instead of one value, or of a link [node id, output]")
    return {item.name: held(item, value)}


def _link_fault(workflow: Workflow, node: WorkflowNode, item: Input, registry: Registry) -> Fault | None:
    link = node.links[item.name]
    source = workflow.nodes.get(link.node)
    if source is None:
        return _fault(
            node, item.name, f"is linked to node {link.node}, which does not exist", "a node of this workflow"
        )
    face = registry.get(source.class_type)
    if face is None:
        return None  # named already, as a node that is not known
    if not 0 <= link.slot < len(face.outputs):
        return _fault(
            node, item.name, f"is linked to output {link.slot} of {source}, which has no such", _outputs(face)
        )
    received = face.outputs[link.slot].type
    if not fits(received, item.type):
        return _fault(
            node, item.name, f"is linked to {source}, which gives {received}", f"an output of type {item.type}"
        )
    return None


def _outputs(face: Node) -> str:
    return ", ".join(f"{index} ({output.name})" for index, output in enumerate(face.outputs)) or "another node"


def _through_primitive(workflow: Workflow, node: WorkflowNode, item: Input, registry: Registry) -> dict[str, Any]:
    """Return what a primitive will bring; like ComfyUI, a link is not held against the input's range."""
    place = holder(workflow, node.id, item.name)
    value = place[0].inputs.get(place[1]) if place else None
    own = registry[place[0].class_type].input(place[1]) if place else None
    if own is None or value is None or isinstance(value, list):
        return {}
    try:
        return {item.name: coerced(item, coerced(own, value))}
    except WrongValueError:
        return {}
