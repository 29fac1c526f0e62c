"""Faults as people write them: `submit:429:retry_after=1:times=2`, JSON, and words inside a prompt."""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, get_args

from .faults import Fault, FaultError, Where

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FORM = "WHERE:KIND[:NAME=VALUE]…, for example submit:429:retry_after=1:times=2"
_STEPS = set(get_args(Where))


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"-?\d+", text):
        msg = f"{text!r} is not a whole number."
        raise FaultError(msg)
    return int(text)


def _number(text: str) -> float:
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        msg = f"{text!r} is not a number."
        raise FaultError(msg)
    return float(text)


def _times(text: str) -> int | None:
    return None if text == "always" else _whole_number(text)


_READ: dict[str, Callable[[str], object]] = {
    "times": _times,
    "skip": _whole_number,
    "match": str,
    "status": _whole_number,
    "body": str,
    "retry_after": _number,
    "retry_as": str,
    "message": str,
    "seconds": _number,
    "location": str,
    "size": _whole_number,
}
_NEXT_OPTION = re.compile(f":(?=(?:{'|'.join(_READ)})=)")


def parse_fault(text: str) -> Fault:
    """Read one fault from `WHERE:KIND[:NAME=VALUE]…`.

    A number as the kind is a refusal with that status: `submit:429` is `submit:refuse:status=429`.
    `times=always` never ends. Values may hold colons, as addresses do.

    Raises:
        FaultError: The text has another form, or asks for a fault that cannot be.
    """
    head, *options = _NEXT_OPTION.split(text.strip())
    where, colon, kind = head.partition(":")
    if not colon or not kind:
        msg = f"The fault {text!r} is not of the form {_FORM}."
        raise FaultError(msg)
    if ":" in kind:
        unknown = kind.partition(":")[2]
        msg = f"The fault {text!r} has no option {unknown!r}. The options are: {', '.join(_READ)}."
        raise FaultError(msg)
    values = dict(_option(option) for option in options)
    return _with_kind(where, kind, values)


def _option(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    return name, _READ[name](value)


def _with_kind(where: str, kind: str, values: Mapping[str, Any]) -> Fault:
    if kind.isdecimal():
        return Fault(where=where, kind="refuse", status=int(kind), **values)  # type: ignore[arg-type]  # Fault checks it
    return Fault(where=where, kind=kind, **values)  # type: ignore[arg-type]  # Fault checks both


def faults_from_json(document: object) -> list[Fault]:
    """Read faults from JSON: one or a list of texts for `parse_fault`, or of objects with a fault's fields.

    Raises:
        FaultError: Anything else.
    """
    if isinstance(document, list):
        return [fault for each in document for fault in faults_from_json(each)]
    if isinstance(document, str):
        return [parse_fault(document)]
    if isinstance(document, dict):
        return [_from_fields(document)]
    msg = f"A fault is a text of the form {_FORM}, an object with where and kind, or a list of those."
    raise FaultError(msg)


def _from_fields(given: Mapping[str, Any]) -> Fault:
    known = {field.name for field in fields(Fault)}
    if unknown := sorted(set(given) - known):
        msg = f"A fault has no field {', '.join(unknown)}. The fields are: {', '.join(sorted(known))}."
        raise FaultError(msg)
    if missing := {"where", "kind"} - set(given):
        msg = f"A fault needs {' and '.join(sorted(missing))}."
        raise FaultError(msg)
    values = {name: value for name, value in given.items() if name not in {"where", "kind"}}
    return _with_kind(str(given["where"]), str(given["kind"]), values)


def fault_to_json(fault: Fault) -> dict[str, object]:
    """Return the fault's fields, without those that say nothing."""
    told = {"where", "kind", "times"}
    return {name: value for name, value in asdict(fault).items() if name in told or value is not None}


_TRIGGER = re.compile(r"\[sandbox:\s*([^\]]+?)\s*\]", re.IGNORECASE)


def fault_in_prompt(prompt: str) -> Fault | None:
    """Read the fault that a prompt asks for in `[sandbox: …]`; None when it asks for none.

    The words are `fail`, `fail REASON` (`moderation`, `content` or any text), `stuck`, `credits`, a status
    such as `429`, or the whole form that `parse_fault` reads.

    Raises:
        FaultError: There are such brackets, with something else inside.
    """
    found = _TRIGGER.search(prompt)
    if found is None:
        return None
    words = found[1]
    if words.partition(":")[0] in _STEPS:
        return parse_fault(words)
    kind, _, rest = words.partition(" ")
    if kind == "fail":
        return Fault(where="submit", kind="fail", message=rest.strip() or None)
    return parse_fault(f"submit:{words}")
