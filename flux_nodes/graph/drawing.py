"""The drawing of a workflow, as ComfyUI's frontend saves it: nodes, wires and subgraphs, read without trust.

Two forms are known: version 0.4, where a wire is a list [id, from, output, to, input, type], and version 1, where it is
an object; inside a subgraph it is an object in both. Reroute points (`extra.reroutes`, `reroutes`) only bend a wire,
which still tells its true ends.
Source: ComfyUI frontend, `comfyWorkflowSchema.ts` and litegraph's `serialisation.ts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import Fault, InvalidWorkflow

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
    """One input or output of a drawn node; `widget` names the widget that an input stands for."""

    name: str
    type: str
    wire: str | None = None
    widget: str | None = None


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A connection between two drawn nodes."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A drawn node; `values` and `named` are what its widgets hold, and `home` is where it stands in the drawing."""

    id: str
    type: str
    title: str
    mode: int
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    values: Sequence[Json] | Mapping[str, Json]
    named: Mapping[str, Json]
    proxies: tuple[tuple[str, str], ...]
    alias: str
    home: Home

    @property
    def runs(self) -> bool:
        """Whether it is neither muted nor bypassed."""
        return self.mode not in (MUTED, BYPASSED)


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A graph or the inside of a subgraph: its nodes and wires by id, and the subgraph's own inputs and outputs."""

    nodes: Mapping[str, Drawn]
    wires: Mapping[str, Wire]
    inputs: tuple[Slot, ...] = ()
    outputs: tuple[Slot, ...] = ()
    name: str = ""

    def leaving(self, origin: str) -> Iterator[tuple[str, Wire]]:
        """Yield the wires that start at a node, each with its id."""
        return ((key, wire) for key, wire in self.wires.items() if wire.origin == origin)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A whole drawing: the graph, and the subgraphs that its nodes may stand for, by id."""

    root: Sheet
    subgraphs: Mapping[str, Sheet]


def is_drawing(data: Json) -> bool:
    """Tell whether a JSON value has the shape of a drawing."""
    return isinstance(data, dict) and isinstance(data.get("nodes"), list)


def read_drawing(data: Mapping[str, Json]) -> Drawing:
    """Read a drawing. Raises InvalidWorkflow for a node or wire that cannot be made out."""
    subgraphs: dict[str, Sheet] = {}
    waiting: list[tuple[Mapping[str, Json], Home]] = [(data, ())]
    while waiting:
        holder, home = waiting.pop()
        for index, part in enumerate(_list(_dict(holder.get("definitions")).get("subgraphs"))):
            if isinstance(part, dict) and is_drawing(part):
                inner = (*home, "definitions", "subgraphs", index)
                subgraphs[str(part.get("id"))] = _sheet(part, inner)
                waiting.append((part, inner))
    return Drawing(root=_sheet(data, ()), subgraphs=subgraphs)


def _sheet(data: Mapping[str, Json], home: Home) -> Sheet:
    nodes = [_node(raw, (*home, "nodes", index)) for index, raw in enumerate(data["nodes"])]
    return Sheet(
        nodes={node.id: node for node in nodes},
        wires=dict(_wires(data.get("links"))),
        inputs=_slots(data.get("inputs")),
        outputs=_slots(data.get("outputs")),
        name=str(data.get("name") or ""),
    )


def _node(raw: Json, home: Home) -> Drawn:
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
        proxies=_proxies(properties.get("proxyWidgets")),
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
    )


def _proxies(raw: Json) -> tuple[tuple[str, str], ...]:
    pairs = (item for item in _list(raw) if isinstance(item, list) and len(item) >= 2)
    return tuple((str(item[0]), str(item[1])) for item in pairs)


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
