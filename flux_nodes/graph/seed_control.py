"""Seeds that move from run to run, as the choice behind a seed widget says (`control_after_generate`).

ComfyUI's frontend moves them when it queues: by default after a run, so that what the widget shows is what runs first.
So it is here. A file is not rewritten: `seed_history` keeps which seed was taken last.
Source: ComfyUI frontend, `widgets.ts` (addValueControlWidgets): a number stays at the end of its range, and one at
random lies within ±2^50.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .order import needed, outputs
from .primitives import holder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .registry import Registry
    from .setting import Place
    from .workflow import Workflow

MOVING = frozenset({"randomize", "increment", "decrement"})
"""The choices that move a seed; every other one leaves it."""

_WIDEST = 2**50
"""What a number at random is bounded by; a JavaScript number holds it exactly."""

_FARTHEST = 2**64
"""What ComfyUI's own seeds are bounded by."""


@dataclass(frozen=True, kw_only=True)
class MovingSeed:
    """A seed that moves: the inputs that take it, its choice, the value that the file holds, and its range.

    Several inputs take one seed where the drawing keeps one value for them: in a subgraph that is used twice, say.
    """

    places: tuple[Place, ...]
    control: str
    saved: int
    least: int
    most: int

    @property
    def name(self) -> str:
        """The name of its first input: what it is known by from run to run."""
        return ".".join(self.places[0])

    def after(self, value: int) -> int:
        """Return the seed that comes after another, within the range."""
        if self.control == "randomize":
            return self._at_random(value)
        step = 1 if self.control == "increment" else -1
        return min(max(value + step, self.least), self.most)

    def _at_random(self, value: int) -> int:
        least, most = max(self.least, -_WIDEST), min(self.most, _WIDEST)
        if most <= least:
            return least
        found = least + secrets.randbelow(most - least)
        return found if found < value else found + 1  # every number but the last one


def moving_seeds(workflow: Workflow, registry: Registry) -> tuple[MovingSeed, ...]:
    """Return the seeds of the nodes that run whose choice moves them; one that was set by hand is none of them."""
    wanted = set(needed(workflow, outputs(workflow, registry)))
    groups: dict[object, list[Place]] = {}
    for place in workflow.controls:
        node = workflow.nodes.get(place[0])
        if node is not None and _is_whole(node.inputs.get(place[1])):
            groups.setdefault(workflow.homes.get(place) or place, []).append(place)
    ranges = _ranges(workflow, registry)
    return tuple(_seed(workflow, places, ranges) for places in groups.values() if _any_of(places, wanted))


def _any_of(places: list[Place], wanted: set[str]) -> bool:
    """Tell whether one of these is wanted; the others move with it, or the drawing could not show it."""
    return any(node_id in wanted for node_id, _ in places)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _seed(workflow: Workflow, places: list[Place], ranges: Mapping[Place, tuple[int, int]]) -> MovingSeed:
    node_id, name = places[0]
    least, most = zip(*(ranges[place] for place in places), strict=True)
    return MovingSeed(
        places=tuple(places),
        control=workflow.controls[places[0]],
        saved=int(str(workflow.nodes[node_id].inputs[name])),
        least=max(least),
        most=min(most),
    )


def _ranges(workflow: Workflow, registry: Registry) -> dict[Place, tuple[int, int]]:
    """Return the range of each whole number: that of every widget which it reaches, through primitive nodes too."""
    found: dict[Place, tuple[int, int]] = {}
    for node in workflow.nodes.values():
        for item in registry[node.class_type].inputs if node.class_type in registry else ():
            held = holder(workflow, node.id, item.name) if item.type == "INT" else None
            if held is not None:
                place = (held[0].id, held[1])
                least, most = found.get(place, (-_FARTHEST, _FARTHEST))
                found[place] = (_within(item.minimum, least, max), _within(item.maximum, most, min))
    return found


def _within(bound: float | None, other: int, narrower: Callable[[int, int], int]) -> int:
    return other if bound is None else narrower(int(bound), other)


def with_seeds(workflow: Workflow, seeds: Mapping[MovingSeed, int], registry: Registry) -> Workflow:
    """Return the workflow with these seeds, in its nodes and in its drawing."""
    values = {".".join(place): value for seed, value in seeds.items() for place in seed.places}
    return workflow.with_values(values, registry) if values else workflow
