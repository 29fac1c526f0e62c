"""Setting values of a workflow by name: `input`, `id.input` or `title.input`."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from ..core.errors import Fault, InvalidWorkflow
from .primitives import holder
from .values import WrongValueError, allowed, coerced, from_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..nodes.face import Input, Type
    from .link import Json
    from .registry import Registry
    from .workflow import Workflow, WorkflowNode

_OURS = "Flux"
"""What the ids of our own nodes begin with; their inputs are meant first when a name could mean several."""

_MOST_NAMED = 40

Place: TypeAlias = "tuple[str, str]"
"""A node's id and the name of one of its inputs."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A value that can be set: the name to set it by, its type, what it is now, and the node that it belongs to."""

    name: str
    type: Type
    value: Json
    node: str


def list_settings(workflow: Workflow, registry: Registry) -> tuple[Setting, ...]:
    """Return every value that can be set, under the shortest name that means it and no other."""
    names = _Names(workflow, registry)
    return tuple(
        Setting(name=names.shortest(place), type=item.type, value=names.value(place), node=place[0])
        for place, item in names.places.items()
    )


def with_values(workflow: Workflow, values: Mapping[str, Json], registry: Registry) -> Workflow:
    """Return the workflow with other values. Raises InvalidWorkflow with every name and value that cannot be used."""
    names = _Names(workflow, registry)
    faults: list[Fault] = []
    changes: dict[Place, Json] = {}
    for name, value in values.items():
        found = names.find(name)
        if len(found) != 1:
            faults.append(names.fault(name, found))
            continue
        item = names.places[found[0]]
        try:
            changes[found[0]] = from_text(item, value) if isinstance(value, str) else coerced(item, value)
        except WrongValueError as wrong:
            faults.append(Fault(name, str(wrong), allowed(item)))
    if faults:
        raise InvalidWorkflow(faults)
    return _changed(workflow, changes)


class _Names:
    """Which values a workflow has, and by which names they can be meant."""

    def __init__(self, workflow: Workflow, registry: Registry) -> None:
        self.nodes = workflow.nodes
        self.places: dict[Place, Input] = {}
        self._by_name: dict[str, list[Place]] = defaultdict(list)
        self._names: dict[Place, list[str]] = defaultdict(list)
        for node in workflow.nodes.values():
            for item in registry[node.class_type].inputs if node.class_type in registry else ():
                if item.is_widget:
                    self._add(workflow, node, item)
        self._by_title: dict[str, list[Place]] = defaultdict(list)
        for place in self.places:
            self._by_title[f"{self.nodes[place[0]].title}.{place[1]}"].append(place)

    def _add(self, workflow: Workflow, node: WorkflowNode, item: Input) -> None:
        found = holder(workflow, node.id, item.name)
        if found is None:
            return
        place = (found[0].id, found[1])
        if place == (node.id, item.name):
            self.places[place] = item
        if place not in self._by_name[item.name]:
            self._by_name[item.name].append(place)
            # What a primitive's value is for says more than that it is a value.
            self._names[place].insert(0 if place != (node.id, item.name) else len(self._names[place]), item.name)

    def find(self, name: str) -> Sequence[Place]:
        """Return the values that a name may mean."""
        node_id, _, input_name = name.rpartition(".")
        if (node_id, input_name) in self.places:
            return [(node_id, input_name)]
        found = self._by_title.get(name) or self._by_name.get(name) or []
        ours = [place for place in found if self.nodes[place[0]].class_type.startswith(_OURS)]
        return ours if len(found) > 1 and len(ours) == 1 else found

    def value(self, place: Place) -> Json:
        """Return what a value is now; None when it is not set."""
        return self.nodes[place[0]].inputs.get(place[1])

    def shortest(self, place: Place) -> str:
        """Return the shortest name that means one value alone."""
        node_id, name = place
        names = (*self._names[place], f"{self.nodes[node_id].title}.{name}")
        return next((name for name in names if self.find(name) == [place]), f"{node_id}.{name}")

    def fault(self, name: str, found: Sequence[Place]) -> Fault:
        """Say what is wrong with a name that means nothing, or more than one value."""
        if found:
            choices = [f"{place[0]}.{place[1]} ({self.nodes[place[0]].title})" for place in found]
            return Fault(name, "means more than one value", _listed(choices))
        return Fault(name, "means no value of this workflow", _listed(map(self.shortest, self.places)))


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:_MOST_NAMED]) + (", …" if len(every) > _MOST_NAMED else "")


def _changed(workflow: Workflow, changes: Mapping[Place, Json]) -> Workflow:
    nodes = dict(workflow.nodes)
    for (node_id, name), value in changes.items():
        node = nodes[node_id]
        nodes[node_id] = replace(node, inputs={**node.inputs, name: value})
    controls = {place: control for place, control in workflow.controls.items() if place not in changes}
    return replace(workflow, nodes=nodes, ui=_redrawn(workflow, changes), controls=controls)


def _redrawn(workflow: Workflow, changes: Mapping[Place, Json]) -> Mapping[str, Json] | None:
    """Return the drawing with the same values; None when it cannot show them, so that no drawing tells a lie.

    That is so when a value has no place in the drawing, or shares it with a value that stays (a subgraph used twice).
    """
    if workflow.ui is None:
        return None
    shared: dict[tuple[str | int, ...], list[Place]] = defaultdict(list)
    for place, homes in workflow.homes.items():
        for home in homes:
            shared[home].append(place)
    ui = deepcopy(workflow.ui)
    for place, value in changes.items():
        homes = workflow.homes.get(place, ())
        if not homes or any(changes.get(other, NotImplemented) != value for home in homes for other in shared[home]):
            return None
        for home in homes:
            _put(ui, home, value)
    return ui


def _put(ui: Json, home: Sequence[str | int], value: Json) -> None:
    for key in home[:-1]:
        ui = ui[key]
    ui[home[-1]] = value
