"""What images are inscribed with: the facts of the generations in their graph, beside ComfyUI's own chunks.

ComfyUI's SaveImage writes every entry of a prompt's `extra_pnginfo` into the file. A node that ComfyUI does not run
again, since it has its result, cannot add to that; so what the nodes have made is remembered, and added when a prompt
is queued that holds the same nodes.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ..core.facts import CHUNK, document
from ..nodes import NODES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ..core.generation import Generation
    from ..core.generations import Graph

_MOST = 1000
"""Nodes that are remembered; each takes about a kilobyte."""

_remembered: OrderedDict[str, Any] = OrderedDict()
_OURS = frozenset(node.id for node in NODES)


class Signatures:
    """Digests of all that the results of a prompt's nodes come from: the node, and what is linked into it.

    Each node is read once, for what flows into many of them may be large.
    """

    def __init__(self, prompt: Any) -> None:
        self._prompt: Mapping[str, Any] = prompt if isinstance(prompt, dict) else {}
        self._known: dict[str, str] = {}

    def of(self, node_id: str) -> str | None:
        """Return the digest of a node; None of one that is not in the prompt."""
        waiting = [node_id]
        begun: set[str] = set()
        while waiting:
            id_ = waiting[-1]
            before = [] if id_ in begun else [each for each in _sources(self._prompt, id_) if each not in self._known]
            begun.add(id_)
            # What leads in a circle does not run, and is told from others by its ids alone.
            waiting += [each for each in before if each not in begun]
            if not before or waiting[-1] == id_:
                waiting.pop()
                if id_ not in self._known:
                    self._known[id_] = self._digest(id_)
        return self._known[node_id] if isinstance(self._prompt.get(node_id), dict) else None

    def _digest(self, id_: str) -> str:
        node = self._prompt.get(id_)
        inputs = _inputs(node)
        links = {each: self._known.get(each) for each in _sources(self._prompt, id_)}
        own = {name: _plain(value) for name, value in inputs.items()}
        kind = node.get("class_type") if isinstance(node, dict) else None
        return hashlib.sha256(json.dumps([id_, kind, own, links], sort_keys=True, default=str).encode()).hexdigest()


def _inputs(node: Any) -> Mapping[str, Any]:
    inputs = node.get("inputs") if isinstance(node, dict) else None
    return inputs if isinstance(inputs, dict) else {}


def _sources(prompt: Mapping[str, Any], id_: str) -> list[str]:
    """Name the nodes that are linked into a node."""
    return [value[0] for value in _inputs(prompt.get(id_)).values() if _is_link(value)]


def graph(prompt: Any, extra: Any) -> Graph | None:
    """Return the graph that a node runs in, to be kept with what it generates: as the files of ComfyUI hold it."""
    found: dict[str, Any] = {}
    if isinstance(prompt, dict) and prompt:
        # ComfyUI notes there what it found when it looked for changes, and that is no part of the graph.
        found["prompt"] = {
            id_: {name: value for name, value in node.items() if name != "is_changed"} for id_, node in prompt.items()
        }
    if isinstance(extra, dict) and extra.get("workflow"):
        found["workflow"] = extra["workflow"]
    return found or None


def inscribe(
    signatures: Signatures, extra: Any, node_id: str, made: Sequence[Generation], *, signed: Collection[str] = ()
) -> None:
    """Add what a node has made to the facts of its prompt, and remember it. `extra` is its `extra_pnginfo`.

    `signed` are the ids of those whose originals bring content credentials.
    """
    facts = document({node_id: made}, signed=signed)
    signature = signatures.of(node_id)
    if signature is not None:
        _remember(signature, facts["nodes"][node_id])
    if isinstance(extra, dict):
        _add(extra, facts)


def on_prompt(request: dict[str, Any]) -> dict[str, Any]:
    """Add what is remembered of its nodes to a prompt that is being queued: ComfyUI's hook for POST /prompt.

    A node that runs all the same puts what it makes in the place of it.
    """
    prompt, data = request.get("prompt"), request.get("extra_data")
    extra = data.get("extra_pnginfo") if isinstance(data, dict) else None
    if _remembered and isinstance(prompt, dict) and isinstance(extra, dict):
        signatures = Signatures(prompt)
        known = {id_: _remembered.get(signatures.of(id_) or "") for id_ in prompt if _is_ours(prompt[id_])}
        made = {id_: facts for id_, facts in known.items() if facts}
        if made:
            _add(extra, {**document({}), "nodes": made})
    return request


def register() -> None:
    """Hear of every prompt that is queued. Call it while custom nodes load."""
    from server import PromptServer

    PromptServer.instance.add_on_prompt_handler(on_prompt)


def _add(extra: dict[str, Any], facts: Mapping[str, Any]) -> None:
    known = extra.get(CHUNK)
    nodes = known.get("nodes") if isinstance(known, dict) else None
    # A new document each time: another thread may be writing the old one into a file.
    extra[CHUNK] = {**facts, "nodes": {**(nodes if isinstance(nodes, dict) else {}), **facts["nodes"]}}


def _remember(signature: str, facts: Any) -> None:
    _remembered[signature] = facts
    _remembered.move_to_end(signature)
    if len(_remembered) > _MOST:
        _remembered.popitem(last=False)


def _is_ours(node: Any) -> bool:
    return isinstance(node, dict) and node.get("class_type") in _OURS


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _plain(value: Any) -> Any:
    """Write a number in one way: ComfyUI makes 3.0 of a 3 between the queue and the node."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
