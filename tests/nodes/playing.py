"""Running a node as a host does: every widget has a value, and the steps are read to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from flux_nodes.nodes import NODES, Context, Node, Result

if TYPE_CHECKING:
    from flux_nodes.core import Generations
    from flux_nodes.core.generation import Generation
    from flux_nodes.core.images import Array
    from flux_nodes.sandbox import Sandbox

NOWHERE = Context(generations=cast("Any", None))
"""For nodes that need no service."""

BY_ID = {node.id: node for node in NODES}
SMALL: dict[str, Any] = {"model": "flux-schnell", "prompt": "a field", "width": 320, "height": 256, "seed": 7}


def widgets(node: Node, **values: Any) -> dict[str, Any]:
    """The values that a host gives a node: every widget has one."""
    return {item.name: item.default for item in node.inputs if item.is_widget} | values


async def played(node_id: str, within: Generations | Context, **values: Any) -> tuple[list[Generation], Result]:
    """What a node tells on its way, and its result."""
    context = within if isinstance(within, Context) else Context(within)
    node = BY_ID[node_id]
    given = widgets(node, **values)
    if node.takes_lists:
        given = {name: value if isinstance(value, list) else [value] for name, value in given.items()}
    steps = [step async for step in node.run(context, **given)]
    last = steps.pop()
    assert isinstance(last, Result)
    assert len(last.values) == len(node.outputs)
    moves = [step for step in steps if not isinstance(step, Result)]
    assert len(moves) == len(steps)
    return moves, last


async def result(node_id: str, within: Generations | Context, **values: Any) -> Result:
    return (await played(node_id, within, **values))[1]


def picture(red: float, shape: tuple[int, int] = (64, 96)) -> Array:
    image = np.zeros((1, *shape, 3), np.float32)
    image[..., 0] = red
    return image


def sent(sandbox: Sandbox) -> list[Any]:
    """The bodies of all submits, in the order in which they came."""
    return [request.json for request in sandbox.requests if request.path == "/flux-imagine"]
