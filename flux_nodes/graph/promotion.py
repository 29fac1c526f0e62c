"""Promoted widgets: which values of a subgraph's node belong to which widgets inside the subgraph.

A node of a subgraph shows widgets from inside it and holds values of its own for them. Its values stand in the order of
those inputs of the subgraph that lead to a widget. Files of 2025 and 2026 also list widgets by node and name
(`proxyWidgets`), at any depth: the newest frontend makes an input of the subgraph of each when it opens such a file,
and so does this module, from the innermost subgraphs outwards. An input without a value has that of the first widget
that it leads to, for all of them.
Source: ComfyUI frontend 1.58.1, `proxyWidgetMigration.ts` and `SubgraphNode.ts`. 1.32.9 keeps the values of listed
widgets in the inner nodes only. One thing differs: a widget named by a path ("12:5") is found, where 1.58.1 sets its
value aside.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .drawing import INSIDE, Slot, Wire
from .page_nodes import PRIMITIVE
from .widgets import CONTROL, Held, held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .drawing import Drawing, Drawn, Sheet
    from .link import Home
    from .registry import Registry

_AN_INPUT = "-1"
"""The node id that means an input of the subgraph itself."""

_PREFIX = re.compile(r"\s*(\d+)\s*:\s*(.+)")
"""How 1.32.9 names a widget that its node shows of another one further in: "5: seed"."""


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """A drawing whose promoted widgets are inputs of subgraphs, and the values for them.

    `values` has, by the home of a subgraph's node, its value for each input that leads to a widget, by its name, and
    `controls` what it says of the seed of a node inside, by home and node.
    """

    drawing: Drawing
    values: Mapping[Home, Mapping[str, Held]]
    controls: Mapping[tuple[Home, str], str]


def promote(drawing: Drawing, registry: Registry) -> Promoted:
    """Make an input of every promoted widget, and give each subgraph's node its values for the inputs."""
    work = _Work(drawing, registry)
    for sheet in work.sheets:
        hosts = work.hosts(sheet)
        for host in hosts:
            work.take_in_order(host)
        for host in hosts:
            work.take_listed(host)
    for sheet in work.sheets:
        for host in work.hosts(sheet):
            work.fill(host)
    return Promoted(drawing=drawing, values=work.values, controls=work.controls)


def primitive_value(drawn: Drawn) -> Held | None:
    """Return what a PrimitiveNode writes into every widget that it is wired to."""
    found = held(drawn, None).get("value") or next((value for _, value in host_values(drawn)), None)
    control = drawn.values[1] if isinstance(drawn.values, list) and len(drawn.values) > 1 else ""
    # Its own choice counts, never that of the widget which it writes into.
    return found and replace(found, control=control if isinstance(control, str) and control else "fixed")


def host_values(drawn: Drawn) -> Iterator[tuple[int, Held]]:
    """Yield the values that a node keeps in a list, with their places; a null is no value."""
    for index, value in enumerate(drawn.values) if isinstance(drawn.values, list) else ():
        if value is not None:
            yield index, Held(value, ((*drawn.home, "widgets_values", index),))


def _innermost_first(subgraphs: Mapping[str, Sheet]) -> Iterator[Sheet]:
    done: set[str] = set()
    waiting = [(id_, False) for id_ in [*subgraphs][::-1]]
    while waiting:
        id_, is_open = waiting.pop()
        if is_open:
            yield subgraphs[id_]
        elif id_ not in done:
            done.add(id_)
            inner = {drawn.type for drawn in subgraphs[id_].nodes.values()}
            waiting += [(id_, True), *((type_, False) for type_ in inner if type_ in subgraphs)]


class _Work:
    """The subgraphs from the inside, innermost first, and the values of their nodes as far as they are known."""

    def __init__(self, drawing: Drawing, registry: Registry) -> None:
        self._registry = registry
        self.sheets = [*_innermost_first(drawing.subgraphs), drawing.root]
        ids = {id(sheet): id_ for id_, sheet in drawing.subgraphs.items()}
        self._insides: dict[str, _Inside] = {}
        for sheet in self.sheets[:-1]:
            self._insides[ids[id(sheet)]] = _Inside(sheet, self._is_widget)
        self.values: dict[Home, dict[str, Held]] = {}
        self.controls: dict[tuple[Home, str], str] = {}

    def hosts(self, sheet: Sheet) -> list[Drawn]:
        """Return the nodes on a sheet that stand for subgraphs."""
        return [drawn for drawn in sheet.nodes.values() if drawn.type in self._insides]

    def take_in_order(self, host: Drawn) -> None:
        """Give a node's values to the inputs that lead to a widget, in the order of the inputs."""
        inside = self._insides[host.type]
        names = inside.value_names
        self.values[host.home] = {
            name: _named_too(host, name, value)
            for index, value in host_values(host)
            if index < len(names) and (name := names[index]) is not None
        }

    def take_listed(self, host: Drawn) -> None:
        """Give a node's values to the widgets that it lists; each becomes an input of the subgraph."""
        inside, values = self._insides[host.type], dict(host_values(host))
        own = self.values[host.home]
        for index, proxy in enumerate(host.proxies):
            name = self._input_for(inside, proxy)
            if name is not None and index in values:
                own[name] = values[index]
            elif proxy[1] == CONTROL and index in values:
                self.controls[host.home, proxy[0]] = str(values[index].value)
        own |= {name: Held(value, (home,)) for name, (value, home) in host.rescued.items()}

    def fill(self, host: Drawn) -> None:
        """Give an input without a value that of the first widget that it leads to, and no value to a bare socket."""
        inside, own = self._insides[host.type], self.values[host.home]
        for index, slot in enumerate(inside.sheet.inputs):
            if slot.name not in own or not inside.shown[index]:
                own.pop(slot.name, None)
                value = self._first(inside, index, slot.name)
                own |= {} if value is None else {slot.name: value}

    def _first(self, inside: _Inside, index: int, name: str) -> Held | None:
        """Return what the first widget that an input leads to holds by itself."""
        if name in inside.replaced:
            return inside.replaced[name]
        for node_id, inner in inside.feeds[index]:
            drawn = inside.sheet.nodes[node_id]
            deeper = self.values.get(drawn.home)
            known = held(drawn, self._registry.get(drawn.type)) if deeper is None else deeper
            if self._is_widget(drawn, inner) and inner in known:
                return known[inner]
        return None

    def _input_for(self, inside: _Inside, proxy: tuple[str, ...]) -> str | None:
        """Return the input that a listed widget is, made now if need be; None if there is no such widget."""
        path, name, *further = proxy
        if path == _AN_INPUT:
            return name if name in inside.names else None
        way: list[tuple[_Inside, str]] = []
        at: _Inside | None = inside
        for node_id in path.split(":"):
            if at is None or node_id not in at.sheet.nodes:
                return None
            way.append((at, node_id))
            at = self._insides.get(at.sheet.nodes[node_id].type)
        found: str | None = name
        while way and found is not None:
            level, node_id = way.pop()
            found = self._show(level, level.sheet.nodes[node_id], found, further[0] if further else "")
        return found

    def _show(self, inside: _Inside, drawn: Drawn, name: str, further: str) -> str | None:
        if drawn.type == PRIMITIVE:
            return inside.input_instead_of(drawn)
        widget = self._widget(drawn, name, further)
        face = self._registry.get(drawn.type)
        item = face.input(widget) if face and widget else None
        return None if widget is None else inside.input_for(drawn, widget, item.type if item else "*")

    def _widget(self, drawn: Drawn, name: str, further: str) -> str | None:
        """Return the widget of a node that a list means, which may have put ids before its name."""
        plain = name
        while prefixed := _PREFIX.fullmatch(plain):
            deepest, plain = prefixed[1], prefixed[2]
            further = deepest
        inner = self._insides.get(drawn.type)
        if inner is not None:
            return inner.find(name, further) or inner.find(plain, further)
        return next((each for each in (name, plain) if self._is_widget(drawn, each)), None)

    def _is_widget(self, drawn: Drawn, name: str) -> bool:
        inner = self._insides.get(drawn.type)
        if inner is not None:
            return name in inner.names and inner.shown[inner.names[name]]
        face = self._registry.get(drawn.type)
        item = face.input(name) if face else None
        return item.is_widget if item else any(slot.widget == name for slot in drawn.inputs)


class _Inside:
    """A subgraph from the inside: where its inputs lead to, each to (node id, input) in the order that counts."""

    def __init__(self, sheet: Sheet, is_widget: Callable[[Drawn, str], bool]) -> None:
        self.sheet = sheet
        ends = {slot.wire: (drawn, slot) for drawn in sheet.nodes.values() for slot in drawn.inputs if slot.wire}
        self._fed: dict[str, list[tuple[str, str]]] = defaultdict(list)
        starts: dict[int, dict[str, None]] = defaultdict(dict)
        for key, wire in sheet.wires.items():
            if key in ends:
                self._fed[wire.origin].append((ends[key][0].id, ends[key][1].name))
            if key in ends and wire.origin == INSIDE:
                starts[wire.origin_slot][key] = None
        self.feeds: list[list[tuple[str, str]]] = []
        self.shown: list[bool] = []
        self.names: dict[str, int] = {}
        self._by_target: dict[tuple[str, str], str] = {}
        self._by_widget: dict[str, str] = {}
        self.replaced: dict[str, Held] = {}
        self._instead: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        for index, slot in enumerate(sheet.inputs):
            keys = starts[index] if slot.wires is None else (key for key in slot.wires if key in starts[index])
            feeds = [(ends[key][0].id, ends[key][1].name) for key in keys]
            shown = any(is_widget(sheet.nodes[node_id], name) for node_id, name in feeds)
            self._note(slot.name, feeds, shown=shown)
        saved = tuple(slot.name for slot, shown in zip(sheet.inputs, self.shown, strict=True) if shown)
        self.value_names = saved if sheet.value_names is None else sheet.value_names
        """The inputs that a node's values belong to, in order."""

    def find(self, name: str, node_id: str) -> str | None:
        """Return the input of this name, or that leads to a widget of this name (of a node, if one is told)."""
        return self._by_target.get((node_id, name)) or (name if name in self.names else self._by_widget.get(name))

    def input_for(self, drawn: Drawn, widget: str, type_: str) -> str:
        """Return the input that leads to a widget before all others, made now if there is none."""
        known = self._by_target.get((drawn.id, widget))
        return known or self._add(widget, type_, [(drawn.id, widget)])

    def input_instead_of(self, primitive: Drawn) -> str | None:
        """Return the input that feeds what a PrimitiveNode fed until now; None when it feeds nothing."""
        ends = self._fed[primitive.id]
        if primitive.id not in self._instead and ends:
            value = primitive_value(primitive)
            title = primitive.title if primitive.title not in ("", PRIMITIVE) else "value"
            self._instead[primitive.id] = name = self._add(title, "*", ends)
            self.replaced |= {} if value is None else {name: value}
        return self._instead.get(primitive.id)

    def _add(self, wanted: str, type_: str, ends: list[tuple[str, str]]) -> str:
        name = wanted
        while name in self.names:
            self._numbers[wanted] = self._numbers.get(wanted, 0) + 1
            name = f"{wanted}_{self._numbers[wanted]}"
        index = len(self.sheet.inputs)
        self.sheet.inputs.append(Slot(name=name, type=type_))
        for count, (node_id, widget) in enumerate(ends):
            key = f"promoted {index} {count}"
            self.sheet.wires[key] = Wire(origin=INSIDE, origin_slot=index, target=node_id, target_slot=0)
            self.sheet.nodes[node_id] = _wired(self.sheet.nodes[node_id], widget, type_, key)
        self._note(name, ends, shown=True)
        return name

    def _note(self, name: str, feeds: list[tuple[str, str]], *, shown: bool) -> None:
        self.names.setdefault(name, len(self.feeds))
        self.feeds.append(feeds)
        self.shown.append(shown)
        if feeds:
            self._by_target.setdefault(feeds[0], name)
            self._by_widget.setdefault(feeds[0][1], name)


def _wired(drawn: Drawn, widget: str, type_: str, key: str) -> Drawn:
    new = Slot(name=widget, type=type_, wire=key, widget=widget)
    if any(slot.name == widget for slot in drawn.inputs):
        return replace(drawn, inputs=tuple(new if slot.name == widget else slot for slot in drawn.inputs))
    return replace(drawn, inputs=(*drawn.inputs, new))


def _named_too(drawn: Drawn, name: str, value: Held) -> Held:
    """Add the second place of a value that newer frontends keep by name as well."""
    if name in drawn.named and drawn.named[name] == value.value:
        return Held(value.value, (*value.homes, (*drawn.home, "widgets_values_named", name)))
    return value
