"""Reading the journal: a row as a generation, the newest of them, and the search for words."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime
from itertools import islice
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from sqlalchemy import desc, func, or_, select, union_all

from .generation import Generation, Status
from .schema import GENERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select

_LOOKED_AT_FIRST = 200
"""So many of the newest are searched without help of the database: that takes some milliseconds."""

_LONGEST_PATTERN = 100
_MOST_PATTERNS = 4
"""Databases bound how long and how many they may be; what they leave in is looked at once more."""

_ALSO_WRITTEN = {"\N{KELVIN SIGN}": "k", "İ": "i", "ı": "i"}
"""Letters that Python, or a database with Turkish rules, makes one of ASCII's from, or makes from it."""

_IN_ORDER = select(GENERATIONS).order_by(GENERATIONS.c.created_at.desc(), GENERATIONS.c.id)
"""The newest first."""

_HOPEFUL: frozenset[Status] = frozenset({"intent", "submitted", "running", "finished", "stored"})
"""Statuses that lead to a picture, or may."""

_FIELDS = frozenset(field.name for field in fields(Generation))


def generation_of(row: Mapping[Any, Any]) -> Generation:
    """Return a row of the table as a generation."""
    known = {name: value for name, value in row.items() if name in _FIELDS}
    return Generation(
        **{
            **known,
            "request": json.loads(row["request"]),
            "created_at": datetime.fromisoformat(row["created_at"]),
            "updated_at": datetime.fromisoformat(row["updated_at"]),
        }
    )


def first(connection: Connection, where: ColumnElement[bool]) -> Generation | None:
    """Return one generation of which this is true, if there is any."""
    row = connection.execute(select(GENERATIONS).where(where)).mappings().first()
    return None if row is None else generation_of(row)


def of_image(connection: Connection, sha256: str) -> list[Generation]:
    """Return the generations whose image has this digest, the newest first."""
    rows = connection.execute(_IN_ORDER.where(GENERATIONS.c.sha256 == sha256)).mappings()
    return [generation_of(row) for row in rows]


def successor(connection: Connection, known: Generation) -> Generation | None:
    """Return the generation that a lost one was sent again as, as `Journal.sent_again` tells."""
    seen, last = {known.id}, known
    while last is known or last.status not in _HOPEFUL:
        found = _next(connection, last)
        if found is None or found.id in seen:
            break
        seen.add(found.id)
        last = found
    return None if last is known else last


def resends(connection: Connection, known: Generation) -> list[Generation]:
    """Return all that a lost one was sent again as, the oldest first and `successor` last."""
    found: dict[str, Generation] = {}
    waiting = [known]
    while waiting:
        new = [one for one in _repeats(connection, waiting.pop()) if one.id != known.id and one.id not in found]
        found |= {one.id: one for one in new}
        waiting += new
    last = successor(connection, known)
    if last is not None:
        found[last.id] = last
    return sorted(found.values(), key=lambda one: (last is not None and one.id == last.id, one.created_at, one.id))


def _next(connection: Connection, known: Generation) -> Generation | None:
    """Return who followed: of those that repeat it, the newest that may still bring the picture, else the newest."""
    found = _repeats(connection, known)
    return next((one for one in found if one.status in _HOPEFUL), next(iter(found), None))


def _repeats(connection: Connection, known: Generation) -> list[Generation]:
    """Return those that repeat it and were not refused, the newest first."""
    columns = GENERATIONS.c
    repeats = columns.retry_of == known.id
    if known.seed is not None:
        later = columns.created_at > known.created_at.isoformat(timespec="microseconds")
        same = (columns.fingerprint == known.fingerprint) & (columns.service == known.service) & later
        repeats = or_(repeats, same & columns.status.in_(_HOPEFUL))
    rows = connection.execute(_IN_ORDER.where(repeats, columns.status != "refused")).mappings().all()
    return [generation_of(row) for row in rows]


def newest(
    connection: Connection, *, most: int | None, statuses: Sequence[Status], service: str | None, words: str
) -> list[Generation]:
    """Return what `Journal.recent` tells."""
    wanted = words.lower().split()
    terms = [] if service is None else [GENERATIONS.c.service == service]
    if not wanted:
        return _found(connection, _listed(terms, statuses, most), (), most)
    # A common word is soon found; only for a rare one is the database to go through all it has.
    found = _found(connection, _listed(terms, statuses, _LOOKED_AT_FIRST), wanted, most)
    if len(found) == most:
        return found
    if statuses:
        terms.append(GENERATIONS.c.status.in_(statuses))
    likely = _IN_ORDER.where(*terms, *_likely(wanted)).execution_options(stream_results=True)
    return _found(connection, likely, wanted, most)


def _listed(
    terms: Sequence[ColumnElement[bool]], statuses: Sequence[Status], most: int | None
) -> Select[Any] | CompoundSelect[Any]:
    """Ask for the newest of these statuses; of all when none is named."""
    newest_ones = _IN_ORDER.where(*terms).limit(most)
    each = [newest_ones.where(GENERATIONS.c.status == status) for status in dict.fromkeys(statuses)] or [newest_ones]
    if len(each) == 1:
        return each[0]
    # Each status has its own order in the index: not even the failed of years are to be sorted as a whole.
    parts = union_all(*(select(one.subquery()) for one in each))
    return parts.order_by(desc("created_at"), "id").limit(most)


def _found(
    connection: Connection, query: Select[Any] | CompoundSelect[Any], words: Sequence[str], most: int | None
) -> list[Generation]:
    rows = connection.execute(query).mappings()
    return [generation_of(row) for row in islice((row for row in rows if _says(row, words)), most)]


def _likely(words: Sequence[str]) -> Iterator[ColumnElement[bool]]:
    """Yield what is true of every row that has these words, and of few others."""
    columns = GENERATIONS.c
    told = columns.request + " " + columns.door + " " + columns.id + " " + func.coalesce(columns.task_id, "")
    text: ColumnElement[str] = func.lower(told)
    for letter, meant in _ALSO_WRITTEN.items():
        if any(meant in word for word in words):
            text = func.replace(text, letter, meant)
    for word in sorted(set(words), key=len, reverse=True)[:_MOST_PATTERNS]:
        yield text.like(_pattern(word))


def _pattern(word: str) -> str:
    """Return what a database's text is like if it has this word, and perhaps if it has not.

    Only letters that are written in one way are asked for: not those that JSON escapes, those of other alphabets that
    have a case (databases differ in what they call the same letter), nor those with a meaning in a pattern.
    """
    asked = "".join(letter if _is_written_in_one_way(letter) else "%" for letter in word)
    return f"%{asked[:_LONGEST_PATTERN]}%"


def _is_written_in_one_way(letter: str) -> bool:
    return letter in ascii_lowercase or (letter.isalnum() and letter.lower() == letter == letter.upper())


def _says(row: Mapping[Any, Any], words: Sequence[str]) -> bool:
    """Tell whether all words are there, as Python understands their case."""
    if not words:
        return True
    request = json.loads(row["request"])
    told = (str(request["prompt"]), str(request["model"]), row["door"], row["id"], row["task_id"] or "")
    text = "\n".join(told).lower()
    return all(word in text for word in words)
