"""The graphs inside a larger JSON document: a saved request, an entry of the history or the queue, a worker's job.

ComfyUI's `POST /prompt` takes {"prompt", "client_id", "extra_data"}, with the drawing in extra_data.extra_pnginfo; its
history and queue keep lists [number, id, prompt, extra data, outputs]; `graphToPrompt` gives {"workflow", "output"};
workers on rented machines take {"input": {"workflow": …}}. None of these shapes is asked for: wherever in a document an
object has the form of a graph, also in JSON text inside a text, it is found.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..core.errors import InvalidWorkflow
from .drawing import is_drawing
from .json_text import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .link import Json

_MOST_TEXTS = 1_000
"""Texts in a document that are tried as JSON."""

MOST_GRAPHS = 50
"""Graphs of one form that are told apart; a history can hold thousands."""

_OPENING = ("{", "[")
_LONGEST_KEY = 40


@dataclass(frozen=True)
class Placed:
    """A graph in a document, and the path that leads to it, such as `.input.workflow`."""

    path: str
    data: Json


@dataclass(frozen=True)
class Graphs:
    """The graphs of a document, outermost first and each once: in the API format, and drawings."""

    prompts: list[Placed] = field(default_factory=list)
    drawings: list[Placed] = field(default_factory=list)


def is_prompt(data: Json) -> bool:
    """Tell whether a JSON value has the shape of a graph in the API format: nodes by id, at least one of them good."""
    return isinstance(data, dict) and any(is_api_node(item) for item in data.values())


def is_api_node(item: Json) -> bool:
    """Tell whether a JSON value has the shape of a node in the API format."""
    return (
        isinstance(item, dict) and isinstance(item.get("class_type"), str) and isinstance(item.get("inputs", {}), dict)
    )


def graphs_in(data: Json) -> Graphs:
    """Find every graph in a document, up to MOST_GRAPHS; what lies inside a graph belongs to it."""
    found, texts = Graphs(), 0
    waiting = deque([Placed("", data)])
    while waiting and max(len(found.prompts), len(found.drawings)) < MOST_GRAPHS:
        at = waiting.popleft()
        if isinstance(at.data, str):
            texts += 1
            at = Placed(at.path, _in_text(at.data) if texts <= _MOST_TEXTS else None)
        if is_prompt(at.data):
            _add(found.prompts, at)
        elif is_drawing(at.data) and (not at.path or _has_nodes(at.data)):
            _add(found.drawings, at)
        else:
            waiting.extend(_inside(at))
    return found


def _add(found: list[Placed], graph: Placed) -> None:
    if all(graph.data != other.data for other in found):
        found.append(graph)


def _has_nodes(data: Json) -> bool:
    """Tell a drawing of ComfyUI's from another object that happens to have `nodes`."""
    return any(isinstance(node, dict) and isinstance(node.get("type"), str) for node in data["nodes"])


def _inside(at: Placed) -> Iterator[Placed]:
    if isinstance(at.data, dict):
        parts = ((f"{at.path}.{key[:_LONGEST_KEY]}", part) for key, part in at.data.items())
    elif isinstance(at.data, list):
        parts = ((f"{at.path}[{index}]", part) for index, part in enumerate(at.data))
    else:
        return
    for path, part in parts:
        if isinstance(part, (dict, list)) or (isinstance(part, str) and part.lstrip().startswith(_OPENING)):
            yield Placed(path, part)


def _in_text(text: str) -> Json:
    try:
        return parsed(text)
    except InvalidWorkflow:
        return None
