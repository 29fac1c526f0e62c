"""Following a wire back to the node that truly feeds it: through reroutes, bypassed nodes and the walls of subgraphs.

Source: ComfyUI frontend, `ExecutableNodeDTO.ts` (resolveInput, resolveOutput, and how a bypass finds its input).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import Fault, InvalidWorkflow
from .drawing import BYPASSED, INSIDE, MUTED, OUTSIDE
from .link import Link
from .page_nodes import GETTERS, PRIMITIVE, VIRTUAL, key_of
from .promotion import primitive_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .drawing import Slot
    from .flatten import Spot
    from .widgets import Held


@dataclass(frozen=True)
class _Into:
    """At an input of a node, asking what feeds it; `type` is what the end of the wire wants."""

    spot: Spot
    slot: int
    type: str | None = None


@dataclass(frozen=True)
class _OutOf:
    """At an output of a node, asking what it hands on."""

    spot: Spot
    slot: int
    type: str


def follow(spots: Mapping[str, Spot], spot: Spot, slot: int) -> Link | Held | None:
    """Return what feeds an input: a node's output, the value of a primitive or of a subgraph's node, or nothing.

    Raises InvalidWorkflow when the wires go in a circle before they reach a node that runs.
    """
    at: _Into | _OutOf | Link | Held | None = _Into(spot, slot)
    seen: set[tuple[type, str, int]] = set()
    while isinstance(at, (_Into, _OutOf)):
        mark = (type(at), at.spot.id, at.slot)
        if mark in seen:
            place = f'node {spot.id} "{spot.drawn.title or spot.drawn.type}", input {spot.slots[slot].name}'
            raise InvalidWorkflow([Fault(place, "its links go in a circle", "links that start at a node that runs")])
        seen.add(mark)
        at = _back(spots, at) if isinstance(at, _Into) else _through(spots, at)
    return at


def _back(spots: Mapping[str, Spot], at: _Into) -> _Into | _OutOf | Held | None:
    """Go from an input along its wire."""
    if at.slot >= len(at.spot.slots):  # a SetNode that was saved without its input
        return None
    slot = at.spot.slots[at.slot]
    wire = at.spot.sheet.wires.get(slot.wire) if slot.wire is not None else None
    if wire is None:
        return None
    if wire.origin == INSIDE and at.spot.host is not None:
        return _from_outside(at.spot.host, wire.origin_slot)
    origin = spots.get(at.spot.beside(wire.origin))
    return None if origin is None else _OutOf(origin, wire.origin_slot, at.type or slot.type)


def _from_outside(host: Spot, slot: int) -> _Into | Held | None:
    """Go on outside a subgraph: along the wire to its node, or to the value that its node holds."""
    if slot >= len(host.slots):
        return None
    return host.promoted.get(slot) if host.slots[slot].wire is None else _Into(host, slot)


def _through(spots: Mapping[str, Spot], at: _OutOf) -> _Into | _OutOf | Link | Held | None:
    """Go from an output to whatever it hands on; a node that runs is the end."""
    spot = at.spot
    if spot.drawn.type == PRIMITIVE:
        return primitive_value(spot.drawn)  # whatever its mode: the frontend writes it before it looks at modes
    if spot.drawn.mode == BYPASSED:
        slot = _bypass(spot.slots, spot.outputs, at.slot, at.type)
        return None if slot is None else _Into(spot, slot)
    if spot.inside is not None and spot.drawn.runs:
        return _from_inside(spots, at)
    if spot.drawn.type in VIRTUAL and spot.drawn.mode == MUTED:
        return None
    if spot.drawn.type in GETTERS:
        setter = _setter(spots, spot)
        return _Into(setter, at.slot, at.type) if at.slot < len(setter.slots) else None
    if spot.drawn.type in VIRTUAL:
        return _Into(spot, at.slot, at.type) if at.slot < len(spot.slots) else None
    return Link(spot.id, at.slot)


def _setter(spots: Mapping[str, Spot], getter: Spot) -> Spot:
    """Return the node that sets what a getter gets: the first on its own sheet, or the only one around it."""
    name = key_of(getter.drawn)
    found: list[Spot] = []
    at: Spot | None = getter
    while at is not None and name:
        found += [spots[at.beside(id_)] for id_ in at.sheet.setters.get(name, ())]
        if at is getter and found:
            return found[0]
        at = at.host
    if len(found) != 1:
        how = "several nodes set it" if found else "no node sets it"
        raise InvalidWorkflow([Fault(f"node {getter.id}", f'gets "{name}", and {how}', "one SetNode of that name")])
    return found[0]


def _from_inside(spots: Mapping[str, Spot], at: _OutOf) -> _Into | _OutOf | None:
    """Go on inside a subgraph, at what leads to its output; an input may lead straight to it."""
    sheet = at.spot.inside
    wires = sheet.wires.values() if sheet else ()
    wire = next((wire for wire in wires if wire.target == OUTSIDE and wire.target_slot == at.slot), None)
    if wire is None:
        return None
    if wire.origin == INSIDE:
        return _Into(at.spot, wire.origin_slot, at.type) if wire.origin_slot < len(at.spot.slots) else None
    origin = spots.get(at.spot.within(wire.origin))
    return None if origin is None else _OutOf(origin, wire.origin_slot, at.type)


def _bypass(inputs: Sequence[Slot], outputs: Sequence[str], slot: int, wanted: str) -> int | None:
    """Find the input that a bypassed node hands on for an output: the same place first, then the first that suits."""
    if not inputs:
        return None
    if wanted in ("*", ""):
        return slot if slot < len(inputs) else 0
    given = outputs[slot] if slot < len(outputs) else "*"
    suits = [_connects(item.type, given) and _connects(item.type, wanted) for item in inputs]
    if slot < len(inputs) and suits[slot]:
        return slot
    exact = next((index for index, item in enumerate(inputs) if item.type == wanted), None)
    return exact if exact is not None else next((index for index, suit in enumerate(suits) if suit), None)


def _connects(one: str, other: str) -> bool:
    """Tell whether the frontend lets two types be wired (LiteGraph.isValidConnection)."""
    ones, others = ({name.strip().lower() for name in types.split(",")} for types in (one, other))
    return bool(ones & others) or bool({"*", ""} & (ones | others))
