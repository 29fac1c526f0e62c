"""Values of inputs: converted as ComfyUI converts them, and held against the input's own rules.

Source: ComfyUI's `execution.py` (validate_inputs) and `comfy_execution/validation.py`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..nodes.face import Input

_SHOWN = 60
_MOST_CHOICES = 20
_YES = frozenset({"true", "yes", "on", "1"})
_NO = frozenset({"false", "no", "off", "0"})
_DESCRIBED = {"INT": "a whole number", "FLOAT": "a number", "BOOLEAN": "true or false", "STRING": "text"}

NOT_GIVEN = object()
"""What `initial` answers for an input that has no value of its own."""


class WrongValueError(ValueError):
    """A value that its input does not take; the text says why."""


def shown(value: object) -> str:
    """Repeat a value in an error: enough to recognise it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def allowed(item: Input) -> str:
    """Say what an input takes."""
    if item.recent:
        return "text that begins with the id of a generation"
    if item.choices:
        more = len(item.choices) - _MOST_CHOICES
        return ", ".join(item.choices[:_MOST_CHOICES]) + (f" and {more} more" if more > 0 else "")
    words = "text" if item.type == "COMBO" else _DESCRIBED.get(item.type, f"a link to an output of type {item.type}")
    low, high = _range(item)
    if low is not None and high is not None:
        return f"{words} from {_number(low)} to {_number(high)}"
    if low is not None:
        return f"{words} of at least {_number(low)}"
    return words if high is None else f"{words} of at most {_number(high)}"


def _range(item: Input) -> tuple[float | None, float | None]:
    """Return the bounds of a number; those of a text (an aspect ratio) mean something that only its node knows."""
    return (item.minimum, item.maximum) if item.type in ("INT", "FLOAT") else (None, None)


def _number(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)


def coerced(item: Input, value: Any) -> Any:
    """Convert a value as ComfyUI does ("5" and 5.0 are 5 for an INT). Raises WrongValueError when it cannot."""
    if value is None:
        raise WrongValueError("is empty (null)")
    if item.type == "COMBO" and (item.recent or not item.choices) and not isinstance(value, str):
        raise WrongValueError(f"{shown(value)} is not {_DESCRIBED['STRING']}")  # the name of a file, or an id
    convert = _CONVERSIONS.get(item.type)
    if convert is None:
        return value
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise WrongValueError(f"{shown(value)} is not {_DESCRIBED[item.type]}") from error


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": _finite, "STRING": str, "BOOLEAN": bool}


def held(item: Input, value: Any) -> Any:
    """Convert a value and hold it against the input's range and choices. Raises WrongValueError.

    The choices of a `recent` input are no limit: they are only what was new when somebody looked.
    """
    value = coerced(item, value)
    low, high = _range(item)
    if low is not None and value < low:
        raise WrongValueError(f"{shown(value)} is less than {_number(low)}")
    if high is not None and value > high:
        raise WrongValueError(f"{shown(value)} is more than {_number(high)}")
    if item.choices and not item.recent and value not in item.choices:
        raise WrongValueError(f"{shown(value)} is not one of its choices")
    return value


def from_text(item: Input, text: str) -> Any:
    """Convert what a person typed; unlike ComfyUI's own conversion, "false" is false. Raises WrongValueError."""
    if item.type != "BOOLEAN":
        return coerced(item, text)
    word = text.strip().lower()
    if word not in _YES | _NO:
        raise WrongValueError(f"{shown(text)} is not {_DESCRIBED['BOOLEAN']}")
    return word in _YES


def initial(item: Input) -> Any:
    """Return what a widget holds before anybody touched it, as ComfyUI does; NOT_GIVEN for what is no widget."""
    if item.default is not None:
        return item.default
    if item.type == "COMBO":
        return item.choices[0] if item.choices else NOT_GIVEN
    return {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False}.get(item.type, NOT_GIVEN)


def fits(received: str, wanted: str) -> bool:
    """Tell whether an output of one type may be linked to an input of another ("A,B" is either, "*" is any).

    A STRING may choose from a COMBO and an INT may be a FLOAT; ComfyUI itself asks for a converting node there.
    """
    have, want = _names(received), _names(wanted)
    if "*" in have | want or have & want:
        return True
    return ("COMBO" in want and "STRING" in have) or ("FLOAT" in want and "INT" in have)


def _names(types: str) -> set[str]:
    return {name.strip().upper() for name in types.split(",")}
