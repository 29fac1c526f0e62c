from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from flux_nodes.core import Settings, catalog
from flux_nodes.core.images import inspect
from flux_nodes.sandbox import Fault, Sandbox
from mcp_server.server import build
from tests.mcp_server.answers import facts, refusal, text

if TYPE_CHECKING:
    from flux_nodes.core.catalog import Parameter
    from tests.delay import Delay
    from tests.mcp_server.clock import Clock

SMALL = {"prompt": "a sunflower field", "width": 256, "height": 256}
PICTURE = [item for item in catalog.PARAMETERS if item.group == "picture" and item.kind != "image"]


async def test_a_generated_image_lies_on_the_disk_as_the_facts_tell(client: Client, sandbox: Sandbox) -> None:
    told = facts(
        await client.call_tool(
            "generate_image", {"prompt": "a sunflower field", "width": 512, "height": 256, "seed": 7}
        )
    )

    data = contents(told["file"])
    shown = inspect(data)
    assert told["status"] == "stored"
    assert (shown.width, shown.height) == (told["width"], told["height"]) == (512, 256)
    assert hashlib.sha256(contents(told["original"])).hexdigest() == told["sha256"]
    assert (told["model"], told["prompt"], told["seed"]) == (catalog.DEFAULT_MODEL, "a sunflower field", 7)
    assert told["generation_id"] in told["next"]
    assert [task.task_id for task in sandbox.tasks] == [told["task_id"]]


def contents(file: str) -> bytes:
    return Path(file).read_bytes()


async def sent(service: Sandbox) -> None:
    """Wait until the service has accepted something; what it accepts later than `clock` is moved on never ends."""
    with anyio.fail_after(60):
        while not service.tasks:
            await anyio.lowlevel.checkpoint()


async def test_text_and_structured_content_say_the_same(client: Client) -> None:
    result = await client.call_tool("generate_image", SMALL)

    assert json.loads(text(result)) == result.structured_content


@pytest.mark.parametrize("model", catalog.MODEL_NAMES)
async def test_every_argument_reaches_the_wire(client: Client, sandbox: Sandbox, model: str) -> None:
    arguments = {item.name: example(item, model) for item in PICTURE if item.taken_by(model)}

    facts(await client.call_tool("generate_image", arguments))

    (sent,) = [request.json for request in sandbox.requests if request.path == "/flux-imagine"]
    assert sent == arguments


def example(item: Parameter, model: str) -> Any:
    if item.name == "model":
        return model
    kinds: dict[str, Any] = {"text": "a sunflower field", "integer": 3, "number": 0.5, "boolean": True, "ratio": "4:3"}
    return 256 if item.name in {"width", "height"} else kinds[item.kind]


async def test_numbers_and_truth_values_that_come_as_text_are_read(client: Client, sandbox: Sandbox) -> None:
    given = {"prompt": "a", "width": "256", "height": 256.0, "prompt_upsampling": "true", "wait_seconds": "10"}

    facts(await client.call_tool("generate_image", given))

    (sent,) = [request.json for request in sandbox.requests if request.path == "/flux-imagine"]
    assert (sent["width"], sent["height"], sent["prompt_upsampling"]) == (256, 256, True)


@pytest.mark.parametrize("prompt", ["null", "[1, 2]", '{"a": 1}', "12"])
async def test_a_prompt_that_looks_like_json_stays_a_prompt(client: Client, prompt: str) -> None:
    assert facts(await client.call_tool("generate_image", {**SMALL, "prompt": prompt}))["prompt"] == prompt


async def test_an_argument_that_is_null_counts_as_left_out(client: Client, sandbox: Sandbox) -> None:
    told = facts(await client.call_tool("generate_image", {**SMALL, "model": None, "seed": None, "wait_seconds": None}))

    (sent,) = [request.json for request in sandbox.requests if request.path == "/flux-imagine"]
    assert sent == {"model": catalog.DEFAULT_MODEL, **SMALL, "seed": told["seed"]}


async def test_wrong_arguments_cost_nothing_and_all_faults_are_named(client: Client, sandbox: Sandbox) -> None:
    given = {"width": 5, "raw": True, "interval": 9, "wait_seconds": 51, "size": "big", "image_prompt": "/no/such.png"}

    words = refusal(await client.call_tool("generate_image", given), "invalid_request")

    for name in ("prompt", "width", "raw", "interval", "wait_seconds", "size", "image_prompt"):
        assert f"- {name}: " in words
    assert sandbox.requests == []
    assert sandbox.charges == 0


async def test_what_is_a_programmers_to_give_is_no_argument(client: Client, sandbox: Sandbox) -> None:
    given = {"prompt": "a", "webhook_url": "https://example.com/", "webhook_secret": "tell nobody"}

    words = refusal(await client.call_tool("generate_image", given), "invalid_request")

    assert "webhook_url" in words
    assert "tell nobody" not in words
    assert sandbox.requests == []


async def test_progress_rises_and_its_first_word_is_the_id(slow_client: Client, clock: Clock) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    clock.tick = 0.5
    told = facts(await slow_client.call_tool("generate_image", SMALL, progress_callback=hear))

    positions = [progress for progress, _, _ in heard]
    assert all(message and message.startswith(told["generation_id"]) for _, _, message in heard)
    assert positions == sorted(set(positions))
    assert len({message for _, _, message in heard}) == len(heard)
    assert {total for _, total, _ in heard} == {100}
    assert positions[-1] == 100
    assert len(heard) > 3


async def test_a_bounded_wait_hands_back_the_id_and_a_later_call_collects(
    slow_client: Client, slow: Sandbox, clock: Clock
) -> None:
    early = facts(await slow_client.call_tool("generate_image", {**SMALL, "wait_seconds": 0}))
    again = facts(await slow_client.call_tool("get_generation", {"generation_id": early["generation_id"]}))
    clock.advance(60)
    late = facts(
        await slow_client.call_tool("get_generation", {"generation_id": early["generation_id"], "wait_seconds": 50})
    )

    assert early["status"] in {"submitted", "running"}
    assert "file" not in early
    assert "get_generation" in early["next"]
    assert again["status"] in {"submitted", "running"}
    assert late["status"] == "stored"
    assert contents(late["file"])
    assert slow.charges == 1


async def test_a_call_that_is_cancelled_loses_nothing(slow_client: Client, slow: Sandbox, clock: Clock) -> None:
    heard: list[str] = []

    with anyio.CancelScope() as call:

        async def give_up(progress: float, total: float | None, message: str | None) -> None:
            assert (progress, total) == (0, 100)
            heard.append(message or "")
            call.cancel()

        await slow_client.call_tool("generate_image", {**SMALL, "wait_seconds": 50}, progress_callback=give_up)
    await sent(slow)
    clock.advance(60)
    id_ = heard[0].partition(":")[0]
    late = facts(await slow_client.call_tool("get_generation", {"generation_id": id_, "wait_seconds": 50}))

    assert call.cancelled_caught
    assert late["status"] == "stored"
    assert slow.charges == 1


async def test_the_server_collects_the_image_of_a_call_that_timed_out(
    slow_client: Client, slow: Sandbox, clock: Clock
) -> None:
    facts(await slow_client.call_tool("list_generations", {}))  # the journal is open
    with pytest.raises(MCPError):
        await slow_client.call_tool("generate_image", {**SMALL, "wait_seconds": 50}, read_timeout_seconds=2)
    await sent(slow)
    clock.advance(60)

    # Nobody asks for it: the image comes by itself.
    listed: list[dict[str, Any]] = []
    with anyio.fail_after(60):
        while not listed:
            listed = facts(await slow_client.call_tool("list_generations", {"status": "stored"}))["generations"]
    assert contents(listed[0]["file"])


async def test_a_submit_without_an_answer_yet_has_an_id_and_is_collected_later(
    slow_settings: Settings, mode: str, slow: Sandbox, clock: Clock, delay: Delay
) -> None:
    slow.inject(Fault(where="submit", kind="slow", seconds=0))

    async with Client(build(lambda: slow_settings, patience=0.3), mode=mode) as hasty:
        with delay.held():
            early = facts(await hasty.call_tool("generate_image", {**SMALL, "wait_seconds": 0}))
            await sent(slow)
        clock.advance(60)
        late = facts(
            await hasty.call_tool("get_generation", {"generation_id": early["generation_id"], "wait_seconds": 50})
        )

    assert early["status"] == "intent"
    assert "get_generation" in early["next"]
    assert late["status"] == "stored"
    assert slow.charges == 1


async def test_a_wait_longer_than_the_servers_own_patience_hands_back_the_id(
    slow_settings: Settings, mode: str
) -> None:
    hasty = slow_settings.model_copy(update={"timeout": 0.2})

    async with Client(build(lambda: hasty), mode=mode) as client:
        told = facts(await client.call_tool("generate_image", {**SMALL, "wait_seconds": 50}))

    assert told["status"] in {"submitted", "running"}


async def test_the_same_picture_is_paid_once_and_said_to_be_reused(client: Client, sandbox: Sandbox) -> None:
    first = facts(await client.call_tool("generate_image", {**SMALL, "seed": 7}))
    again = facts(await client.call_tool("generate_image", {**SMALL, "seed": 7}))
    looked = facts(await client.call_tool("get_generation", {"generation_id": first["generation_id"]}))

    assert (again["generation_id"], again["file"]) == (first["generation_id"], first["file"])
    assert [told["reused"] for told in (first, again, looked)] == [False, True, False]
    assert "cost nothing" in again["message"]
    assert first["credits"] == sandbox.charges == 1


@pytest.mark.parametrize("fresh", [True, "true"])
async def test_a_picture_can_be_paid_for_again(client: Client, sandbox: Sandbox, fresh: object) -> None:
    first = facts(await client.call_tool("generate_image", {**SMALL, "seed": 7}))
    again = facts(await client.call_tool("generate_image", {**SMALL, "seed": 7, "fresh": fresh}))

    assert again["generation_id"] != first["generation_id"]
    assert not again["reused"]
    assert sandbox.charges == 2
    assert not any("fresh" in request.json for request in sandbox.requests if request.path == "/flux-imagine")


async def test_the_id_is_told_while_the_request_has_no_answer_yet(slow_client: Client, slow: Sandbox) -> None:
    slow.inject(Fault(where="submit", kind="slow", seconds=0.6))
    heard: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        heard.append(message or "")

    told = facts(await slow_client.call_tool("generate_image", {**SMALL, "wait_seconds": 0}, progress_callback=hear))

    assert heard[0].startswith(f"{told['generation_id']}: The request is being sent")


async def test_two_generations_at_once_are_two_generations(client: Client, sandbox: Sandbox) -> None:
    told: list[dict[str, Any]] = []

    async def generate() -> None:
        told.append(facts(await client.call_tool("generate_image", SMALL)))

    async with anyio.create_task_group() as calls:
        calls.start_soon(generate)
        calls.start_soon(generate)

    assert len({one["generation_id"] for one in told}) == 2
    assert sandbox.charges == 2


async def test_the_next_step_says_what_the_same_call_with_its_seed_would_cost(
    slow_client: Client, slow: Sandbox
) -> None:
    given = {**SMALL, "seed": 7, "wait_seconds": 0}
    first = facts(await slow_client.call_tool("generate_image", given))
    again = facts(await slow_client.call_tool("generate_image", given))
    assert first["generation_id"] == again["generation_id"]
    assert "this call cost nothing" in again["message"]
    for told in (first, again):
        assert "unless it names seed 7 and everything else is the same: then it gives this one, free" in told["next"]
    assert slow.charges == 1
