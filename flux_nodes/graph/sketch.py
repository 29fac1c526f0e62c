"""From nodes to the drawing that ComfyUI's frontend opens: its saved format, version 0.4, laid out to be read.

Nodes stand in columns, each to the right of all that it takes from. Widgets hold the values that the nodes have, in the
frontend's own order. A widget without one holds what it holds before anybody touched it; a seed without one is left to
chance, anew at each run, and any other seed stays as it is.
Source: ComfyUI frontend, `comfyWorkflowSchema.ts`, `litegraphService.ts` and litegraph's `LGraphNode.ts` (sizes).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from ..core.catalog import PARAMETERS
from .link import Link
from .values import NOT_GIVEN, initial
from .widgets import has_control, ordered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..nodes.face import Input, Node
    from .link import Json
    from .registry import Registry
    from .workflow import WorkflowNode

_LEFT, _TOP, _ACROSS, _DOWN = 40, 60, 60, 60
"""Where the first node stands, and the room between nodes: pixels at a zoom of 1, as all lengths here."""

_WIDTH, _ROW, _WIDGET, _TEXT, _PICTURE = 400, 20, 24, 140, 300
"""How wide a node is, and how high: a row of sockets, a widget, a widget of several lines, a picture below them."""

_PARAMETERS = {item.name: item for item in PARAMETERS}

_WITHOUT_OUTPUT = frozenset({"SaveImage", "PreviewImage"})
"""Nodes that have no output in older versions of ComfyUI: theirs is drawn only where it is linked."""

_OPTIONAL = 7
"""The shape of a socket that need not be linked (litegraph's RenderShape.HollowCircle)."""


@dataclass(frozen=True, kw_only=True)
class _Wire:
    """A wire as it is drawn: its number, the output it comes from, and the input it goes to."""

    number: int
    link: Link
    target: str
    slot: int
    type: str


def drawing(nodes: Mapping[str, WorkflowNode], registry: Registry) -> dict[str, Json]:
    """Draw nodes, by id, as ComfyUI saves them.

    Every node must be in the registry (KeyError), and their links go in no circle (ValueError). A link that leads
    nowhere is left out.
    """
    depths = _depths(nodes)
    wires = list(_wires(nodes, registry))
    places = _places(nodes, registry, depths)
    drawn = [
        {"id": _id(id_), "order": order, **_node(nodes[id_], registry[nodes[id_].class_type], wires), **places[id_]}
        for order, id_ in enumerate(sorted(nodes, key=depths.__getitem__))
    ]
    return {
        "revision": 0,
        "last_node_id": max((int(id_) for id_ in nodes if id_.isdecimal()), default=0),
        "last_link_id": len(wires),
        "nodes": drawn,
        "links": [_line(wire) for wire in wires],
        "groups": [],
        "config": {},
        "extra": {"workflowRendererVersion": "LG"},
        "version": 0.4,
    }


def _id(id_: str) -> int | str:
    """Return an id as the frontend has it: a number where it is one."""
    return int(id_) if id_.isdecimal() else id_


def _depths(nodes: Mapping[str, WorkflowNode]) -> dict[str, int]:
    """Return how far each node is from the first: one more than the farthest that it takes from."""
    needs = {id_: {link.node for link in node.links.values()} & nodes.keys() for id_, node in nodes.items()}
    depths: dict[str, int] = {}
    for id_ in TopologicalSorter(needs).static_order():
        depths[id_] = max((depths[before] + 1 for before in needs[id_]), default=0)
    return depths


def _slots(face: Node) -> Sequence[Input]:
    """Return the inputs in the order that the frontend draws them in: sockets, then widgets."""
    return sorted(ordered(face), key=lambda item: item.is_widget)


def _wires(nodes: Mapping[str, WorkflowNode], registry: Registry) -> Iterator[_Wire]:
    number = 0
    for id_, node in nodes.items():
        for slot, item in enumerate(_slots(registry[node.class_type])):
            link = node.links.get(item.name)
            source = nodes.get(link.node) if link else None
            outputs = registry[source.class_type].outputs if source else ()
            if link is not None and 0 <= link.slot < len(outputs):
                number += 1
                yield _Wire(number=number, link=link, target=id_, slot=slot, type=outputs[link.slot].type)


def _line(wire: _Wire) -> list[Json]:
    return [wire.number, _id(wire.link.node), wire.link.slot, _id(wire.target), wire.slot, wire.type]


def _places(
    nodes: Mapping[str, WorkflowNode], registry: Registry, depths: Mapping[str, int]
) -> dict[str, dict[str, Json]]:
    """Return the place and the size of each node: a column for each depth, filled from above."""
    below: dict[int, int] = defaultdict(lambda: _TOP)
    places = {}
    for id_, node in nodes.items():
        column, face = depths[id_], registry[node.class_type]
        height = _height(node, face) + (_PICTURE if face.is_output and not face.paid else 0)
        places[id_] = {"pos": [_LEFT + column * (_WIDTH + _ACROSS), below[column]], "size": [_WIDTH, height]}
        # A node that generates grows by its picture once there is one.
        below[column] += height + _DOWN + (_PICTURE if face.paid else 0)
    return places


def _height(node: WorkflowNode, face: Node) -> int:
    widgets = [item for item in face.inputs if item.is_widget]
    sockets = max(len(face.inputs) - len(widgets), len(face.outputs))
    rows = sum(_TEXT if item.multiline else _WIDGET * (1 + has_control(item)) for item in _shown(widgets, node, face))
    return _ROW * sockets + rows + _WIDGET


def _shown(widgets: Sequence[Input], node: WorkflowNode, face: Node) -> Iterator[Input]:
    """Yield the widgets that are seen: our web extension hides those that the chosen model does not take."""
    model = node.inputs.get("model")
    for item in widgets:
        known = face.paid and item.name in _PARAMETERS and isinstance(model, str)
        if not known or _PARAMETERS[item.name].taken_by(str(model)):
            yield item


def _node(node: WorkflowNode, face: Node, wires: Sequence[_Wire]) -> dict[str, Json]:
    titled = {"title": node.title} if node.title != face.label else {}
    return {
        "type": node.class_type,
        **titled,
        "flags": {},
        "mode": 0,
        "inputs": [_input(item, _into(node.id, slot, wires)) for slot, item in enumerate(_slots(face))],
        "outputs": _outputs(node, face, wires),
        "properties": {"Node name for S&R": node.class_type},
        "widgets_values": [value for item in ordered(face) if item.is_widget for value in _values(node, item)],
    }


def _outputs(node: WorkflowNode, face: Node, wires: Sequence[_Wire]) -> list[dict[str, Json]]:
    drawn = [
        {"name": item.name, "type": item.type, "links": _from(node.id, slot, wires)}
        for slot, item in enumerate(face.outputs)
    ]
    if node.class_type in _WITHOUT_OUTPUT and not any(output["links"] for output in drawn):
        return []
    return drawn


def _into(node_id: str, slot: int, wires: Sequence[_Wire]) -> int | None:
    return next((wire.number for wire in wires if (wire.target, wire.slot) == (node_id, slot)), None)


def _from(node_id: str, slot: int, wires: Sequence[_Wire]) -> list[int]:
    return [wire.number for wire in wires if wire.link == Link(node_id, slot)]


def _input(item: Input, number: int | None) -> dict[str, Json]:
    drawn: dict[str, Json] = {"name": item.name, "type": item.type, "link": number}
    if item.is_widget:
        return drawn | {"widget": {"name": item.name}}
    return drawn | ({"shape": _OPTIONAL} if item.optional else {})


def _values(node: WorkflowNode, item: Input) -> Iterator[Json]:
    """Yield what a widget holds, and behind a seed what becomes of it after a run."""
    value = node.inputs.get(item.name, NOT_GIVEN)
    held = initial(item) if value is NOT_GIVEN or isinstance(value, Link) else value
    yield None if held is NOT_GIVEN else held
    if has_control(item):
        yield "randomize" if value is NOT_GIVEN else "fixed"
