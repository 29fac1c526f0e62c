"""A drawing laid flat: every node of every subgraph at its own place, as often as the subgraph is used.

A node in a subgraph is known by the path to it: node 5 in the subgraph that node 12 stands for is "12:5".
Source: ComfyUI frontend, `ExecutableNodeDTO.ts` and `SubgraphNode.ts`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..core.errors import Fault, InvalidWorkflow
from .group_nodes import with_groups
from .page_nodes import VIRTUAL, is_left_out
from .promotion import promote
from .widgets import slots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .drawing import Drawing, Drawn, Sheet, Slot
    from .promotion import Promoted
    from .registry import Registry
    from .widgets import Held

MOST_NODES = 10_000
"""How many nodes a workflow may have once its subgraphs are laid flat: a small file can stand for billions."""


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A node at its place: `host` is the node that stands for the subgraph around it, `inside` what it stands for.

    `promoted` are the values that it holds for the inputs of the subgraph, by input. It `is_active` when neither it nor
    a subgraph around it is muted or bypassed; `control` is what the subgraph's node says of its seed.
    """

    path: tuple[str, ...]
    drawn: Drawn
    sheet: Sheet
    slots: tuple[Slot, ...]
    outputs: tuple[str, ...]
    is_known: bool
    is_active: bool
    control: str = ""
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
        is_nothing = self.drawn.type in VIRTUAL or (not self.is_known and is_left_out(self.drawn))
        return self.is_active and self.inside is None and not is_nothing

    def beside(self, node_id: str) -> str:
        """Return the id of another node on the same sheet."""
        return ":".join((*self.path[:-1], node_id))

    def within(self, node_id: str) -> str:
        """Return the id of a node in the subgraph that this one stands for."""
        return ":".join((*self.path, node_id))


def flatten(drawing: Drawing, registry: Registry) -> Mapping[str, Spot]:
    """Lay a drawing flat: all nodes by the id they run under, also those that do not run.

    Raises InvalidWorkflow when a subgraph holds itself, or there are more than 10,000 nodes.
    """
    promoted = promote(with_groups(drawing, registry), registry)
    drawing = promoted.drawing
    spots: dict[str, Spot] = {}
    waiting = [_spot(drawn, drawing.root, None, promoted, registry) for drawn in drawing.root.nodes.values()]
    while waiting:
        spot = waiting.pop(0)
        spots[spot.id] = spot
        if spot.inside is not None:
            _refuse_circles(spot)
            waiting[:0] = [_spot(drawn, spot.inside, spot, promoted, registry) for drawn in spot.inside.nodes.values()]
        if len(spots) + len(waiting) > MOST_NODES:
            raise InvalidWorkflow(
                [Fault("the workflow", "has too many nodes, subgraphs laid flat", f"{MOST_NODES:,} at most")]
            )
    return spots


def _spot(drawn: Drawn, sheet: Sheet, host: Spot | None, promoted: Promoted, registry: Registry) -> Spot:
    inside = promoted.drawing.subgraphs.get(drawn.type)
    face = registry.get(drawn.type)
    own = slots(drawn, face) if inside is None else _hosted(drawn, inside)
    values = promoted.values.get(drawn.home, {})
    return Spot(
        path=(*host.path, drawn.id) if host else (drawn.id,),
        drawn=drawn,
        sheet=sheet,
        slots=own,
        outputs=tuple(item.type for item in (face.outputs if face else (inside or drawn).outputs)),
        is_known=face is not None,
        is_active=drawn.runs and (host is None or host.is_active),
        control=promoted.controls.get((host.drawn.home, drawn.id), "") if host else "",
        host=host,
        inside=inside,
        promoted={index: values[slot.name] for index, slot in enumerate(own) if slot.name in values},
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
