"""Small drawings, as ComfyUI's frontend saves them."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from flux_nodes.graph import Registry, Workflow, read_workflow

MUTED, BYPASSED = 2, 4


def node(id_: int, type_: str, values: Any = None, *inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"id": id_, "type": type_, "mode": 0, "inputs": list(inputs)}
    return made | ({} if values is None else {"widgets_values": values}) | more


def slot(name: str, type_: str, link: int | None = None, widget: str | None = None) -> dict[str, Any]:
    return {"name": name, "type": type_, "link": link} | ({"widget": {"name": widget}} if widget else {})


def drawing(nodes: list[dict[str, Any]], links: list[Any] = [], **more: Any) -> dict[str, Any]:  # noqa: B006  # read only
    """Return a whole drawing, with all that the frontends want in one before they open it."""
    made: dict[str, Any] = _GRAPH | {"nodes": nodes, "links": links, "version": 0.4} | deepcopy(more)
    subgraphs = made.get("definitions", {}).get("subgraphs", [])
    made["nodes"] = [_placed(each) for each in nodes]
    for subgraph in subgraphs:
        subgraph |= _SUBGRAPH | {"id": subgraph["id"], "name": subgraph["id"]} | subgraph
        subgraph["nodes"] = [_placed(each) for each in subgraph["nodes"]]
        for side, start, end in (("inputs", "origin", -10), ("outputs", "target", -20)):
            subgraph[side] = [
                {"id": f"{subgraph['id']} {side} {index}", "linkIds": _wires(subgraph, start, end, index)} | each
                for index, each in enumerate(subgraph[side])
            ]
    return made


_GRAPH: dict[str, Any] = {"last_node_id": 900, "last_link_id": 900, "groups": [], "config": {}, "extra": {}}
_END = {"bounding": [0, 0, 1, 1]}
_SUBGRAPH = {
    "version": 1,
    "revision": 0,
    "state": {"lastGroupId": 0, "lastNodeId": 900, "lastLinkId": 900, "lastRerouteId": 0},
    "config": {},
    "inputNode": {"id": -10} | _END,
    "outputNode": {"id": -20} | _END,
    "widgets": [],
    "groups": [],
    "extra": {},
    "inputs": [],
    "outputs": [],
}


def _wires(subgraph: dict[str, Any], side: str, end: int, index: int) -> list[int]:
    return [each["id"] for each in subgraph["links"] if (each[f"{side}_id"], each[f"{side}_slot"]) == (end, index)]


def _placed(node: dict[str, Any]) -> dict[str, Any]:
    return {"pos": [0, 0], "size": [200, 100], "flags": {}, "order": 0, "properties": {}} | node


def subgraph(
    id_: str,
    nodes: list[dict[str, Any]],
    links: list[Any],
    inputs: tuple[dict[str, Any], ...] = (),
    outputs: tuple[dict[str, Any], ...] = (),
) -> dict[str, Any]:
    return {"id": id_, "nodes": nodes, "links": links, "inputs": [*inputs], "outputs": [*outputs]}


def widget(name: str, type_: str, link: int | None = None) -> dict[str, Any]:
    return slot(name, type_, link, name)


def converted(registry: Registry, *args: Any, **more: Any) -> Workflow:
    return read_workflow(json.dumps(drawing(*args, **more)), registry)


def colour(id_: int = 1, **more: Any) -> dict[str, Any]:
    return node(id_, "Colour", [5, "randomize", "blue", 3], **more)


def show(link: int | None, id_: int = 9, **more: Any) -> dict[str, Any]:
    return node(id_, "Show", [0.5, "a", False, "t"], slot("image", "IMAGE", link), **more)


def link(id_: int, origin: int, out: int, target: int, into: int) -> dict[str, Any]:
    return {"id": id_, "origin_id": origin, "origin_slot": out, "target_id": target, "target_slot": into, "type": "*"}
