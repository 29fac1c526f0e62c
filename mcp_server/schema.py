"""The JSON Schema of a model as it is published to clients: what a language model needs to read, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel


def published(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's schema without generated titles and without null: a fact that is not there is left out."""
    schema: dict[str, Any] = _plain(model.model_json_schema())
    return {name: value for name, value in schema.items() if name != "description"}


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {name: value for name, value in node.items() if not _is_noise(name, value)}
    arms = kept.pop("anyOf", None)
    if arms is not None:
        kept = {**_one_of([arm for arm in arms if arm != {"type": "null"}]), **kept}
    return {name: _plain(value) for name, value in kept.items()}


def _is_noise(name: str, value: object) -> bool:
    return (name == "title" and isinstance(value, str)) or (name == "default" and value is None)


def _one_of(arms: list[dict[str, Any]]) -> dict[str, Any]:
    """Join types; several plain ones become one list, which every client reads."""
    if len(arms) == 1:
        return arms[0]
    if all(set(arm) == {"type"} for arm in arms):
        return {"type": [arm["type"] for arm in arms]}
    return {"anyOf": arms}
