"""The order in which nodes run: only what output nodes need, each after those it takes from."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .registry import Registry
    from .workflow import Workflow

_MOST_CYCLES = 20


def outputs(workflow: Workflow, registry: Registry) -> tuple[str, ...]:
    """Return the ids of the nodes that a run is made for."""
    return tuple(
        node.id
        for node in workflow.nodes.values()
        if node.class_type in registry and registry[node.class_type].is_output
    )


def needs(workflow: Workflow, node_id: str) -> set[str]:
    """Return the ids of the nodes that one takes from and that exist."""
    return {link.node for link in workflow.nodes[node_id].links.values() if link.node in workflow.nodes}


def needed(workflow: Workflow, ends: Iterable[str]) -> tuple[str, ...]:
    """Return `ends` and all that they take from, in the workflow's own order."""
    found: set[str] = set()
    waiting = list(ends)
    while waiting:
        node_id = waiting.pop()
        if node_id not in found:
            found.add(node_id)
            waiting.extend(needs(workflow, node_id))
    return tuple(node_id for node_id in workflow.nodes if node_id in found)


def cycles(workflow: Workflow, among: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the circles that links go in, each as the ids along it; at most twenty."""
    graph = {node_id: needs(workflow, node_id) for node_id in among}
    found: list[tuple[str, ...]] = []
    while len(found) < _MOST_CYCLES:
        circle = _circle(graph)
        if circle is None:
            break
        found.append(tuple(circle[:-1]))
        # The next circle shows once this one is cut: each pair along it is "before, after".
        graph[circle[1]].discard(circle[0])
    return found


def _circle(graph: dict[str, set[str]]) -> list[str] | None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return None
