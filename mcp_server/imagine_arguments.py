"""The arguments of generate_image, made from the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flux_nodes.core import catalog
from flux_nodes.core.errors import Fault
from mcp_server.arguments import MOST_WAIT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from flux_nodes.core.catalog import Kind, Parameter

WAIT = 25
"""How many seconds a generation is waited for unless the call says otherwise."""

OFFERED = tuple(item for item in catalog.PARAMETERS if item.group == "picture")
"""The parameters that an assistant may give. Those of delivery are a programmer's."""

IMAGE_SOURCES = (
    "the generation_id of a stored image, or the file that was told of it; the absolute path of an image file in the "
    "image store, or in a folder that this server was started for; or an image file in base64. Files anywhere else are "
    "never read"
)

_TYPES: dict[Kind, str] = {"integer": "integer", "number": "number", "boolean": "boolean"}
_WAIT_SECONDS = {
    "type": "number",
    "title": "Wait seconds",
    "description": "How long to wait for the image, in seconds; whatever is not ready then goes on by itself.",
    "minimum": 0,
    "maximum": MOST_WAIT,
    "default": WAIT,
}
_FRESH = {
    "type": "boolean",
    "title": "Fresh",
    "description": (
        "Pay for a new generation even where the same picture (all arguments the same, seed included) is stored or "
        "under way already. Otherwise that one is given again, free. Only when the user wants to pay again."
    ),
    "default": False,
}
_OF_THE_CALL = {"fresh": _FRESH, "wait_seconds": _WAIT_SECONDS}
"""What a call says to this door, and not to the service."""


@dataclass(frozen=True, kw_only=True)
class ImagineArguments:
    """A call's arguments: the request's values, not checked yet; where its image prompt is; and the door's own faults.

    Whatever can be wrong is named together, so reading them raises nothing.
    """

    values: Mapping[str, Any]
    image_prompt: object
    fresh: bool
    wait_seconds: float
    faults: tuple[Fault, ...]

    @classmethod
    def published(cls) -> dict[str, Any]:
        """Return the JSON Schema of the arguments."""
        return {
            "type": "object",
            "properties": {**{item.name: _property(item) for item in OFFERED}, **_OF_THE_CALL},
            "required": [item.name for item in OFFERED if item.required and item.name != "model"],
            "additionalProperties": False,
        }

    @classmethod
    def read(cls, raw: Mapping[str, object]) -> Self:
        """Read a call's arguments."""
        given = {name: value for name, value in raw.items() if value is not None}
        wait = _number(given.pop("wait_seconds", WAIT))
        fresh = _truth(given.pop("fresh", False))
        faults = [] if isinstance(fresh, bool) else [Fault("fresh", "cannot be used", "true or false")]
        faults += [] if _is_wait(wait) else [Fault("wait_seconds", "cannot be used", f"0 to {MOST_WAIT} seconds")]
        names = [item.name for item in OFFERED]
        faults += [Fault(name, "there is no such argument", ", ".join(names)) for name in given if name not in names]
        return cls(
            values={
                "model": catalog.DEFAULT_MODEL,
                **{item.name: _lenient(item, given[item.name]) for item in OFFERED if item.name in given},
            },
            image_prompt=given.get("image_prompt"),
            fresh=fresh is True,
            wait_seconds=float(wait) if _is_wait(wait) else 0.0,
            faults=tuple(faults),
        )


def _property(item: Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": _TYPES.get(item.kind, "string"),
        "title": item.label,
        "description": _description(item),
    }
    if item.choices:
        found["enum"] = list(item.choices)
    if item.name == "model":
        found["default"] = catalog.DEFAULT_MODEL
    # A ratio's bounds are numbers while its values are text.
    if item.kind != "ratio":
        bounds = {"minimum": item.minimum, "maximum": item.maximum}
        found.update({name: bound for name, bound in bounds.items() if bound is not None})
    return found


def _description(item: Parameter) -> str:
    allowed = IMAGE_SOURCES if item.kind == "image" else catalog.allowed(item)
    sentences = [item.description, f"Allowed: {allowed}."]
    if not item.universal:
        sentences.append(f"Only with {catalog.models_in_words(item)}; leave it out otherwise.")
    if item.default is not None:
        sentences.append(f"When left out: {item.default}.")
    return " ".join([*sentences, catalog.guide_in_words(item)]).strip()


def _lenient(item: Parameter, value: object) -> object:
    """Read a number or a truth value that came as text, as language models write them now and then."""
    if item.kind in {"integer", "number"}:
        return _number(value)
    return _truth(value) if item.kind == "boolean" else value


def _truth(value: object) -> object:
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        return value
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _is_wait(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value <= MOST_WAIT
