"""The nodes that a workflow may be made of."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..nodes.face import Node


class Registry(Mapping[str, "Node"]):
    """Nodes by id. Of two with the same id the later counts."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = MappingProxyType({node.id: node for node in nodes})

    def __getitem__(self, key: str) -> Node:
        return self._nodes[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def outputs(self) -> tuple[Node, ...]:
        """The nodes that a run is made for: those that save or show something."""
        return tuple(node for node in self.values() if node.is_output)
