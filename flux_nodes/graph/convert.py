"""From the drawing that ComfyUI's frontend saves to the nodes that run, as the frontend itself does when it queues.

Muted nodes fall away and so do the links to them; bypassed ones hand on what they are given; notes, reroutes and
primitives are the frontend's own. A node that the registry does not know is kept, as far as it can be read.
A subgraph that is muted or bypassed takes its nodes with it, wherever it stands: so the frontend means it (its pull
request 8494), though versions before 2026 run them, and later ones still do for a subgraph inside another.
Tokens in file names (%date:…%, %Node.input%) are left for the node that saves: values may change before it runs.
Source: ComfyUI frontend, `executionUtil.ts` (graphToPrompt).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..core.errors import InvalidWorkflow
from .drawing import read_drawing
from .flatten import flatten
from .follow import follow
from .link import Link
from .page_nodes import NOTES, PRIMITIVE
from .promotion import primitive_value
from .seed_control import MOVING
from .widgets import Held, has_control, held
from .workflow import Workflow, WorkflowNode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..core.errors import Fault
    from .flatten import Spot
    from .link import Json
    from .registry import Registry


def convert(ui: Mapping[str, Json], registry: Registry) -> Workflow:
    """Make a workflow of a drawing. Raises InvalidWorkflow when the drawing cannot be made out."""
    spots = flatten(read_drawing(ui), registry)
    faults: dict[Fault, None] = {}
    values = {spot.id: _values(spot, spots, registry, faults) for spot in spots.values() if spot.runs}
    if faults:
        raise InvalidWorkflow(list(faults))
    homes = {
        (node_id, name): value.homes
        for node_id, inputs in values.items()
        for name, value in inputs.items()
        if isinstance(value, Held) and value.homes
    }
    nodes = {id_: _node(spots[id_], values, registry) for id_ in values}
    controls = {
        (id_, name): value.control
        for id_, inputs in values.items()
        for name, value in inputs.items()
        if isinstance(value, Held) and value.control in MOVING and _is_seed(spots[id_], name, registry)
    }
    silent = {spot.id: _silent(spot, registry) for spot in spots.values() if not spot.runs}
    named = {id_: nodes.get(id_) or silent[id_] for id_ in spots}
    return Workflow(nodes=nodes, ui=ui, homes=homes, controls=controls, named=named)


def _is_seed(spot: Spot, name: str, registry: Registry) -> bool:
    face = registry.get(spot.drawn.type)
    item = face.input(name) if face else None
    return item is not None and has_control(item)


def _values(
    spot: Spot, spots: Mapping[str, Spot], registry: Registry, faults: dict[Fault, None]
) -> dict[str, Link | Held]:
    values: dict[str, Link | Held] = dict(held(spot.drawn, registry.get(spot.drawn.type)))
    own = {name: spot.control or value.control for name, value in values.items() if isinstance(value, Held)}
    for index, slot in enumerate(spot.slots):
        try:
            source = follow(spots, spot, index)
        except InvalidWorkflow as error:
            faults |= dict.fromkeys(error.faults)
            continue
        if source is not None:
            values[slot.name] = source
    # A value that the node of a subgraph holds moves as the widget says which it is for.
    return {
        name: replace(value, control=own.get(name, "")) if isinstance(value, Held) and not value.control else value
        for name, value in values.items()
    }


def _node(spot: Spot, values: Mapping[str, Mapping[str, Link | Held]], registry: Registry) -> WorkflowNode:
    inputs = {
        name: value if isinstance(value, Link) else _literal(value)
        for name, value in values[spot.id].items()
        if not isinstance(value, Link) or value.node in values
    }
    return _named(spot, inputs, registry)


def _silent(spot: Spot, registry: Registry) -> WorkflowNode:
    """Return a node that does not run, with what its widgets hold: names of files may tell it."""
    values = {spot.slots[index].name: value for index, value in spot.promoted.items()}
    value = primitive_value(spot.drawn)
    if spot.drawn.type == PRIMITIVE and value is not None and spot.drawn.id in spot.sheet.origins:
        values = {"value": value}
    elif spot.drawn.type in NOTES and value is not None:
        values = {"text": value}
    elif spot.inside is None and spot.drawn.type != PRIMITIVE:
        values = held(spot.drawn, registry.get(spot.drawn.type))
    return _named(spot, {name: _literal(value) for name, value in values.items()}, registry)


def _named(spot: Spot, inputs: Mapping[str, Link | Json], registry: Registry) -> WorkflowNode:
    face = registry.get(spot.drawn.type)
    return WorkflowNode(
        id=spot.id,
        class_type=spot.drawn.type,
        title=spot.drawn.title or (face.label if face else spot.drawn.type),
        inputs=inputs,
        alias=spot.drawn.alias or spot.drawn.type,
    )


def _literal(value: Held) -> Json:
    inner = value.value
    return inner["__value__"] if isinstance(inner, dict) and "__value__" in inner else inner


def places_in(ui: Mapping[str, Json], nodes: Mapping[str, WorkflowNode], registry: Registry) -> Workflow:
    """Return nodes that were saved beside a drawing, with where it keeps their values and which of their seeds move.

    Only nodes that agree with the drawing have such places in it. Raises InvalidWorkflow when it cannot be made out.
    """
    drawn = convert(ui, registry)
    agreeing = {
        node_id
        for node_id, node in nodes.items()
        if node_id in drawn.nodes and drawn.nodes[node_id].class_type == node.class_type
    }
    return Workflow(
        nodes=nodes,
        ui=ui,
        homes={place: homes for place, homes in drawn.homes.items() if place[0] in agreeing},
        controls={place: control for place, control in drawn.controls.items() if place[0] in agreeing},
    )
