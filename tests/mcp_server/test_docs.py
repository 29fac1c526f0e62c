from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.core import errors
from mcp_server.facts import AccountFacts, GenerationFacts
from mcp_server.refusals import code

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import Tool
    from pydantic import BaseModel

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "mcp.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
BLOCKS: list[Any] = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


@pytest.fixture
def mode() -> str:
    return "auto"


async def listed(client: Client) -> dict[str, Tool]:
    return {tool.name: tool for tool in (await client.list_tools()).tools}


async def test_every_tool_has_its_row_with_all_its_arguments(client: Client) -> None:
    for name, tool in (await listed(client)).items():
        (row,) = [row for row in ROWS if row.startswith(f"| `{name}` ")]
        named = re.findall(r"`(\w+)`", row.split("|")[2])
        assert sorted(named) == sorted(tool.input_schema["properties"])


async def test_the_page_counts_the_tools(client: Client) -> None:
    count = len(await listed(client))
    assert f"with {NUMBERS[count]} tools" in PAGE


def test_the_answers_shown_are_answers_of_the_tools() -> None:
    shapes: dict[str, type[BaseModel]] = {"generation_id": GenerationFacts, "credits": AccountFacts}
    kinds = [next((shape for key, shape in shapes.items() if key in block), None) for block in BLOCKS]
    shown = [(shape, block) for shape, block in zip(kinds, BLOCKS, strict=True) if shape is not None]

    assert len(shown) == 3
    for shape, block in shown:
        assert shape.model_validate(block).model_dump(mode="json", exclude_none=True) == block


def test_the_configurations_start_our_command() -> None:
    servers = [block.get("mcpServers") or block.get("servers") for block in BLOCKS if "generation_id" not in block]
    commands = [[found["flux-nodes"]["command"], *found["flux-nodes"]["args"]] for found in servers if found]

    assert len(commands) == 3
    for command in commands:
        assert command[-2:] == ["flux-nodes", "mcp"]


def test_every_error_that_a_tool_can_answer_is_named_by_its_code() -> None:
    # The last two come of graphs, of which there are none here.
    never = {errors.FluxNodesError, errors.NothingSent, errors.Faulty, errors.InvalidWorkflow, errors.PartlyFailed}
    core = [kind for kind in below(errors.FluxNodesError) if kind.__module__ == errors.__name__ and kind not in never]
    codes = {code(kind.__new__(kind)) for kind in core}
    named = {name for row in ROWS for name in re.findall(r"`(\w+)`", row.split("|")[1])}

    assert codes <= named


def below(kind: type[errors.FluxNodesError]) -> set[type[errors.FluxNodesError]]:
    return {kind}.union(*(below(child) for child in kind.__subclasses__()))
