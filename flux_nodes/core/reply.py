"""Makes what the service sends safe, once, where it enters: a reply to a request, or a webhook's body.

What comes out holds texts that every database can store, none of them long, nothing nested deeply, numbers as text
(so that no digit of an id is lost), and no API key.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import SecretStr

LONGEST_TEXT = 8_192
"""The most characters of one text that are kept; a signed address of an image is the longest that is of use."""

_DEEPEST = 32
"""How deep a reply may nest; whatever is deeper reads as null."""

_LEAST_SECRET = 12
"""A shorter key (the sandbox's is a word) may stand in a reply without being an echo of it."""

_LONGEST_TASK_ID = 255
"""As the journal's column has it, and short enough for an index of PostgreSQL."""

REPLACED = "\ufffd"
"""Stands for a character that cannot be stored."""

# NUL and halves of surrogate pairs cannot be stored; other control characters could steer a person's terminal.
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)

_LEADING_TASK_ID = re.compile(r'\s*\{\s*"task_id"\s*:\s*(?:"[^"\\]*(?:\\.[^"\\]*)*"|\d+\s*[,}])')


def read_reply(content: bytes, *, key: SecretStr | None = None) -> Any:
    """Return the JSON of a reply, made safe; None when it is no JSON. Every number is a text, as it was written."""
    text = content.decode(json.detect_encoding(content), errors="replace")
    if key is not None and len(key) >= _LEAST_SECRET:
        # Before it is parsed: a text that is cut, or that cannot be parsed, must not keep a part of the key.
        text = redact(text, key)
    try:
        document = json.loads(_shallow(text), parse_int=str, parse_float=str, parse_constant=str)
    except ValueError:
        return None
    return _safe(document)


def read_task_id(content: bytes, *, key: SecretStr | None = None) -> str:
    """Return the task id of an answer to a submit that broke off after it; "" where it did not come whole."""
    text = content.decode("utf-8", errors="replace")
    found = _LEADING_TASK_ID.match(text)
    reply = read_reply(f"{found[0].rstrip(',}')}}}".encode(), key=key) if found else None
    return usable_task_id(reply.get("task_id")) if isinstance(reply, dict) else ""


def storable(text: str, *, most: int = LONGEST_TEXT) -> str:
    """Return a text that every database and terminal takes: unstorable characters replaced, cut after `most`."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return _UNSTORABLE.sub(REPLACED, cut)


def redact(text: str, key: SecretStr) -> str:
    """Return a text with `***` for the key, also where it is written with escapes of JSON or of a web address."""
    return _spellings(key.get_secret_value()).sub("***", text)


def usable_task_id(value: object) -> str:
    """Return a task id that can be stored and asked for, or "" when this is none."""
    text = value.strip() if isinstance(value, str) else ""
    return text if len(text) <= _LONGEST_TASK_ID and text.isprintable() and REPLACED not in text else ""


@lru_cache(maxsize=4)
def _spellings(secret: str) -> re.Pattern[str]:
    """Match a secret whose characters may be written as they are, as JSON escapes (also escaped again) or as %41."""
    # The number of backslashes is bounded: a long run of them must not take time that grows with its square.
    each = (
        rf"(?:\\{{0,8}}{re.escape(letter)}|\\{{1,8}}u00(?i:{ord(letter):02x})|%(?i:{ord(letter):02x}))"
        for letter in secret
    )
    return re.compile("".join(each))


def _shallow(text: str) -> str:
    """Write null for what is nested too deeply: parsers recurse, and stop somewhere between 500 and 100,000 levels."""
    kept, start, depth = [], 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == _DEEPEST + 1:
                kept.append(f"{text[start : token.start()]}null")
        elif token[0] in "]}":
            depth -= 1
            if depth == _DEEPEST:
                start = token.end()
    return "".join(kept) + (text[start:] if depth <= _DEEPEST else "")


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_safe(each) for each in value]
    if isinstance(value, dict):
        return {storable(name): _safe(each) for name, each in value.items()}
    return value
