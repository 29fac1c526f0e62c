"""The sizes of images before a graph runs, and what would fail over them once a generation is paid.

A size is known of an image that is loaded from a file, of one that a model makes in pixels, and of what is scaled or
batched from these; not of an earlier generation, or of a model that is given a shape.
"""

from __future__ import annotations

from contextlib import suppress
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any, TypeAlias

from ..core.errors import Fault, InvalidImage, InvalidRequest
from .order import needs
from .primitives import holder
from .scaled_size import MAX_PIXELS, require_part, scaled_size
from .values import WrongValueError, coerced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .registry import Registry
    from .workflow import Workflow, WorkflowNode

Size: TypeAlias = "tuple[int, int]"
"""Width and height in pixels."""

_SHEET_SOCKETS = "image_"


def size_faults(workflow: Workflow, wanted: Sequence[str], registry: Registry) -> Iterator[Fault]:
    """Yield what would fail over the size of an image, of these nodes, which must be known ones and go in no circle."""
    sizes = _Sizes(workflow, registry)
    for id_ in TopologicalSorter({id_: needs(workflow, id_) for id_ in wanted}).static_order():
        node = workflow.nodes[id_]
        judge = _JUDGES.get(node.class_type)
        try:
            sizes.known[id_] = judge(node, sizes) if judge else sizes.own(node)
        except InvalidImage as error:
            yield Fault(str(node), str(error), f"a size of at least one pixel, and of {MAX_PIXELS:,} pixels at most")
        except InvalidRequest as error:
            yield from (Fault(f"{node}, input {each.where}", each.problem, each.allowed) for each in error.faults)


class _Sizes:
    """The sizes that are known so far, by node, and the values of inputs that are known."""

    def __init__(self, workflow: Workflow, registry: Registry) -> None:
        self._workflow = workflow
        self._registry = registry
        self.known: dict[str, Size | None] = {}

    def of(self, node: WorkflowNode, name: str) -> Size | None:
        """Return the size of the images that an input is linked to."""
        link = node.links.get(name)
        return None if link is None else self.known.get(link.node)

    def own(self, node: WorkflowNode) -> Size | None:
        """Return the size that a node's own values tell."""
        face = self._registry[node.class_type]
        if face.size is None:
            return None
        values = {item.name: self.value(node, item.name) for item in face.inputs if item.is_widget}
        return face.size({name: value for name, value in values.items() if value is not None})

    def value(self, node: WorkflowNode, name: str) -> Any:
        """Return the value of an input, as it is converted, through primitive nodes; None where it is not known."""
        place = holder(self._workflow, node.id, name)
        item = self._registry[node.class_type].input(name)
        value = place[0].inputs.get(place[1]) if place else None
        if item is None or value is None:
            return None
        with suppress(WrongValueError):
            return coerced(item, value)
        return None


def _collected(node: WorkflowNode, sizes: _Sizes) -> Size | None:
    return sizes.of(node, "task")


def _handed_on(node: WorkflowNode, sizes: _Sizes) -> Size | None:
    return sizes.of(node, "images")


def _scaled(node: WorkflowNode, sizes: _Sizes) -> Size | None:
    width, height = sizes.value(node, "width"), sizes.value(node, "height")
    if width is None or height is None:
        return None
    before = sizes.of(node, "image")
    size = scaled_size(before, width, height)
    if before and size and sizes.value(node, "crop") == "center":
        require_part(before, size)
    return size


def _batched(node: WorkflowNode, sizes: _Sizes) -> Size | None:
    first, second = sizes.of(node, "image1"), sizes.of(node, "image2")
    if first and second:
        require_part(second, first)
    return first


def _shape(node: WorkflowNode, sizes: _Sizes) -> Size | None:
    """Judge an Aspect Ratio that takes the shape of an image; it gives none."""
    from ..nodes import shapes
    from ..nodes.aspect_ratio import OF_THE_IMAGE

    if sizes.value(node, "ratio") == OF_THE_IMAGE:
        if "image" not in node.links:
            raise InvalidRequest(
                [Fault("image", "no image is linked to take the shape of", "a link, or another ratio")]
            )
        size = sizes.of(node, "image")
        if size:
            shapes.shape(f"{size[0]}:{size[1]}", where="image")
    return None


def _sheet(node: WorkflowNode, sizes: _Sizes) -> Size | None:
    del sizes
    if not any(name.startswith(_SHEET_SOCKETS) for name in node.links):
        raise InvalidRequest([Fault("image_1", "no image is linked", "one to ten images or batches")])
    return None


_JUDGES: Mapping[str, Callable[[WorkflowNode, _Sizes], Size | None]] = {
    "FluxFetch": _collected,
    "FluxAspectRatio": _shape,
    "FluxContactSheet": _sheet,
    "ImageScale": _scaled,
    "ImageBatch": _batched,
    "SaveImage": _handed_on,
    "PreviewImage": _handed_on,
}
