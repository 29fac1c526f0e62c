from __future__ import annotations

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
