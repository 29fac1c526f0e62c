"""Where an image came from, told inside the image: the graph that makes it again, and what the journal knows of it.

A generation that a graph asked for carries that graph. One from any other door carries a graph made from its request,
so that the image opens in ComfyUI, and runs, all the same.
"""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.content_credentials import is_signed
from ..core.errors import InvalidImage, InvalidWorkflow, StorageError
from ..core.facts import CHUNK, document
from ..core.xmp import KEYWORD, TRAINED, marked
from .carry import carrying

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..core.generation import Generation
    from ..core.generations import Generations
    from .link import Json
    from .registry import Registry

_IMAGINE, _KEPT, _SAVE = "FluxImagine", "FluxKeptImage", "SaveImage"
_LONGEST_SLUG = 40


@dataclass(frozen=True)
class _Graph:
    """A graph as files carry it; `workflow` is None where it cannot be drawn."""

    prompt: Mapping[str, Json]
    workflow: Mapping[str, Json] | None


async def texts(generations: Generations, generation: Generation, data: bytes | None = None) -> dict[str, str]:
    """Return the texts that an image carries, by chunk: `prompt`, `workflow` (where it can be drawn) and our facts.

    For a copy of `data`, the original, also XMP that tells where the picture came from.
    """
    kept = None
    with suppress(StorageError, ValueError):  # an image is not held back for want of its graph
        kept = await generations.graph(generation)
    if data is None:
        return await asyncio.to_thread(_told, generation, kept, None)
    from ..core.decoding import in_background  # its digest is one of pixels

    return await in_background(_told, generation, kept, data)


def _told(generation: Generation, kept: Mapping[str, Json] | None, data: bytes | None) -> dict[str, str]:
    graph = _own(kept or {}) or _made(generation)
    drawn = {} if graph.workflow is None else {"workflow": json.dumps(graph.workflow)}
    made = {_asker(graph.prompt, generation): [generation]}
    if data is None:
        facts, xmp = document(made), {}
    else:
        signed = [generation.id] if is_signed(data) else []
        facts, xmp = document(made, signed=signed, pixels=_pixels(data)), {KEYWORD: marked(data, TRAINED)}
    return {"prompt": json.dumps(graph.prompt), **drawn, CHUNK: json.dumps(facts), **xmp}


def _pixels(data: bytes) -> str | None:
    """Return the digest of an image's pixels; None of one that is damaged, which is told where it is copied."""
    from ..core.images import pixel_digest

    with suppress(InvalidImage):
        return pixel_digest(data)
    return None


async def picture(generations: Generations, generation: Generation) -> bytes:
    """Return the stored image as a PNG file that carries `texts`, its pixels as the service sent them.

    Raises what `Generations.data` raises; StorageError too when the stored file is damaged.
    """
    data = await generations.data(generation)
    carried = await texts(generations, generation, data)
    from ..core.decoding import in_background

    try:
        return await in_background(_carrying, data, carried, checked=not generation.is_unopened)
    except InvalidImage as error:
        raise generations.unreadable(generation, error) from error


def _carrying(data: bytes, carried: Mapping[str, str], *, checked: bool) -> bytes:
    if not checked:  # a PNG is copied chunk by chunk, whether its pixels decode or not
        from ..core.images import inspect

        inspect(data)
    return carrying(data, carried)


def file_name(generation: Generation) -> str:
    """Return the name of the file of `picture`: model, words of the prompt, id."""
    return f"{file_stem(generation)}.png"


def file_stem(generation: Generation) -> str:
    """Return a name for a file of a generation's image, without its ending."""
    return "-".join(filter(None, (generation.model, slug(generation.prompt), generation.id)))


def slug(prompt: str) -> str:
    """Return the words of a prompt as they can stand in a file name: a-z, 0-9 and hyphens, at most 40 characters."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(words) <= _LONGEST_SLUG:
        return words
    whole = words[: _LONGEST_SLUG + 1].rpartition("-")[0]
    return whole or words[:_LONGEST_SLUG]


def _own(kept: Mapping[str, Json]) -> _Graph | None:
    """Return the graph that asked for a generation; None without one."""
    prompt = kept.get("prompt")
    return _Graph(prompt, kept.get("workflow") or _drawn(prompt)) if isinstance(prompt, dict) else None


def _drawn(prompt: Mapping[str, Json]) -> dict[str, Json] | None:
    """Draw a graph that came without a drawing, as one from ComfyUI's API does; None where it has a strange node."""
    from .read import read_workflow
    from .sketch import drawing

    registry = _registry()
    with suppress(InvalidWorkflow, KeyError, ValueError):
        return drawing(read_workflow(json.dumps(prompt), registry).nodes, registry)
    return None


def _made(generation: Generation) -> _Graph:
    """Make the graph that means a generation's request: it is drawn, and what runs is read from the drawing."""
    from .convert import convert
    from .sketch import drawing

    registry = _registry()
    workflow = convert(drawing(_nodes(generation, registry), registry), registry)
    return _Graph(workflow.to_api(), workflow.ui)


def _registry() -> Registry:
    from ..nodes import NODES
    from .places import Folders
    from .registry import Registry
    from .stock import stock_nodes

    nowhere = Path()  # these are drawn, not run
    return Registry((*NODES, *stock_nodes(Folders(input=nowhere, output=nowhere, temp=nowhere))))


def _nodes(generation: Generation, registry: Registry) -> dict[str, Json]:
    """Return the nodes of a request: the image prompt's, if it had one, the generation's, and one that saves."""
    from .link import Link

    image = str(generation.request.get("image_prompt", "")).removeprefix("sha256:")
    first, last = ("2", "3") if image else ("1", "2")
    widgets = {item.name for item in registry[_IMAGINE].inputs if item.is_widget}
    asked = {name: value for name, value in generation.request.items() if name in widgets}
    linked = {"image_prompt": Link("1", 0)} if image else {}
    kept = {"1": _node("1", registry, _KEPT, sha256=image)} if image else {}
    return {
        **kept,
        first: _node(first, registry, _IMAGINE, **asked, **linked),
        last: _node(last, registry, _SAVE, images=Link(first, 0), filename_prefix=f"flux/{generation.model}"),
    }


def _node(id_: str, registry: Registry, kind: str, **inputs: Json) -> Json:
    from .workflow import WorkflowNode

    return WorkflowNode(id=id_, class_type=kind, title=registry[kind].label, inputs=inputs)


def _asker(prompt: Mapping[str, Json], generation: Generation) -> str:
    """Return the id of the node in a graph that a generation came from, as far as its own values tell."""
    from ..nodes import NODES

    paid = {node.id for node in NODES if node.paid}
    likeness = {
        id_: sum(node.get("inputs", {}).get(name) == value for name, value in generation.request.items())
        for id_, node in prompt.items()
        if isinstance(node, dict) and node.get("class_type") in paid
    }
    return max(likeness, key=likeness.__getitem__, default=next(iter(prompt), ""))
