"""JSON text of unknown origin: decoded from its encoding, and parsed within bounds on its size and depth.

Everything that cannot be read raises InvalidWorkflow, which says what was expected.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from ..core.errors import Fault, InvalidWorkflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .link import Json

MOST_JSON = 32 * 2**20
"""The largest text that is parsed, in characters."""

MOST_DEPTH = 100
"""How deep lists and objects may lie in each other; real workflows stay under twenty."""

EXPECTED = "a workflow saved by ComfyUI (JSON, in its saved or its API format), or an image that carries one"

_BYTE_ORDER_MARK = "\ufeff"
_OPENING = (b"{", b"[", b'"')
_BEGINNING = 64
_NO_LETTERS = b"\0\xff\xfe\xef\xbb\xbf"
"""What stands beside the letters of ASCII in UTF-16 and UTF-32, and the bytes of all byte order marks."""


class Repeated(dict[str, Any]):
    """An object that names a member more than once, and so holds only the last of each name; `names` are those."""

    names: tuple[str, ...] = ()


def decoded(data: bytes) -> str:
    """Decode JSON text in UTF-8, UTF-16 or UTF-32, with a byte order mark or without. Raises InvalidWorkflow."""
    try:
        return data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        raise refused(_why_not_decoded(data, error)) from error


def _why_not_decoded(data: bytes, error: UnicodeDecodeError) -> str:
    if not data[:_BEGINNING].translate(None, _NO_LETTERS).lstrip().startswith(_OPENING):
        return "is neither text nor a PNG, WebP or JPEG image"
    if error.encoding != "utf-8":
        return f"is {error.encoding.upper()} that is damaged at byte {error.start}"
    return (
        f"is text in another encoding than UTF-8, UTF-16 or UTF-32: byte 0x{data[error.start]:02X} at position "
        f"{error.start} is not UTF-8. It may be Windows-1252 (Latin-1), GBK or Shift JIS: open it "
        "in an editor and save it as UTF-8"
    )


def parsed(text: str) -> Json:
    """Parse JSON text. Raises InvalidWorkflow for what is no JSON, too large or too deep."""
    text = text.removeprefix(_BYTE_ORDER_MARK)
    if not text.strip():
        raise refused("is empty")
    if len(text) > MOST_JSON:
        raise refused(f"is more than {MOST_JSON // 2**20} MiB of JSON")
    try:
        # NaN and Infinity are no JSON, yet older ComfyUI versions wrote them; the frontend reads null there.
        data = json.loads(text, parse_constant=lambda _: None, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise refused(f"is no JSON (line {error.lineno}, column {error.colno}: {error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise refused("is no JSON that can be read: a number is too long, or it is nested too deeply") from error
    _bound_depth(data)
    return data


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    repeated = Repeated(made)
    repeated.names = tuple(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return repeated


def _bound_depth(data: Json) -> None:
    level = [data]
    for _ in range(MOST_DEPTH):
        level = [inner for item in level for inner in _parts(item)]
        if not level:
            return
    raise refused(f"is nested more than {MOST_DEPTH} levels deep")


def _parts(item: Json) -> Iterator[Json]:
    parts = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return (part for part in parts if isinstance(part, (dict, list)))


def refused(problem: str) -> InvalidWorkflow:
    """Return the error of a file that is no workflow."""
    return InvalidWorkflow([Fault("the file", problem, EXPECTED)])
