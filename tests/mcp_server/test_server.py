from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp.types import ImageContent

from flux_nodes.core import Settings, catalog
from flux_nodes.core.errors import InvalidSettings
from flux_nodes.sandbox import Fault
from mcp_server.server import INSTRUCTIONS, serve
from tests.mcp_server.answers import facts

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import Tool

    from flux_nodes.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
TOOLS = [
    "generate_image",
    "get_generation",
    "confirm_generation",
    "view_image",
    "list_generations",
    "list_models",
    "get_account",
]
SMALL = {"prompt": "a sunflower field", "width": 256, "height": 256}


async def tools(client: Client) -> dict[str, Tool]:
    return {tool.name: tool for tool in (await client.list_tools()).tools}


async def test_the_tools_are_these(client: Client) -> None:
    assert list(await tools(client)) == TOOLS


async def test_each_tool_has_a_title_and_says_what_it_costs(client: Client) -> None:
    for tool in (await tools(client)).values():
        assert tool.title
        assert tool.description
        assert ("COSTS 1 credit" in tool.description) == (tool.name == "generate_image")
        assert ("Free." in tool.description) == (tool.name != "generate_image")


async def test_only_generating_and_confirming_are_more_than_looking(client: Client) -> None:
    for tool in (await tools(client)).values():
        hints = tool.annotations
        assert hints is not None
        assert hints.title == tool.title
        assert hints.destructive_hint is False
        free, looks = tool.name != "generate_image", tool.name not in {"generate_image", "confirm_generation"}
        assert (hints.read_only_hint, hints.idempotent_hint, hints.open_world_hint) == (looks, free, not free)


async def test_the_arguments_of_generating_are_the_catalogs(client: Client) -> None:
    schema = (await tools(client))["generate_image"].input_schema

    offered = {item.name: item for item in catalog.PARAMETERS if item.group == "picture"}
    assert [*offered, "fresh", "wait_seconds"] == list(schema["properties"])
    assert schema["required"] == ["prompt"]
    assert schema["additionalProperties"] is False
    for name, item in offered.items():
        published = schema["properties"][name]
        assert item.description in published["description"]
        if item.kind != "ratio":
            assert (published.get("minimum"), published.get("maximum")) == (item.minimum, item.maximum)
        assert tuple(published.get("enum", ())) == item.choices
        for model in () if item.universal else item.models:
            assert model in published["description"]
    assert schema["properties"]["model"]["default"] == catalog.DEFAULT_MODEL


async def test_each_tool_but_the_one_that_shows_publishes_the_shape_of_its_answers(client: Client) -> None:
    published = {name: tool.output_schema for name, tool in (await tools(client)).items()}

    assert [name for name, schema in published.items() if schema is None] == ["view_image"]
    assert '"null"' not in json.dumps(published)


async def test_no_tool_puts_an_image_beside_structured_content(client: Client) -> None:
    made = facts(await client.call_tool("generate_image", SMALL))
    given: dict[str, dict[str, Any]] = {
        "generate_image": SMALL,
        "get_generation": {"generation_id": made["generation_id"]},
        "confirm_generation": {"generation_id": made["generation_id"], "task_id": made["task_id"]},
        "view_image": {"generation_id": made["generation_id"]},
    }

    for name in await tools(client):
        result = await client.call_tool(name, given.get(name, {}))
        images = [content for content in result.content if isinstance(content, ImageContent)]
        assert not result.is_error
        assert (len(images), result.structured_content is None) == ((1, True) if name == "view_image" else (0, False))


async def test_the_instructions_name_the_calls_in_their_order(client: Client) -> None:
    assert client.instructions == INSTRUCTIONS
    places = [INSTRUCTIONS.index(name) for name in ("generate_image", "get_generation", "view_image")]
    assert places == sorted(places)
    assert len(INSTRUCTIONS) < 1500


async def test_no_key_is_in_any_answer(client: Client, sandbox: Sandbox, settings: Settings) -> None:
    key = settings.api_key
    assert key is not None
    said = f"the key {key.get_secret_value()} is wrong"
    sandbox.inject(Fault(where="submit", kind="refuse", status=400, body=json.dumps({"errors": [{"msg": said}]})))

    result = await client.call_tool("generate_image", SMALL)

    assert result.is_error
    assert "the key *** is wrong" in result.model_dump_json()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "example.com", "::", ""])
def test_http_is_for_this_machine_only(settings: Settings, host: str) -> None:
    with pytest.raises(InvalidSettings, match=r"127\.0\.0\.1"):
        serve(settings, http=True, host=host)


def test_a_server_is_made_without_loading_what_only_images_and_journals_need() -> None:
    program = (
        "import sys, mcp_server.server as s; s.build(lambda: None);"
        "print(sorted({'numpy', 'PIL', 'sqlalchemy', 'torch', 'comfy'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_the_module_takes_no_options_for_one_that_is_not_heard_may_be_the_sandbox(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mcp_server", "--sandbox"])
    monkeypatch.setattr("mcp_server.server.serve_stdio", lambda *_: pytest.fail("it was started"))
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("mcp_server", run_name="__main__")
    assert ended.value.code == 2
    assert "takes no options; `flux-nodes mcp` does" in capsys.readouterr().err
