from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client

from flux_nodes.core import Generations, ImagineRequest
from flux_nodes.sandbox import Fault
from mcp_server.carriage import LAST_WORDS
from mcp_server.server import build
from tests.mcp_server.answers import facts, refusal

if TYPE_CHECKING:
    from flux_nodes.core import Settings
    from flux_nodes.sandbox import Sandbox
    from tests.mcp_server.clock import Clock

SMALL: dict[str, Any] = {"prompt": "a sunflower field", "width": 256, "height": 256}


@pytest.mark.parametrize("wait_seconds", [0, 50])
@pytest.mark.parametrize("by", ["id", "task_id"])
async def test_what_another_door_started_is_collected_by_either_id(
    client: Client, generations: Generations, by: str, wait_seconds: int
) -> None:
    started = await generations.start(ImagineRequest(model="flux-schnell", **SMALL))

    told = facts(
        await client.call_tool("get_generation", {"generation_id": getattr(started, by), "wait_seconds": wait_seconds})
    )

    assert told["status"] == "stored"
    assert told["generation_id"] == started.id


async def test_what_a_server_left_unfinished_the_next_one_carries_on(
    slow_settings: Settings, slow: Sandbox, clock: Clock, mode: str
) -> None:
    async with Client(build(lambda: slow_settings), mode=mode) as first:
        early = facts(await first.call_tool("generate_image", {**SMALL, "wait_seconds": 0}))

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        assert message
        assert (progress, total) <= (100, 100)
        clock.advance(60)

    async with Client(build(lambda: slow_settings), mode=mode) as second:
        wanted = {"generation_id": early["generation_id"], "wait_seconds": 50}
        late = facts(await second.call_tool("get_generation", wanted, progress_callback=hear))

    assert early["status"] != "stored"
    assert late["status"] == "stored"
    assert slow.charges == 1


async def test_a_server_ends_at_once_while_it_carries_something(slow_settings: Settings, mode: str) -> None:
    client = Client(build(lambda: slow_settings), mode=mode)
    async with client:
        facts(await client.call_tool("generate_image", {**SMALL, "wait_seconds": 0}))
        left = anyio.current_time()

    assert anyio.current_time() - left < LAST_WORDS


async def test_many_calls_for_one_generation_cost_few_requests(
    slow_client: Client, slow: Sandbox, clock: Clock
) -> None:
    early = facts(await slow_client.call_tool("generate_image", {**SMALL, "wait_seconds": 0}))
    wanted = {"generation_id": early["generation_id"], "wait_seconds": 50}
    late: list[str] = []

    async def collect() -> None:
        late.append(facts(await slow_client.call_tool("get_generation", wanted))["status"])

    async with anyio.create_task_group() as calls:
        for _ in range(5):
            calls.start_soon(collect)
        clock.advance(60)

    assert late == ["stored"] * 5
    assert len([request for request in slow.requests if request.path.startswith("/images/")]) == 1


async def test_an_unknown_id_is_told_with_the_tool_that_lists_the_known(client: Client) -> None:
    words = refusal(await client.call_tool("get_generation", {"generation_id": "g-none"}), "unknown_generation")

    assert "list_generations" in words


async def test_all_faults_of_its_arguments_are_named(client: Client) -> None:
    words = refusal(await client.call_tool("get_generation", {"wait_seconds": 51, "id": "g-none"}), "invalid_request")

    for name in ("generation_id", "wait_seconds", "id"):
        assert f"- {name}: " in words
    assert "pydantic" not in words


async def test_a_refusal_while_nobody_waits_loses_nothing(
    slow_client: Client, slow: Sandbox, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    early = facts(await slow_client.call_tool("generate_image", {**SMALL, "wait_seconds": 0}))
    slow.inject(Fault(where="fetch", kind="refuse", status=400))
    with anyio.fail_after(60):
        while early["generation_id"] not in caplog.text:
            facts(await slow_client.call_tool("list_generations", {}))
    clock.advance(60)

    late = facts(
        await slow_client.call_tool("get_generation", {"generation_id": early["generation_id"], "wait_seconds": 50})
    )

    assert late["status"] == "stored"


async def test_a_task_id_that_the_user_found_brings_home_what_was_lost(client: Client, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="lost-after"))
    words = refusal(await client.call_tool("generate_image", {**SMALL, "seed": 1}), "submit_unconfirmed")
    assert "confirm_generation" in words
    (lost,) = facts(await client.call_tool("list_generations"))["generations"]
    wanted = {"generation_id": lost["generation_id"], "task_id": sandbox.tasks[0].task_id}
    unknown = {**wanted, "task_id": "00000000-0000-4000-8000-000000000000"}
    refusal(await client.call_tool("confirm_generation", unknown), "not_confirmed")
    for _ in range(2):
        told = facts(await client.call_tool("confirm_generation", wanted))
        assert (told["status"], told["task_id"]) == ("stored", wanted["task_id"])
    assert sandbox.charges == 1


@pytest.mark.parametrize("tool", ["get_generation", "view_image"])
async def test_an_image_that_was_damaged_on_the_disk_is_collected_again(
    client: Client, sandbox: Sandbox, tool: str
) -> None:
    made = facts(await client.call_tool("generate_image", {**SMALL, "seed": 1}))
    original, copy = Path(made["original"]), Path(made["file"])
    whole = await asyncio.gather(*(asyncio.to_thread(file.read_bytes) for file in (original, copy)))
    for file, data in zip((original, copy), whole, strict=True):
        await asyncio.to_thread(file.write_bytes, data[:100] + bytes(30) + data[130:])

    answer = await client.call_tool(tool, {"generation_id": made["generation_id"]})

    assert not answer.is_error
    assert await asyncio.to_thread(original.read_bytes) == whole[0]
    assert tool != "get_generation" or await asyncio.to_thread(copy.read_bytes) == whole[1]
    assert sandbox.charges == 1
