"""A drawing laid flat: every node of every subgraph at its own place, as often as the subgraph is used.

A node in a subgraph is known by the path to it: node 5 in the subgraph that node 12 stands for is "12:5".
Source: ComfyUI frontend, `ExecutableNodeDTO.ts` and `SubgraphNode.ts`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..core.errors import Fault, InvalidWorkflow
from .drawing import INSIDE
from .widgets import Held, held, slots

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .drawing import Drawing, Drawn, Sheet, Slot
    from .registry import Registry

MOST_NODES = 10_000
"""How many nodes a workflow may have once its subgraphs are laid flat: a small file can stand for billions."""

PRIMITIVE = "PrimitiveNode"
"""The frontend's own primitive: it writes its value into the widgets that it is wired to."""

VIRTUAL = frozenset({"Reroute", "Note", "MarkdownNote", PRIMITIVE})
"""Nodes that only the frontend knows; a Reroute hands on its input, the others have none."""


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A node at its place: `host` is the node that stands for the subgraph around it, `inside` what it stands for.

    `promoted` are the values that it holds for the inputs of the subgraph, by input.
    """

    path: tuple[str, ...]
    drawn: Drawn
    sheet: Sheet
    slots: tuple[Slot, ...]
    outputs: tuple[str, ...]
    host: Spot | None = None
    inside: Sheet | None = None
    promoted: Mapping[int, Held] = field(default_factory=dict, compare=False)

    @property
    def id(self) -> str:
        """The id it runs under."""
        return ":".join(self.path)

    @property
    def runs(self) -> bool:
        """Whether it becomes a node of its own."""
        return self.drawn.runs and self.inside is None and self.drawn.type not in VIRTUAL

    def beside(self, node_id: str) -> str:
        """Return the id of another node on the same sheet."""
        return ":".join((*self.path[:-1], node_id))

    def within(self, node_id: str) -> str:
        """Return the id of a node in the subgraph that this one stands for."""
        return ":".join((*self.path, node_id))


@dataclass(frozen=True, kw_only=True)
class Flat:
    """All nodes by the id they run under, and the values that the nodes of subgraphs give them."""

    spots: Mapping[str, Spot]
    given: Mapping[tuple[str, str], Held]


def flatten(drawing: Drawing, registry: Registry) -> Flat:
    """Lay a drawing flat. Raises InvalidWorkflow when a subgraph holds itself, or there are more than 10,000 nodes."""
    spots: dict[str, Spot] = {}
    waiting = [_spot(drawn, drawing.root, None, drawing, registry) for drawn in drawing.root.nodes.values()]
    while waiting:
        spot = waiting.pop(0)
        spots[spot.id] = spot
        if spot.inside is not None and spot.drawn.runs:
            _refuse_circles(spot)
            waiting[:0] = [_spot(drawn, spot.inside, spot, drawing, registry) for drawn in spot.inside.nodes.values()]
        if len(spots) + len(waiting) > MOST_NODES:
            raise InvalidWorkflow(
                [Fault("the workflow", "has too many nodes, subgraphs laid flat", f"{MOST_NODES:,} at most")]
            )
    return Flat(spots=spots, given=dict(_given(spots)))


def _spot(drawn: Drawn, sheet: Sheet, host: Spot | None, drawing: Drawing, registry: Registry) -> Spot:
    inside = drawing.subgraphs.get(drawn.type)
    face = registry.get(drawn.type)
    own = slots(drawn, face) if inside is None else _hosted(drawn, inside)
    return Spot(
        path=(*host.path, drawn.id) if host else (drawn.id,),
        drawn=drawn,
        sheet=sheet,
        slots=own,
        outputs=tuple(item.type for item in (face.outputs if face else (inside or drawn).outputs)),
        host=host,
        inside=inside,
        promoted={} if inside is None else _promoted(drawn, inside, drawing, registry),
    )


def _hosted(drawn: Drawn, inside: Sheet) -> tuple[Slot, ...]:
    """Return the inputs of a subgraph's node: the subgraph's own, wired as the node's inputs of the same name are."""
    wires = {slot.name: slot.wire for slot in drawn.inputs}
    return tuple(replace(slot, wire=wires.get(slot.name)) for slot in inside.inputs)


def _refuse_circles(spot: Spot) -> None:
    host = spot.host
    while host is not None:
        if host.inside is spot.inside:
            raise InvalidWorkflow(
                [Fault(f'subgraph "{host.drawn.title or host.drawn.type}"', "holds itself", "subgraphs in no circle")]
            )
        host = host.host


def _promoted(drawn: Drawn, inside: Sheet, drawing: Drawing, registry: Registry) -> dict[int, Held]:
    """Return the values that a subgraph's node holds for the subgraph's inputs, by input.

    Its values stand for the widgets listed in `proxyWidgets` (where -1 means an input of the subgraph), or without such
    a list for those inputs that lead to a widget.
    """
    if drawn.proxies:
        names = [name if node_id == "-1" else None for node_id, name in drawn.proxies]
    else:
        names = [
            slot.name for index, slot in enumerate(inside.inputs) if _leads_to_widget(inside, index, drawing, registry)
        ]
    where = {slot.name: index for index, slot in enumerate(inside.inputs)}
    return {
        where[name]: value
        for name, value in zip(names, _host_values(drawn), strict=False)
        if name in where and value.value is not None
    }


def primitive_value(drawn: Drawn) -> Held | None:
    """Return what a PrimitiveNode writes into every widget that it is wired to."""
    found = held(drawn, None).get("value") or next(_host_values(drawn), None)
    control = drawn.values[1] if isinstance(drawn.values, list) and len(drawn.values) > 1 else ""
    # Its own choice counts, never that of the widget which it writes into.
    return found and replace(found, control=control if isinstance(control, str) and control else "fixed")


def _host_values(drawn: Drawn) -> Iterator[Held]:
    if isinstance(drawn.values, list):
        for index, value in enumerate(drawn.values):
            yield Held(value, ((*drawn.home, "widgets_values", index),))


def _leads_to_widget(inside: Sheet, index: int, drawing: Drawing, registry: Registry) -> bool:
    """Tell whether an input of a subgraph ends at a widget, perhaps through further subgraphs."""
    waiting, seen = [(inside, index)], set()
    while waiting:
        sheet, at = waiting.pop()
        if (id(sheet), at) in seen:
            continue
        seen.add((id(sheet), at))
        for key, wire in sheet.leaving(INSIDE):
            drawn = sheet.nodes.get(wire.target)
            if wire.origin_slot != at or drawn is None:
                continue
            slot = next((slot for slot in drawn.inputs if slot.wire == key), None)
            deeper = drawing.subgraphs.get(drawn.type)
            if slot is None:
                continue
            if deeper is not None:
                waiting += [(deeper, n) for n, item in enumerate(deeper.inputs) if item.name == slot.name]
            elif _is_widget(slot, drawn, registry):
                return True
    return False


def _is_widget(slot: Slot, drawn: Drawn, registry: Registry) -> bool:
    face = registry.get(drawn.type)
    item = face.input(slot.name) if face else None
    return item.is_widget if item else slot.widget is not None


def _given(spots: Mapping[str, Spot]) -> Iterator[tuple[tuple[str, str], Held]]:
    """Yield what the nodes of subgraphs hold for widgets inside them: (node, input), value."""
    for spot in spots.values():
        for (node_id, name), value in zip(spot.drawn.proxies, _host_values(spot.drawn), strict=False):
            if node_id != "-1" and value.value is not None:
                yield (spot.within(node_id), name), value
