"""The drawing of a workflow, as ComfyUI's frontend saves it: nodes, wires and subgraphs, read without trust.

Two forms are known: version 0.4, where a wire is a list [id, from, output, to, input, type], and version 1, where it is
an object; inside a subgraph it is an object in both. Reroute points (`extra.reroutes`, `reroutes`) only bend a wire,
which still tells its true ends.
Source: ComfyUI frontend, `comfyWorkflowSchema.ts` and litegraph's `serialisation.ts`.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ..core.errors import Fault, InvalidWorkflow
from .page_nodes import SETTERS, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .link import Home, Json

MUTED, BYPASSED = 2, 4
"""The modes of a node that does not run (LGraphEventMode)."""

INSIDE, OUTSIDE = "-10", "-20"
"""The ids that a wire in a subgraph has where it comes in from, and goes out to, the graph around it."""

_ALIAS = "Node name for S&R"


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One input or output of a drawn node; `widget` names the widget that an input stands for.

    `wires` are the ids of the wires that an input of a subgraph feeds, in the order that counts; None if not told.
    """

    name: str
    type: str
    wire: str | None = None
    widget: str | None = None
    wires: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A connection between two drawn nodes."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A drawn node; `values` and `named` are what its widgets hold, and `home` is where it stands in the drawing.

    One that `is_bare` has, as the file says itself, no inputs and no outputs.

    `proxies` are the widgets inside its subgraph that it shows, each as (node id, widget, id of a node further in), and
    `rescued` the values that the frontend could not give to one of them, by input of the subgraph.
    """

    id: str
    type: str
    title: str
    mode: int
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    values: Sequence[Json] | Mapping[str, Json]
    named: Mapping[str, Json]
    proxies: tuple[tuple[str, ...], ...] = ()
    rescued: Mapping[str, tuple[Json, Home]]
    is_bare: bool
    alias: str
    home: Home

    @property
    def runs(self) -> bool:
        """Whether it is neither muted nor bypassed."""
        return self.mode not in (MUTED, BYPASSED)


@dataclass(kw_only=True, eq=False)
class Sheet:
    """A graph or the inside of a subgraph: its nodes and wires by id, and the subgraph's own inputs and outputs.

    `value_names` are the inputs that the values of its node belong to, where other values lie between them (None).
    """

    nodes: dict[str, Drawn]
    wires: dict[str, Wire]
    inputs: list[Slot] = field(default_factory=list)
    outputs: tuple[Slot, ...] = ()
    name: str = ""
    value_names: tuple[str | None, ...] | None = None

    @cached_property
    def origins(self) -> frozenset[str]:
        """The ids of the nodes that a wire starts at."""
        return frozenset(wire.origin for wire in self.wires.values())

    @cached_property
    def setters(self) -> Mapping[str, Sequence[str]]:
        """The ids of the nodes that keep something under a name, by the name, in the order of the drawing."""
        found: dict[str, list[str]] = {}
        for drawn in self.nodes.values():
            if drawn.type in SETTERS:
                found.setdefault(key_of(drawn), []).append(drawn.id)
        return found


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A whole drawing: the graph, the subgraphs that its nodes may stand for by id, and its group nodes by name."""

    root: Sheet
    subgraphs: Mapping[str, Sheet]
    groups: Mapping[str, Mapping[str, Json]]


def is_drawing(data: Json) -> bool:
    """Tell whether a JSON value has the shape of a drawing."""
    return isinstance(data, dict) and isinstance(data.get("nodes"), list)


def read_drawing(data: Mapping[str, Json]) -> Drawing:
    """Read a drawing. Raises InvalidWorkflow for what cannot be made out, and for every id that is used twice."""
    faults: list[Fault] = []
    parts: dict[str, tuple[Mapping[str, Json], Home]] = {}
    waiting: list[tuple[Mapping[str, Json], Home]] = [(data, ())]
    while waiting:
        holder, home = waiting.pop()
        for index, part in enumerate(_list(_dict(holder.get("definitions")).get("subgraphs"))):
            if isinstance(part, dict) and is_drawing(part):
                id_, inner = str(part.get("id")), (*home, "definitions", "subgraphs", index)
                if id_ in parts and parts[id_][0] != part:
                    faults.append(twice(f"subgraph {id_}", "subgraphs"))
                parts[id_] = (part, inner)
                waiting.append((part, inner))
    drawing = Drawing(
        root=_sheet(data, (), faults),
        subgraphs={id_: _sheet(part, home, faults) for id_, (part, home) in parts.items()},
        groups={name: part for name, part in _dict(_dict(data.get("extra")).get("groupNodes")).items() if _dict(part)},
    )
    if faults:
        raise InvalidWorkflow(faults)
    return drawing


def _sheet(data: Mapping[str, Json], home: Home, faults: list[Fault]) -> Sheet:
    nodes = [read_node(raw, (*home, "nodes", index)) for index, raw in enumerate(data["nodes"])]
    wires = list(_wires(data.get("links")))
    place = f' in subgraph "{data.get("name") or data.get("id")}"' if home else ""
    faults += [twice(f"node {id_}{place}", "nodes") for id_, n in Counter(node.id for node in nodes).items() if n > 1]
    ends: dict[str, set[tuple[str, int]]] = {}
    for key, wire in wires:
        ends.setdefault(key, set()).add((wire.origin, wire.origin_slot))
    faults += [
        twice(f"link {key}{place}", "links that start at different outputs") for key in ends if len(ends[key]) > 1
    ]
    return Sheet(
        nodes={node.id: node for node in nodes},
        wires=dict(wires),
        inputs=list(_slots(data.get("inputs"))),
        outputs=_slots(data.get("outputs")),
        name=str(data.get("name") or ""),
    )


def twice(where: str, what: str) -> Fault:
    """Return what is wrong with an id that several parts of a graph have."""
    return Fault(
        where,
        f"this id is used by several {what}, and which of them is meant cannot be told",
        "one of each id: ComfyUI's newest frontend gives each its own when it opens the file; save it there",
    )


def read_node(raw: Json, home: Home) -> Drawn:
    """Read one node. Raises InvalidWorkflow when it has no id or no type, or lists its promoted widgets wrongly."""
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str) or _key(raw.get("id")) is None:
        raise _unreadable(f"entry {home[-1]} of nodes", "has no id or no type", "an object with both")
    properties = _dict(raw.get("properties"))
    values = raw.get("widgets_values")
    return Drawn(
        id=str(raw["id"]),
        type=raw["type"],
        title=str(raw.get("title") or ""),
        mode=raw["mode"] if isinstance(raw.get("mode"), int) else 0,
        inputs=_slots(raw.get("inputs")),
        outputs=_slots(raw.get("outputs")),
        values=values if isinstance(values, (list, dict)) else (),
        named=_dict(raw.get("widgets_values_named")),
        proxies=_proxies(properties.get("proxyWidgets"), f"node {raw['id']}"),
        is_bare=raw.get("inputs") == raw.get("outputs") == [],
        rescued=dict(_rescued(properties.get("proxyWidgetErrorQuarantine"), home)),
        alias=str(properties.get(_ALIAS) or ""),
        home=home,
    )


def _slots(raw: Json) -> tuple[Slot, ...]:
    return tuple(_slot(item if isinstance(item, dict) else {}) for item in _list(raw))


def _slot(raw: Mapping[str, Json]) -> Slot:
    kind = raw.get("type")
    widget = _dict(raw.get("widget")).get("name")
    return Slot(
        name=str(raw.get("name") or ""),
        # Old files spell a COMBO out as the list of its choices, and "any" as 0.
        type="COMBO" if isinstance(kind, list) else str(kind or "*"),
        wire=_key(raw.get("link")),
        widget=widget if isinstance(widget, str) else None,
        wires=tuple(map(str, raw["linkIds"])) if isinstance(raw.get("linkIds"), list) else None,
    )


def _proxies(raw: Json, where: str) -> tuple[tuple[str, ...], ...]:
    """Read `proxyWidgets`: pairs or triples of texts, or JSON text of them.

    The frontends give the values to other widgets, or stop, where they cannot read the list: nothing runs then.
    """
    pairs = _from_text(raw)
    if not pairs:
        return ()
    if not isinstance(pairs, list) or not all(_is_proxy(pair) for pair in pairs):
        problem = "its list of promoted widgets (properties.proxyWidgets) cannot be read"
        raise _unreadable(where, problem, '[["node id", "widget"], …]')
    return tuple(tuple(pair) for pair in pairs)


def _from_text(raw: Json) -> Json:
    """Return what a property holds: the frontend takes JSON text for the value that it spells."""
    try:
        return json.loads(raw) if isinstance(raw, str) and raw else raw
    except (ValueError, RecursionError):
        return raw


def _is_proxy(pair: Json) -> bool:
    return isinstance(pair, list) and len(pair) in (2, 3) and all(isinstance(part, str) for part in pair)


def _rescued(raw: Json, home: Home) -> Iterator[tuple[str, tuple[Json, Home]]]:
    """Yield the values that stand beside a promoted input, which count more than those among the node's values."""
    for index, entry in reversed(list(enumerate(_list(_from_text(raw))))):
        proxy, value = _dict(entry).get("originalEntry"), _dict(entry).get("hostValue")
        if isinstance(proxy, list) and _is_proxy(proxy) and proxy[0] == "-1" and value is not None:
            yield proxy[1], (value, (*home, "properties", "proxyWidgetErrorQuarantine", index, "hostValue"))


def _wires(raw: Json) -> Iterator[tuple[str, Wire]]:
    # Very old files leave holes, and keep the wires of a graph in an object by id.
    for item in raw.values() if isinstance(raw, dict) else _list(raw):
        if item is not None:
            yield _wire(item)


def _wire(raw: Json) -> tuple[str, Wire]:
    if isinstance(raw, list) and len(raw) >= 5:
        key, origin, origin_slot, target, target_slot = raw[:5]
    elif isinstance(raw, dict):
        names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
        key, origin, origin_slot, target, target_slot = (raw.get(name) for name in names)
    else:
        key = origin = origin_slot = target = target_slot = None
    ends = _key(key), _key(origin), _key(target)
    if None in ends or not _is_index(origin_slot) or not _is_index(target_slot):
        raise _unreadable("links", "one entry does not tell its two ends", "[id, from, output, to, input, type]")
    wire = Wire(origin=str(ends[1]), origin_slot=origin_slot, target=str(ends[2]), target_slot=target_slot)
    return str(ends[0]), wire


def _is_index(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _key(value: Json) -> str | None:
    """Return an id as text: numbers and texts name the same node."""
    return str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else None


def _dict(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else ()


def _unreadable(where: str, problem: str, allowed: str) -> InvalidWorkflow:
    return InvalidWorkflow([Fault(where, problem, allowed)])
