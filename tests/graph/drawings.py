"""Small drawings, as ComfyUI's frontend saves them."""

from __future__ import annotations

import json
from typing import Any

from flux_nodes.graph import Registry, Workflow, read_workflow

MUTED, BYPASSED = 2, 4


def node(id_: int, type_: str, values: Any = None, *inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"id": id_, "type": type_, "mode": 0, "inputs": list(inputs)}
    return made | ({} if values is None else {"widgets_values": values}) | more


def slot(name: str, type_: str, link: int | None = None, widget: str | None = None) -> dict[str, Any]:
    return {"name": name, "type": type_, "link": link} | ({"widget": {"name": widget}} if widget else {})


def drawing(nodes: list[dict[str, Any]], links: list[Any] = [], **more: Any) -> dict[str, Any]:  # noqa: B006  # read only
    return {"nodes": nodes, "links": links, "version": 0.4} | more


def converted(registry: Registry, *args: Any, **more: Any) -> Workflow:
    return read_workflow(json.dumps(drawing(*args, **more)), registry)


def colour(id_: int = 1, **more: Any) -> dict[str, Any]:
    return node(id_, "Colour", [5, "randomize", "blue", 3], **more)


def show(link: int | None, id_: int = 9, **more: Any) -> dict[str, Any]:
    return node(id_, "Show", [0.5, "a", False, "t"], slot("image", "IMAGE", link), **more)


def link(id_: int, origin: int, out: int, target: int, into: int) -> dict[str, Any]:
    return {"id": id_, "origin_id": origin, "origin_slot": out, "target_id": target, "target_slot": into, "type": "*"}
