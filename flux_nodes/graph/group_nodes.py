"""Group nodes, which ComfyUI had before subgraphs: read as the subgraphs that its newest frontend makes of them.

A group node is of type `workflow>NAME`. Its nodes stand under `extra.groupNodes`, known by their place in the list, so
that node 0 in group node 5 runs as "5:0". Its inputs and widgets are those of its nodes that no link inside feeds, in
the order of the nodes: the widgets of a node, then its sockets, and last of all those widgets that were inputs as well.
Source: ComfyUI frontend 1.32.9, `groupNode.ts` (GroupNodeConfig, updateInnerWidgets).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from ..core.errors import Fault, InvalidWorkflow
from .drawing import INSIDE, OUTSIDE, Drawn, Sheet, Slot, Wire, read_node
from .page_nodes import PRIMITIVE
from .widgets import has_control, ordered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..nodes.face import Input
    from .drawing import Drawing
    from .link import Json
    from .registry import Registry

_PREFIXES = ("workflow>", "workflow/")
_REMEDY = "a subgraph: ComfyUI's newest frontend turns group nodes into subgraphs when it opens the file; save it there"


def with_groups(drawing: Drawing, registry: Registry) -> Drawing:
    """Return a drawing whose group nodes are subgraphs. Raises InvalidWorkflow for those that cannot be made out."""
    faults: list[Fault] = []
    made: dict[str, Sheet] = {}
    for drawn in _group_nodes(drawing):
        name = drawn.type[len(_PREFIXES[0]) :]
        if name not in drawing.groups:
            faults.append(_fault(drawn, name, "the file does not tell which nodes are in it (extra.groupNodes)"))
        elif drawn.type not in made:
            try:
                made[drawn.type] = _Group(name, drawing.groups[name], registry).sheet()
            except _UnreadableError as error:
                faults.append(_fault(drawn, name, str(error)))
        faults += [_fault(drawn, name, why) for why in _unclear(drawn, made.get(drawn.type))]
    if faults:
        raise InvalidWorkflow(faults)
    return replace(drawing, subgraphs={**drawing.subgraphs, **made})


def _group_nodes(drawing: Drawing) -> Iterator[Drawn]:
    for sheet in (drawing.root, *drawing.subgraphs.values()):
        yield from (drawn for drawn in sheet.nodes.values() if drawn.type.startswith(_PREFIXES))


def _unclear(drawn: Drawn, inside: Sheet | None) -> Iterator[str]:
    """Yield what the frontends make something else of than the person who drew it, or each something of its own."""
    if not drawn.runs:
        yield "it is muted or bypassed, which ComfyUI's frontends do not heed"
    for slot in drawn.inputs:
        if inside is not None and slot.wire is not None and slot.name in (inside.value_names or ()):
            yield f"its widget {slot.name} is linked, a link that ComfyUI's frontends lose"


def _fault(drawn: Drawn, name: str, why: str) -> Fault:
    return Fault(f"node {drawn.id}", f'is the group node "{name}", and {why}', _REMEDY)


class _UnreadableError(Exception):
    """A group node that cannot be made out; the text says why."""


class _Group:
    """One group node's definition, on its way to a sheet."""

    def __init__(self, name: str, data: Mapping[str, Json], registry: Registry) -> None:
        raw = data.get("nodes")
        if not isinstance(raw, list) or not all(isinstance(node, dict) for node in raw):
            raise _UnreadableError("its nodes cannot be read")
        self._registry = registry
        self._config = data["config"] if isinstance(data.get("config"), dict) else {}
        home = ("extra", "groupNodes", name, "nodes")
        self._nodes = [self._alone(node, (*home, index), index) for index, node in enumerate(raw)]
        self._wires: dict[str, Wire] = {}
        self._into: dict[tuple[int, int], str] = {}
        self._link(data.get("links"))
        self._external = _pairs(data.get("external"))
        self._inputs: list[Slot] = []
        self._values: list[str | None] = []
        self._seen: dict[str, int] = {}

    def _alone(self, raw: Mapping[str, Json], home: tuple[str | int, ...], index: int) -> Drawn:
        if str(raw.get("type")).startswith(_PREFIXES):
            raise _UnreadableError("another group node is in it")
        drawn = read_node({**raw, "id": index}, home)
        if drawn.type in self._registry:  # what the group node holds no value for has its default
            drawn = replace(drawn, values=(), named={})
        return replace(drawn, inputs=tuple(replace(slot, wire=None) for slot in drawn.inputs))

    def _link(self, links: Json) -> None:
        for number, link in enumerate(links if isinstance(links, list) else ()):
            if not isinstance(link, list) or len(link) < 4 or not all(_is_index(end) for end in link[1:4]):
                raise _UnreadableError("a link in it cannot be read")
            start, slot, end, into = link[:4]
            if start is None:
                continue
            if not all(_is_index(at) and at < len(self._nodes) for at in (start, end)):
                raise _UnreadableError("a link in it leads to no node")
            key = f"link {number}"
            self._wires[key] = Wire(origin=str(start), origin_slot=slot, target=str(end), target_slot=into)
            self._into[end, into] = key

    def sheet(self) -> Sheet:
        """Return the group node as the inside of a subgraph."""
        for index, drawn in enumerate(self._nodes):
            self._nodes[index] = self._wired(index, drawn)
        later: list[tuple[int, Input]] = []
        for index in range(len(self._nodes)):
            later += self._take_inputs(index)
        for index, item in later:
            self._add_widget(index, item)
        return Sheet(
            nodes={drawn.id: drawn for drawn in self._nodes if drawn.type != PRIMITIVE},
            wires=self._wires,
            inputs=self._inputs,
            outputs=tuple(self._outputs()),
            value_names=tuple(self._values),
        )

    def _wired(self, index: int, drawn: Drawn) -> Drawn:
        inputs = enumerate(drawn.inputs)
        return replace(drawn, inputs=tuple(replace(slot, wire=self._into.get((index, at))) for at, slot in inputs))

    def _take_inputs(self, index: int) -> list[tuple[int, Input]]:
        """Add the widgets and sockets of a node, and return those widgets that were inputs as well."""
        drawn = self._nodes[index]
        if drawn.type == PRIMITIVE:
            self._take_primitive(drawn)
        face = self._registry.get(drawn.type)
        items = ordered(face) if face else ()
        places = {slot.widget: at for at, slot in enumerate(drawn.inputs) if slot.widget == slot.name}
        converted = [item for item in items if item.is_widget and item.name in places]
        for item in items:
            if item.is_widget and item not in converted:
                self._add_widget(index, item)
        sockets = [Slot(name=item.name, type=item.type) for item in items if not item.is_widget]
        for slot in sockets if face else drawn.inputs:
            self._add_socket(index, slot)
        return [(index, item) for item in sorted(converted, key=lambda item: places[item.name])]

    def _take_primitive(self, drawn: Drawn) -> None:
        """Make an input of a primitive that is linked: it feeds what the primitive fed."""
        keys = [key for key, wire in self._wires.items() if wire.origin == drawn.id]
        if not keys:
            return
        name = self._named(drawn, "value")
        for key in keys:
            wire = self._wires[key]
            self._wires[key] = replace(wire, origin=INSIDE, origin_slot=len(self._inputs))
        item = self._fed(keys[0])
        self._inputs.append(Slot(name=name, type=item.type if item else "*", wires=tuple(keys)))
        self._values += [name, None] if item and item.type in ("INT", "COMBO") else [name]

    def _fed(self, key: str) -> Input | None:
        wire = self._wires[key]
        drawn = self._nodes[int(wire.target)]
        face = self._registry.get(drawn.type)
        return (
            face.input(drawn.inputs[wire.target_slot].name) if face and wire.target_slot < len(drawn.inputs) else None
        )

    def _add_widget(self, index: int, item: Input) -> None:
        if self._is_fed(index, item.name):
            return
        name = self._add_socket(index, Slot(name=item.name, type=item.type, widget=item.name))
        self._values += [name, None] if has_control(item) else [name]

    def _is_fed(self, index: int, name: str) -> bool:
        return any(slot.name == name and slot.wire is not None for slot in self._nodes[index].inputs)

    def _add_socket(self, index: int, slot: Slot) -> str:
        """Make an input that feeds one of a node's, unless a link inside does; return its name."""
        drawn = self._nodes[index]
        if self._is_fed(index, slot.name):
            return ""
        name = self._named(drawn, slot.name)
        key = f"input {len(self._inputs)}"
        self._wires[key] = Wire(origin=INSIDE, origin_slot=len(self._inputs), target=drawn.id, target_slot=0)
        fed = replace(slot, wire=key)
        others = tuple(other for other in drawn.inputs if other.name != slot.name)
        known = any(other.name == slot.name for other in drawn.inputs)
        inputs = tuple(fed if other.name == slot.name else other for other in drawn.inputs) if known else (*others, fed)
        self._nodes[index] = replace(drawn, inputs=inputs)
        self._inputs.append(Slot(name=name, type=slot.type, wires=(key,)))
        return name

    def _named(self, drawn: Drawn, inner: str) -> str:
        """Return the name that an input of a node has on the group node, where names are made to differ."""
        told = _part(_part(_part(self._config, drawn.id), "input"), inner).get("name")
        name = told if isinstance(told, str) else inner
        key = name
        if (drawn.type == PRIMITIVE and drawn.title) or name in self._seen:
            prefix = f"{drawn.title or drawn.type} "
            key = name = f"{prefix}{inner}"
            if name in self._seen:
                name = f"{prefix}{self._seen[name]} {inner}"
        self._seen[key] = self._seen.get(key, 1) + 1
        return name

    def _outputs(self) -> Iterator[Slot]:
        """Yield the outputs, each with a wire to it: those that no link inside takes, or that one outside takes too."""
        inside: dict[str, set[int]] = defaultdict(set)
        for wire in self._wires.values():
            inside[wire.origin].add(wire.origin_slot)
        count = 0
        for index, drawn in enumerate(self._nodes):
            for at, slot in enumerate(self._given(drawn)):
                seen = _part(_part(_part(self._config, drawn.id), "output"), str(at)).get("visible")
                hidden = at in inside[drawn.id] and (index, at) not in self._external
                if seen if isinstance(seen, bool) else not hidden:
                    key = f"output {count}"
                    self._wires[key] = Wire(origin=drawn.id, origin_slot=at, target=OUTSIDE, target_slot=count)
                    count += 1
                    yield slot

    def _given(self, drawn: Drawn) -> Sequence[Slot]:
        if drawn.type == PRIMITIVE:
            return ()
        face = self._registry.get(drawn.type)
        return [Slot(name=item.name, type=item.type) for item in face.outputs] if face else drawn.outputs


def _pairs(raw: Json) -> set[tuple[int, int]]:
    parts = [part[:2] for part in raw if isinstance(part, list)] if isinstance(raw, list) else []
    return {(part[0], part[1]) for part in parts if len(part) == 2 and all(isinstance(at, int) for at in part)}


def _is_index(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _part(data: Json, name: str) -> Mapping[str, Json]:
    part = data.get(name) if isinstance(data, dict) else None
    return part if isinstance(part, dict) else {}
