"""Reading a saved workflow: either of ComfyUI's JSON formats, a document that holds one, or an image that carries one.

Files come from anywhere: their size, depth and number of nodes are bounded, and whatever is not a workflow raises
InvalidWorkflow, which says what was expected.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import Fault, InvalidWorkflow
from .convert import convert, places_in
from .drawing import is_drawing, twice
from .embedded import is_image, texts
from .envelope import MOST_GRAPHS, Graphs, graphs_in, is_api_node, is_prompt
from .flatten import MOST_NODES
from .json_text import Repeated, decoded, parsed, refused
from .link import Link
from .workflow import Workflow, WorkflowNode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .envelope import Placed
    from .link import Json
    from .registry import Registry

MOST_BYTES = 128 * 2**20
"""The largest file that is read: an image may be large."""

_MOST_NAMED = 5


def read_workflow(source: Path | bytes | str, registry: Registry) -> Workflow:
    """Read a workflow from a file (Path), its bytes, or JSON text (str).

    A workflow in the saved format is converted with the registry's faces. Raises InvalidWorkflow.
    """
    if isinstance(source, str):
        return _from_json(parsed(source), registry)
    data = _file(source) if isinstance(source, Path) else source
    return _from_image(data, registry) if is_image(data) else _from_json(parsed(decoded(data)), registry)


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no file can have this name"
        raise refused(f"{path} cannot be read: {reason}") from error
    if len(data) > MOST_BYTES:
        raise refused(f"{path} is larger than {MOST_BYTES // 2**20} MiB")
    return data


def _from_json(data: Json, registry: Registry) -> Workflow:
    if is_drawing(data):
        return convert(data, registry)
    if is_prompt(data):
        return Workflow(nodes=_api_nodes(data, registry))
    found = graphs_in(data)
    # A drawing beside a graph in the API format is another form of it; two of one form are two graphs.
    rivals = found.prompts or found.drawings
    if len(rivals) > 1:
        raise _several(rivals)
    if not rivals:
        raise refused("holds no nodes")
    return _first_usable(found, registry, [])


def _several(rivals: Sequence[Placed]) -> InvalidWorkflow:
    places = ", ".join(f"at {graph.path[:100]}" for graph in rivals[:_MOST_NAMED])
    more = len(rivals) - _MOST_NAMED
    count = f"{len(rivals)}{' or more' if len(rivals) >= MOST_GRAPHS else ''}"
    problem = f"holds {count} graphs ({places}{f' and {more} more' if more > 0 else ''})"
    return InvalidWorkflow([Fault("the file", problem, "one graph: save the one to run in a file of its own")])


def _from_image(data: bytes, registry: Registry) -> Workflow:
    """Read the workflow in an image: `prompt` is what ran, `workflow` its drawing; one that is unusable is left out."""
    found, faults = Graphs(), []
    carried = texts(data)
    for name, text in sorted(carried.items()):  # "prompt" comes first
        try:
            held = graphs_in(parsed(text))
        except InvalidWorkflow as error:
            faults += _renamed(error, name)
            continue
        found.prompts.extend(held.prompts)
        found.drawings.extend(held.drawings)
        if not held.prompts and not held.drawings:
            faults += _renamed(refused("holds no nodes"), name)
    if not carried:
        raise refused("is an image without a workflow in it")
    return _first_usable(found, registry, faults)


def _renamed(error: InvalidWorkflow, name: str) -> list[Fault]:
    return [Fault(f"the text `{name}` in the image", fault.problem, fault.allowed) for fault in error.faults]


def _first_usable(found: Graphs, registry: Registry, faults: list[Fault]) -> Workflow:
    """Return the first graph that can be read, of those in the API format and then of the drawings.

    Raises InvalidWorkflow with all that is wrong, `faults` among it, when there is none.
    """
    for graph in found.prompts:
        try:
            nodes = _api_nodes(graph.data, registry)
        except InvalidWorkflow as error:
            faults += error.faults
            continue
        return _drawn(nodes, found.drawings, registry)
    for graph in found.drawings:
        try:
            return convert(graph.data, registry)
        except InvalidWorkflow as error:
            faults += error.faults
    raise InvalidWorkflow(faults)


def _drawn(nodes: Mapping[str, WorkflowNode], drawings: Sequence[Placed], registry: Registry) -> Workflow:
    """Return nodes with the first usable drawing of them; without one they still run."""
    for drawing in drawings:
        try:
            return places_in(drawing.data, nodes, registry)
        except InvalidWorkflow:
            continue
    return Workflow(nodes=nodes)


def _api_nodes(data: Mapping[str, Json], registry: Registry) -> dict[str, WorkflowNode]:
    if len(data) > MOST_NODES:
        raise refused(f"has more than {MOST_NODES:,} nodes")
    faults = [
        Fault(f"node {key}", "is not readable", "an object with class_type (text) and inputs (object)")
        for key, item in data.items()
        if not is_api_node(item)
    ]
    if isinstance(data, Repeated):
        faults += [twice(f"node {name}", "nodes") for name in data.names]
    if faults:
        raise InvalidWorkflow(faults)
    return {key: _api_node(key, item, registry) for key, item in data.items()}


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
