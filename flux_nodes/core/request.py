"""A request for one generation: checked against the catalog before anything is sent, and its form on the wire."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .catalog import MODEL_NAMES, PARAMETERS, Parameter, Value, allowed, models_in_words, parameter
from .errors import Fault, InvalidImage, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .image_prompt import ImagePrompt

_SHOWN = 40
"""How much of a wrong value an error repeats: enough to recognise it, never a whole image."""


@dataclass(frozen=True, init=False)
class ImagineRequest:
    """What to generate. Give the page's fields by name; those that are None are left to the service.

    `image_prompt` takes an image file as bytes or in base64 (a `data:` prefix is dropped), or one that was prepared;
    it is sent as `image_prompt.prepared` makes it, and `image_digest` is the SHA-256 of that file. Raises
    InvalidRequest with every fault at once. Source: flux-imagine page, table Body.
    """

    values: Mapping[str, Value] = field(repr=False)
    image_digest: str | None
    _image: ImagePrompt | None = field(repr=False, compare=False)

    def __init__(self, **values: Value | bytes | ImagePrompt | None) -> None:
        given = {name: value for name, value in values.items() if value is not None}
        checked, faults = _check(given)
        if faults:
            raise InvalidRequest(faults)
        image: Any = checked.get("image_prompt")
        sent = {} if image is None else {"image_prompt": image.base64}
        object.__setattr__(self, "values", MappingProxyType({**checked, **sent}))
        object.__setattr__(self, "image_digest", None if image is None else image.sha256)
        object.__setattr__(self, "_image", image)

    @property
    def model(self) -> str:
        """The model's name on the wire."""
        return str(self.values["model"])

    @property
    def prompt(self) -> str:
        """The words."""
        return str(self.values["prompt"])

    @property
    def seed(self) -> int | None:
        """The seed, if one was chosen."""
        seed = self.values.get("seed")
        return seed if isinstance(seed, int) else None

    @property
    def image_prompt(self) -> bytes | None:
        """The file of the image prompt, if there is one."""
        return None if self._image is None else self._image.data

    def _with(self, **values: Value) -> ImagineRequest:
        """Return the same request with other values, its image prompt as it was made."""
        return ImagineRequest(**{**self.values, "image_prompt": self._image, **values})

    def delivered(self, *, webhook_url: str, webhook_secret: str) -> ImagineRequest:
        """Return the same request with another delivery."""
        return self._with(webhook_url=webhook_url, webhook_secret=webhook_secret)

    def seeded(self) -> ImagineRequest:
        """Return the same request with a seed, at random where none was chosen, so that its image can be made again."""
        if self.seed is not None:
            return self
        guide = parameter("seed").guide
        low, high = int(guide.minimum or 0), int(guide.maximum or 0)
        return self._with(seed=low + secrets.randbelow(high - low + 1))

    def wire(self) -> dict[str, Value]:
        """Return the JSON body of `POST /flux-imagine`, in the page's order of fields."""
        return dict(self.values)

    def record(self) -> dict[str, Value]:
        """Return what may be kept: no secret, and the image prompt as the SHA-256 of its file."""
        kept = {
            item.name: self.values[item.name]
            for item in PARAMETERS
            if item.name in self.values and item.kind != "secret"
        }
        if self.image_digest is not None:
            kept["image_prompt"] = f"sha256:{self.image_digest}"
        return kept

    @cached_property
    def fingerprints(self) -> tuple[str, ...]:
        """Digests that two requests share when they ask for the same picture, however delivered: as meant, as written.

        As it is meant, what is left out is its default, and an image prompt is its pixels: a form that always fills
        every field, and writes its image anew, asks for the same picture as a few words at the terminal. As it is
        written is how versions before 0.3 kept it. Neither changes when the catalog gets another parameter: a picture
        that is kept must be found again. Then, where the image prompt was made from another file, both as they were
        up to 0.3.0, which sent that file.
        """
        written = {name: value for name, value in self.record().items() if _GROUP[name] == "picture"}
        if self._image is None:
            return _sealed(self._meant(written, None)), _sealed(written)
        before = () if self._image.before is None else (self._image.before,)
        sent = ((self._image.sha256, self._image.pixels), *before)
        forms = [({**written, "image_prompt": f"sha256:{file}"}, pixels) for file, pixels in sent]
        return tuple(seal for form, pixels in forms for seal in (_sealed(self._meant(form, pixels)), _sealed(form)))

    def _meant(self, written: Mapping[str, Value], pixels: str | None) -> dict[str, Value]:
        usual = {item.name: _usual(item) for item in PARAMETERS if item.taken_by(self.model)}
        filled = {name: value for name, value in usual.items() if value is not None and name in _FILLED_IN}
        meant = {**filled, **{name: value for name, value in written.items() if _counts(name, value, usual)}}
        numbers = {name: float(value) for name, value in meant.items() if _BY_NAME[name].kind == "number"}
        return {**meant, **numbers, **({} if pixels is None else {"image_prompt": pixels})}


_FILLED_IN = frozenset(
    {
        "image_prompt_strength",
        "prompt_upsampling",
        "width",
        "height",
        "aspect_ratio",
        "interval",
        "safety_tolerance",
        "raw",
    }
)
"""The parameters of version 0.3.0 with a default: a fingerprint names them also where they were left out.

Never add to it: a name more would change every fingerprint that journals hold, and pictures would be paid again.
"""


def _counts(name: str, value: Value, usual: Mapping[str, Value | None]) -> bool:
    """Tell whether a value that was written is part of a fingerprint: a later parameter's default is not."""
    return name in _FILLED_IN or usual.get(name) is None or value != usual[name]


def _usual(item: Parameter) -> Value | None:
    """Return what a parameter means that was left out; None where that is left to chance, or to the model."""
    if item.group != "picture" or item.name == "seed":
        return None
    return item.guide.default if item.default is None else item.default


def _sealed(picture: Mapping[str, Value]) -> str:
    return hashlib.sha256(json.dumps(picture, sort_keys=True).encode()).hexdigest()


_GROUP = {item.name: item.group for item in PARAMETERS}
_BY_NAME = {item.name: item for item in PARAMETERS}


def _check(given: Mapping[str, object]) -> tuple[dict[str, Any], list[Fault]]:
    faults = list(_unknown(given))
    checked: dict[str, Any] = {}
    for item in PARAMETERS:
        if item.name not in given:
            if item.required:
                faults.append(Fault(item.name, "is required and was not given", allowed(item)))
            continue
        try:
            checked[item.name] = _CHECKS[item.kind](item, given[item.name])
        except _WrongValueError as wrong:
            faults.append(Fault(item.name, str(wrong), allowed(item)))
    return checked, faults + list(_not_taken(given))


def _unknown(given: Mapping[str, object]) -> Iterator[Fault]:
    for name in given:
        if name not in _BY_NAME:
            yield Fault(name, "there is no such parameter", ", ".join(_BY_NAME))


def _not_taken(given: Mapping[str, object]) -> Iterator[Fault]:
    model = given.get("model")
    if model not in MODEL_NAMES:
        return
    for item in PARAMETERS:
        if item.name in given and not item.taken_by(str(model)):
            yield Fault(item.name, f"{model} does not take it", f"only with {models_in_words(item)}")


class _WrongValueError(ValueError):
    """A value that its parameter does not accept; the text says why."""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _text(item: Parameter, value: object) -> str:
    if not isinstance(value, str):
        raise _WrongValueError(f"{_shown(value)} is not text")
    if not value.strip():
        raise _WrongValueError("is empty")
    if item.choices and value not in item.choices:
        raise _WrongValueError(f"{_shown(value)} is not one of its values")
    _as_utf8(value)
    return value


def _as_utf8(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise _WrongValueError("holds half a character (a lone surrogate), which no service can read") from error


def _secret(item: Parameter, value: object) -> str:
    del item
    if not isinstance(value, str) or not value.strip():
        raise _WrongValueError("is empty or not text")
    _as_utf8(value)
    return value


def _integer(item: Parameter, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _WrongValueError(f"{_shown(value)} is not a whole number")
    _within(item, value)
    return value


def _number(item: Parameter, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _WrongValueError(f"{_shown(value)} is not a number")
    _within(item, value)
    return value


def _within(item: Parameter, value: float) -> None:
    if item.minimum is not None and value < item.minimum:
        raise _WrongValueError(f"{_shown(value)} is too small")
    if item.maximum is not None and value > item.maximum:
        raise _WrongValueError(f"{_shown(value)} is too large")


def _boolean(item: Parameter, value: object) -> bool:
    del item
    if not isinstance(value, bool):
        raise _WrongValueError(f"{_shown(value)} is neither true nor false")
    return value


_RATIO = re.compile(r"([1-9][0-9]{0,4}):([1-9][0-9]{0,4})", re.ASCII)


def _ratio(item: Parameter, value: object) -> str:
    match = _RATIO.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _WrongValueError(f"{_shown(value)} is not of the form width:height")
    width, height = int(match[1]), int(match[2])
    # Compared in whole numbers: 21/9 as a float would depend on rounding at the very edge that the page names.
    if width * 9 > height * 21 or height * 9 > width * 21:
        raise _WrongValueError(f"{match[0]} is {'wider than 21:9' if width > height else 'taller than 9:21'}")
    del item
    return match[0]


def _url(item: Parameter, value: object) -> str:
    text = _text(item, value)
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and not re.search(r"[\s\x00-\x1f]", text)
    except ValueError:
        usable = False
    if not usable:
        raise _WrongValueError(f"{_shown(value)} is not a web address")
    return text


def _image(item: Parameter, value: object) -> ImagePrompt:
    from .image_prompt import ImagePrompt, prepared  # Pillow and numpy are wanted only when an image is given

    del item
    if isinstance(value, ImagePrompt):
        return value
    try:
        return prepared(value if isinstance(value, bytes) else _from_base64(value))
    except InvalidImage as error:
        raise _WrongValueError(f"is no usable image ({error})") from error


def _from_base64(value: object) -> bytes:
    if not isinstance(value, str):
        raise _WrongValueError(f"{_shown(value)} is neither bytes nor base64 text")
    bare = value.partition(",")[2] if value.startswith("data:") else value
    try:
        return base64.b64decode("".join(bare.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _WrongValueError("is not base64") from error


_CHECKS: dict[str, Callable[[Parameter, object], Value | ImagePrompt]] = {
    "text": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "ratio": _ratio,
    "image": _image,
    "url": _url,
    "secret": _secret,
}
