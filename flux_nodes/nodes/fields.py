"""From the catalog to the inputs of a node, and from the values of those inputs back to a request."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..core.catalog import DEFAULT_MODEL, PARAMETERS, Parameter, guide_in_words, models_in_words
from .face import Input, Type
from .widget_order import is_new

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..core.errors import Fault
    from ..core.image_prompt import ImagePrompt
    from ..core.request import ImagineRequest

_TYPES: dict[str, Type] = {
    "text": "STRING",
    "integer": "INT",
    "number": "FLOAT",
    "boolean": "BOOLEAN",
    "ratio": "STRING",
    "image": "IMAGE",
}

_NODE = "FluxImagine"
"""The node whose written order of widgets tells which parameters are new; FluxSubmit has the same."""

_LEFT_OUT = "(left to the model)"
"""The first choice of a new parameter for which nothing says what the service takes when it is left out."""


def _offered(item: Parameter) -> Parameter:
    """Return a parameter as a node offers it.

    A graph that was saved before a parameter existed is given the first value of its widget by ComfyUI, and must go on
    asking for what it asked for. So a new parameter is not sent while its widget holds that first value.
    """
    if not is_new(_NODE, item.name) or item.kind == "image":
        return item
    guide = item.guide
    stated = (guide.unset, item.default, guide.default, _unset(item))
    unset = next(value for value in stated if value is not None)
    choices = item.choices if not item.choices or unset in item.choices else (str(unset), *item.choices)
    return replace(item, required=False, default=unset, choices=choices, guide=replace(guide, unset=unset))


def _unset(item: Parameter) -> str | int | float | bool:
    """Return a value that a parameter never has, or "", or false."""
    if item.kind in {"integer", "number"}:
        minimum = item.guide.minimum if item.minimum is None else item.minimum
        below = 0 if minimum is None or minimum > 0 else math.floor(minimum) - 1
        return below if item.kind == "integer" else float(below)
    if item.kind == "boolean":
        return False
    return _LEFT_OUT if item.choices else ""


_PICTURE = tuple(_offered(item) for item in PARAMETERS if item.group == "picture")
"""What a node offers. How a result is delivered is the host's business, and a secret has no place in a graph."""

_BY_NAME = {item.name: item for item in _PICTURE}

MOST = 20
"""Generations that one run of a node may ask for together: a slip in a number must not empty an account."""

FRESH = Input(
    name="fresh",
    type="BOOLEAN",
    label="Pay again",
    tooltip=(
        "On, every run makes and pays a new image, even when nothing was changed. Off, an image that was made before "
        "with the same inputs and seed is given again, free."
    ),
    default=False,
    optional=True,
    advanced=True,
)
"""What is for `Generations.start` and not for the service. Optional: graphs of version 0.2.0 have none."""

COUNT = Input(
    name="count",
    type="INT",
    label="Count",
    tooltip=(
        f"How many images to make, each paid: with the seed, the seed plus 1, plus 2, and so on. With a batch of image "
        f"prompts, so many of each. At most {MOST} together."
    ),
    default=1,
    minimum=1,
    maximum=MOST,
    optional=True,
)
"""How many parts there are of each image prompt. Optional: graphs of version 0.2.0 have none."""

_OURS = frozenset({FRESH.name, COUNT.name})


def inputs() -> tuple[Input, ...]:
    """Make the inputs of a generating node: the catalog's, FRESH and COUNT; `widget_order` tells their order."""
    return (*(_input(item) for item in _PICTURE), FRESH, COUNT)


def _input(item: Parameter) -> Input:
    guide = item.guide
    numeric = item.kind in {"integer", "number"}
    return Input(
        name=item.name,
        type="COMBO" if item.choices else _TYPES[item.kind],
        label=item.label,
        tooltip=tooltip(item),
        default=_default(item),
        minimum=_bound(item.minimum, guide.minimum, guide.unset, min) if numeric else None,
        maximum=_bound(item.maximum, guide.maximum, guide.unset, max) if numeric else None,
        step=guide.step,
        choices=item.choices,
        optional=item.kind == "image",
        multiline=item.name == "prompt",
        advanced=item.advanced,
        slider=item.kind == "number" and item.minimum is not None,
        seed_control=item.name == "seed",
    )


def tooltip(item: Parameter) -> str:
    """Say what a parameter does, which models take it, and what is usual."""
    only = "" if item.universal else f"Only with {models_in_words(item)}; not sent to the others."
    return " ".join(words for words in (item.description, only, guide_in_words(item), _how_to_unset(item)) if words)


def _how_to_unset(item: Parameter) -> str:
    unset = item.guide.unset
    if unset is None:
        return ""
    if isinstance(unset, bool):
        return f"{'On' if unset else 'Off'} leaves it to the model."
    return f"{'An empty text' if unset == '' else unset} leaves it to the model."


def _default(item: Parameter) -> str | int | float | bool | None:
    if item.name == "model":
        return DEFAULT_MODEL
    for value in (item.default, item.guide.unset, item.guide.default):
        if value is not None:
            return value
    return "" if item.kind == "text" else None


def _bound(stated: float | None, usual: float | None, unset: Any, widest: Any) -> float | None:
    bound = usual if stated is None else stated
    return bound if bound is None or unset is None else float(widest(bound, unset))


def request(values: Mapping[str, Any], *, image_prompt: ImagePrompt | None = None) -> ImagineRequest:
    """Make the request that these inputs mean. Raises InvalidRequest.

    A widget always holds a value. One that the chosen model does not take is left out, and so is one that says "the
    model's own".
    """
    from ..core.request import ImagineRequest  # pydantic and the image libraries wait until a graph runs

    return ImagineRequest(**_sendable(values), image_prompt=image_prompt)


def faults(values: Mapping[str, Any]) -> Sequence[Fault]:
    """Find what is wrong with the inputs that are known before a graph runs; those that come along a link are not."""
    from ..core.errors import InvalidRequest

    known = {"model": DEFAULT_MODEL, "prompt": "(comes along a link)", **values}
    try:
        request({name: value for name, value in known.items() if name != "image_prompt"})
    except InvalidRequest as error:
        return error.faults
    return ()


def size(values: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the width and height that these inputs ask for; None where that is not known, or a shape is given."""
    model, width, height = (values.get(name) for name in ("model", "width", "height"))
    if not isinstance(model, str) or _BY_NAME["aspect_ratio"].taken_by(model):
        return None
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _sendable(values: Mapping[str, Any]) -> dict[str, Any]:
    model = str(values.get("model"))
    sent = {name: value for name, value in values.items() if name not in _OURS}
    return {name: value for name, value in sent.items() if _is_sent(_BY_NAME[name], value, model)}


def _is_sent(item: Parameter, value: Any, model: str) -> bool:
    unset = item.guide.unset
    return item.taken_by(model) and not (unset is not None and value == unset) if not item.required else True
