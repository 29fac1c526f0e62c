"""What an input of a node can be: a value, or a link to an output of another node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Json: TypeAlias = Any
"""A value out of a JSON file: whatever somebody wrote there."""

Home: TypeAlias = "tuple[str | int, ...]"
"""Where in the drawing a value is kept: the keys and indexes that lead to it."""


@dataclass(frozen=True)
class Link:
    """An input that takes output `slot` (counted from 0) of node `node`."""

    node: str
    slot: int
