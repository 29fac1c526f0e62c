"""Folders, nodes and a registry to run workflows with, no service needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from flux_nodes.graph import Folders, Registry, stock_nodes
from flux_nodes.nodes import NODES, Context
from flux_nodes.nodes.face import Input, Node, Output, Result

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(input=tmp_path / "input", output=tmp_path / "output", temp=tmp_path / "temp")
    made.input.mkdir()
    return made


@pytest.fixture
def registry(folders: Folders) -> Registry:
    return Registry([*NODES, *stock_nodes(folders), COLOUR, SHOW, PAIR])


@pytest.fixture
def context() -> Context:
    """A context for nodes that need no service."""
    return Context(generations=cast("Any", None))


def socket(name: str, type_: Any, **more: Any) -> Input:
    return Input(name=name, type=type_, label=name.title(), tooltip="", **more)


async def colour(context: Context, *, seed: int, size: int = 4, tint: str = "red") -> AsyncGenerator[Any, None]:
    del context
    image = np.zeros((1, size, size, 3), np.float32)
    image[..., ["red", "green", "blue"].index(tint)] = (seed % 256) / 255
    yield Result((image, seed))


COLOUR = Node(
    id="Colour",
    label="A Colour",
    category="test",
    description="",
    inputs=(
        socket("size", "INT", default=4, minimum=1, maximum=8, optional=True),
        socket("seed", "INT", default=0, minimum=0, seed_control=True),
        socket("tint", "COMBO", choices=("red", "green", "blue"), default="red"),
    ),
    outputs=(
        Output(name="image", type="IMAGE", label="Image", tooltip=""),
        Output(name="seed", type="INT", label="Seed", tooltip=""),
    ),
    run=colour,
)


async def show(context: Context, **values: Any) -> AsyncGenerator[Any, None]:
    del context
    yield Result((), text=repr(values))


SHOW = Node(
    id="Show",
    label="Show",
    category="test",
    description="",
    inputs=(
        socket("image", "IMAGE", optional=True),
        socket("other", "IMAGE", optional=True),
        socket("number", "FLOAT", default=0.5, minimum=0, maximum=1000, optional=True),
        socket("choice", "COMBO", choices=("a", "b"), optional=True),
        socket("flag", "BOOLEAN", default=False, optional=True),
        socket("text", "STRING", default="", optional=True),
    ),
    outputs=(),
    run=show,
    is_output=True,
)


async def pair(context: Context, *, one: Any, two: Any, text: str) -> AsyncGenerator[Any, None]:
    del context, text
    yield Result((one, two))


PAIR = Node(
    id="Pair",
    label="Pair",
    category="test",
    description="",
    inputs=(socket("text", "STRING", default=""), socket("one", "IMAGE"), socket("two", "IMAGE")),
    outputs=tuple(Output(name=name, type="IMAGE", label="", tooltip="") for name in ("one", "two")),
    run=pair,
)
