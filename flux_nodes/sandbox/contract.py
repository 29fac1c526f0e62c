"""The sandbox's own reading of the flux-imagine page: which bodies the service takes."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .bodies import MalformedBody, parse_json
from .quirks import Quirks

MODELS = ("flux-schnell", "flux-pro", "flux-dev", "flux-pro-1.1", "flux-pro-1.1-ultra")
ULTRA = "flux-pro-1.1-ultra"

_Check = Callable[[str, Any, Quirks], "str | None"]


def read_json(raw: bytes) -> dict[str, Any]:
    """Read a request body.

    Raises:
        MalformedBody: It is no JSON, or no object.
    """
    document = parse_json(raw)
    if not isinstance(document, dict):
        msg = "The body must be a JSON object"
        raise MalformedBody(msg)
    return document


def faults_of_imagine(body: Mapping[str, Any], quirks: Quirks) -> list[str]:
    """Return every fault of a `/flux-imagine` body, in the page's order; empty when the service takes it.

    Decodes the image prompt, so call it outside the event loop.
    """
    faults = [f"{name} is required" for name in ("model", "prompt") if body.get(name) is None]
    for name, parameter in _PARAMETERS.items():
        if name in body and not (parameter.required and body[name] is None):
            faults.extend(parameter.faults(name, body, quirks))
    if quirks.unknown_parameters == "refused":
        faults.extend(f"{name} is not a parameter of flux-imagine" for name in body if name not in _PARAMETERS)
    return faults


def faults_of_fetch(body: Mapping[str, Any]) -> list[str]:
    """Return every fault of a `/fetch` body."""
    task_id = body.get("task_id")
    if task_id is None:
        return ["task_id is required"]
    return [] if isinstance(task_id, str) and task_id else ["task_id must be a string"]


def faults_of_fetch_many(body: Mapping[str, Any]) -> list[str]:
    """Return every fault of a `/fetch-many` body: 2 to 20 ids (apiframe wire notes, section 2)."""
    task_ids = body.get("task_ids")
    if task_ids is None:
        return ["task_ids is required"]
    if not isinstance(task_ids, list) or not all(isinstance(each, str) and each for each in task_ids):
        return ["task_ids must be an array of strings"]
    return [] if 2 <= len(task_ids) <= 20 else [f"task_ids must hold 2 to 20 ids, not {len(task_ids)}"]


@dataclass(frozen=True)
class _Parameter:
    check: _Check
    only_for: tuple[str, ...] = ()
    required: bool = False

    def faults(self, name: str, body: Mapping[str, Any], quirks: Quirks) -> list[str]:
        model = body.get("model")
        if self.only_for and model in MODELS and model not in self.only_for:
            refused = quirks.foreign_parameters == "refused"
            return [f"{name} is only for {' and '.join(self.only_for)}"] if refused else []
        fault = self.check(name, body[name], quirks)
        return [fault] if fault else []


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _model(name: str, value: Any, _: Quirks) -> str | None:
    return None if value in MODELS else f"{name} must be one of {', '.join(MODELS)}"


def _prompt(name: str, value: Any, quirks: Quirks) -> str | None:
    if not isinstance(value, str):
        return f"{name} must be a string"
    if not value.strip():
        return f"{name} must not be empty"
    if quirks.prompt_limit is not None and len(value) > quirks.prompt_limit:
        return f"{name} must be at most {quirks.prompt_limit} characters, not {len(value)}"
    return None


def _boolean(name: str, value: Any, _: Quirks) -> str | None:
    return None if isinstance(value, bool) else f"{name} must be a boolean"


def _integer(low: int | None = None, high: int | None = None) -> _Check:
    def check(name: str, value: Any, _: Quirks) -> str | None:
        if not _is_integer(value):
            return f"{name} must be an integer"
        if low is not None and high is not None and not low <= value <= high:
            return f"{name} must be between {low} and {high}"
        return None

    return check


def _side(name: str, value: Any, quirks: Quirks) -> str | None:
    fault = _integer(256, 1440)(name, value, quirks)
    if fault is None and quirks.multiples_of_32 and value % 32:
        return f"{name} must be a multiple of 32"
    return fault


def _steps(name: str, value: Any, quirks: Quirks) -> str | None:
    return _integer(*((1, 50) if quirks.upstream_ranges else ()))(name, value, quirks)


def _guidance(name: str, value: Any, quirks: Quirks) -> str | None:
    if not _is_number(value):
        return f"{name} must be a number"
    outside = quirks.upstream_ranges and not 1.5 <= value <= 5
    return f"{name} must be between 1.5 and 5" if outside else None


def _strength(name: str, value: Any, _: Quirks) -> str | None:
    return None if _is_number(value) and 0 <= value <= 1 else f"{name} must be a float between 0 and 1"


def _ratio(name: str, value: Any, _: Quirks) -> str | None:
    found = re.fullmatch(r"([1-9]\d{0,3}):([1-9]\d{0,3})", value) if isinstance(value, str) else None
    if found and 9 / 21 <= int(found[1]) / int(found[2]) <= 21 / 9:
        return None
    return f"{name} must be a ratio between 21:9 and 9:21"


def _web_address(name: str, value: Any, _: Quirks) -> str | None:
    try:
        parts = urlsplit(value) if isinstance(value, str) and value.isascii() else None
    except ValueError:
        parts = None
    fine = parts is not None and parts.scheme in {"http", "https"} and bool(parts.netloc)
    return None if fine else f"{name} must be an http or https URL"


def _header_text(name: str, value: Any, _: Quirks) -> str | None:
    if not isinstance(value, str):
        return f"{name} must be a string"
    return None if value.isascii() and value.isprintable() else f"{name} must fit into a header: plain ASCII"


def _image(name: str, value: Any, quirks: Quirks) -> str | None:
    if not isinstance(value, str):
        return f"{name} must be a base64 encoded image"
    if value.startswith("data:") and quirks.data_uri == "refused":
        return f"{name} must be base64 alone, without the data: prefix"
    raw = image_prompt_bytes(value)
    if raw is None:
        return f"{name} must be base64"
    return None if _opens(raw) else f"{name} must be an image"


def image_prompt_bytes(text: str) -> bytes | None:
    """Decode an image prompt, with or without its `data:` prefix; None when it is not base64."""
    prefix, comma, rest = text.partition(",")
    encoded = rest if comma and prefix.startswith("data:") and prefix.endswith(";base64") else text
    try:
        return base64.b64decode(encoded, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _opens(raw: bytes) -> bool:
    from .pixels import read_image

    return read_image(raw) is not None


_PARAMETERS: Mapping[str, _Parameter] = {
    "model": _Parameter(_model, required=True),
    "prompt": _Parameter(_prompt, required=True),
    "image_prompt": _Parameter(_image),
    "image_prompt_strength": _Parameter(_strength, only_for=(ULTRA,)),
    "prompt_upsampling": _Parameter(_boolean),
    "width": _Parameter(_side),
    "height": _Parameter(_side),
    "aspect_ratio": _Parameter(_ratio, only_for=(ULTRA,)),
    "steps": _Parameter(_steps, only_for=("flux-pro", "flux-dev")),
    "guidance": _Parameter(_guidance, only_for=("flux-pro", "flux-dev")),
    "interval": _Parameter(_integer(1, 4), only_for=("flux-pro",)),
    "seed": _Parameter(_integer()),
    "safety_tolerance": _Parameter(_integer(0, 6)),
    "raw": _Parameter(_boolean, only_for=(ULTRA,)),
    "webhook_url": _Parameter(_web_address),
    "webhook_secret": _Parameter(_header_text),
}
"""The page's Body table, in its order."""
