"""The route that tells the frontend what the catalog says, so that no script restates it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.catalog import MODELS, PARAMETERS
from ..nodes import NODES
from .routes_exchange import Answer, Asked, told

if TYPE_CHECKING:
    from ..core.catalog import Model


async def catalog(asked: Asked) -> Answer:
    """GET: tell the models, which parameters each takes, our nodes, and which of them have these as inputs."""
    del asked
    generating = [node for node in NODES if node.paid]
    return told(
        {
            "models": {model.name: _told(model) for model in MODELS},
            "nodes": [node.id for node in NODES],
            "generating": [node.id for node in generating],
            "inputs": [item.name for item in PARAMETERS if any(node.input(item.name) for node in generating)],
        }
    )


def _told(model: Model) -> dict[str, Any]:
    return {
        "label": model.label,
        "description": model.description,
        "credits": model.credits,
        "takes": [item.name for item in PARAMETERS if item.taken_by(model.name)],
    }
