"""What to say of nodes that nobody here knows: each type once, with the pack that the drawing names for it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ..core.errors import Fault
from .workflow import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .link import Json
    from .registry import Registry
    from .workflow import Workflow, WorkflowNode

_MOST_TYPES, _MOST_IDS, _MOST_KNOWN = 15, 4, 30
_PACK_PROPERTIES = ("cnr_id", "aux_id")
"""The properties in which ComfyUI's frontend keeps a node's pack: its id in the registry, or owner/repository."""

_OWN_PACK = "comfy-core"


def unknown_nodes(workflow: Workflow, registry: Registry) -> Fault | None:
    """Return one fault that names every unknown type of node, or None where all are known."""
    by_type: dict[str, list[WorkflowNode]] = defaultdict(list)
    for node in workflow.nodes.values():
        if node.class_type not in registry:
            by_type[node.class_type].append(node)
    if not by_type:
        return None
    packs = dict(_packs(workflow.ui))
    allowed = ", ".join(sorted(registry)[:_MOST_KNOWN]) + (", …" if len(registry) > _MOST_KNOWN else "")
    count = sum(map(len, by_type.values()))
    if count == 1:
        (node,) = next(iter(by_type.values()))
        return Fault(
            str(node), f"there is no node {_named(node.class_type, packs)} here: this graph is for ComfyUI", allowed
        )
    return Fault(
        "the workflow", f"is for ComfyUI: {count:,} of its nodes are not known here, {_listed(by_type, packs)}", allowed
    )


def _listed(by_type: Mapping[str, Sequence[WorkflowNode]], packs: Mapping[str, str]) -> str:
    types = [f"{_named(kind, packs)} ({_ids(nodes)})" for kind, nodes in by_type.items()]
    more = len(types) - _MOST_TYPES
    return ", ".join(types[:_MOST_TYPES]) + (f" and {more:,} more types" if more > 0 else "")


def _named(kind: str, packs: Mapping[str, str]) -> str:
    pack = packs.get(kind)
    return f"{shortened(kind)!r}" + (f" of {pack}" if pack else "")


def _ids(nodes: Sequence[WorkflowNode]) -> str:
    ids = ", ".join(shortened(node.id) for node in nodes[:_MOST_IDS])
    more = len(nodes) - _MOST_IDS
    return f"{'node' if len(nodes) == 1 else 'nodes'} {ids}" + (f" and {more:,} more" if more > 0 else "")


def _packs(ui: Mapping[str, Json] | None) -> Iterator[tuple[str, str]]:
    """Yield the pack of each type of node, as far as the drawing tells it."""
    for node in _drawn(ui or {}):
        properties, kind = node.get("properties"), node.get("type")
        if not isinstance(properties, dict) or not isinstance(kind, str):
            continue
        named = (properties.get(name) for name in _PACK_PROPERTIES)
        pack = next((value for value in named if isinstance(value, str) and value), None)
        if pack:
            yield kind, "ComfyUI itself" if pack == _OWN_PACK else f"the pack {shortened(pack)}"


def _drawn(ui: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    """Yield every node of a drawing and of its subgraphs."""
    definitions = ui.get("definitions")
    subgraphs = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    for sheet in (ui, *(subgraphs if isinstance(subgraphs, list) else ())):
        nodes = sheet.get("nodes") if isinstance(sheet, dict) else None
        yield from (node for node in (nodes if isinstance(nodes, list) else ()) if isinstance(node, dict))
