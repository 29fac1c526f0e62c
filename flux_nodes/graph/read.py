"""Reading a saved workflow: either of ComfyUI's JSON formats, or an image that carries one.

Files come from anywhere: their size, depth and number of nodes are bounded, and whatever is not a workflow raises
InvalidWorkflow, which says what was expected.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import Fault, InvalidWorkflow
from .convert import convert, homes_of
from .drawing import is_drawing
from .embedded import is_image, texts
from .flatten import MOST_NODES
from .link import Link
from .workflow import Workflow, WorkflowNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .link import Home, Json
    from .registry import Registry

MOST_BYTES = 128 * 2**20
"""The largest file that is read: an image may be large."""

MOST_JSON = 32 * 2**20
"""The largest workflow that is read."""

MOST_DEPTH = 100
"""How deep lists and objects may lie in each other; real workflows stay under twenty."""

_EXPECTED = "a workflow saved by ComfyUI (JSON, in its saved or its API format), or an image that carries one"


def read_workflow(source: Path | bytes | str, registry: Registry) -> Workflow:
    """Read a workflow from a file (Path), its bytes, or JSON text (str).

    A workflow in the saved format is converted with the registry's faces. Raises InvalidWorkflow.
    """
    if isinstance(source, str):
        return _from_text(source, registry)
    data = _file(source) if isinstance(source, Path) else source
    if is_image(data):
        return _from_image(data, registry)
    try:
        return _from_text(data.decode("utf-8-sig"), registry)
    except UnicodeDecodeError as error:
        raise _refused("is neither text nor a PNG, WebP or JPEG image") from error


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no file can have this name"
        raise _refused(f"{path} cannot be read: {reason}") from error
    if len(data) > MOST_BYTES:
        raise _refused(f"{path} is larger than {MOST_BYTES // 2**20} MiB")
    return data


def _from_text(text: str, registry: Registry) -> Workflow:
    data = _parsed(text)
    if is_drawing(data):
        return convert(data, registry)
    return Workflow(nodes=_api_nodes(data, registry))


def _from_image(data: bytes, registry: Registry) -> Workflow:
    """Read the workflow in an image: `prompt` is what ran, `workflow` its drawing."""
    found = texts(data)
    if "prompt" in found:
        nodes = _api_nodes(_parsed(found["prompt"]), registry)
        ui, homes = _drawing(found.get("workflow", ""), nodes, registry)
        return Workflow(nodes=nodes, ui=ui, homes=homes)
    if "workflow" in found:
        return _from_text(found["workflow"], registry)
    raise _refused("is an image without a workflow in it")


def _drawing(
    text: str, nodes: Mapping[str, WorkflowNode], registry: Registry
) -> tuple[Mapping[str, Json] | None, Mapping[tuple[str, str], tuple[Home, ...]]]:
    """Return the drawing of nodes and where it keeps their values; without a usable one the nodes still run."""
    try:
        ui = _parsed(text)
        return (ui, homes_of(ui, nodes, registry)) if is_drawing(ui) else (None, {})
    except InvalidWorkflow:
        return None, {}


def _parsed(text: str) -> Json:
    if len(text) > MOST_JSON:
        raise _refused(f"is more than {MOST_JSON // 2**20} MiB of JSON")
    try:
        # NaN and Infinity are no JSON, yet older ComfyUI versions wrote them; the frontend reads null there.
        data = json.loads(text, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        raise _refused(f"is no JSON (line {error.lineno}, column {error.colno}: {error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise _refused("is no JSON that can be read: a number is too long, or it is nested too deeply") from error
    _bound_depth(data)
    return data


def _bound_depth(data: Json) -> None:
    level = [data]
    for _ in range(MOST_DEPTH):
        level = [inner for item in level for inner in _parts(item)]
        if not level:
            return
    raise _refused(f"is nested more than {MOST_DEPTH} levels deep")


def _parts(item: Json) -> Iterator[Json]:
    parts = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return (part for part in parts if isinstance(part, (dict, list)))


def _api_nodes(data: Json, registry: Registry) -> dict[str, WorkflowNode]:
    if not isinstance(data, dict) or not any(_is_api_node(item) for item in data.values()):
        raise _refused("holds no nodes")
    if len(data) > MOST_NODES:
        raise _refused(f"has more than {MOST_NODES:,} nodes")
    faults = [
        Fault(f"node {key}", "is not readable", "an object with class_type (text) and inputs (object)")
        for key, item in data.items()
        if not _is_api_node(item)
    ]
    if faults:
        raise InvalidWorkflow(faults)
    return {key: _api_node(key, item, registry) for key, item in data.items()}


def _is_api_node(item: Json) -> bool:
    return (
        isinstance(item, dict) and isinstance(item.get("class_type"), str) and isinstance(item.get("inputs", {}), dict)
    )


def _api_node(key: str, item: Mapping[str, Json], registry: Registry) -> WorkflowNode:
    kind = item["class_type"]
    meta = item.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    return WorkflowNode(
        id=key,
        class_type=kind,
        title=title if isinstance(title, str) and title else registry[kind].label if kind in registry else kind,
        inputs={name: _api_input(value) for name, value in item.get("inputs", {}).items()},
        alias=kind,
    )


def _api_input(value: Json) -> Link | Json:
    """Tell a link from a value. A list of another shape stays what it is, for the check to name."""
    if isinstance(value, dict) and "__value__" in value:
        return value["__value__"]
    if isinstance(value, list) and len(value) == 2:
        node, slot = value
        if isinstance(node, (str, int)) and isinstance(slot, int) and not isinstance(slot, bool):
            return Link(str(node), slot)
    return value


def _refused(problem: str) -> InvalidWorkflow:
    return InvalidWorkflow([Fault("the file", problem, _EXPECTED)])
