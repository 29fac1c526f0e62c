from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mcp import Client

from flux_nodes.core import Settings
from flux_nodes.sandbox import Fault
from mcp_server.server import build
from tests.mcp_server.answers import facts, refusal

if TYPE_CHECKING:
    from flux_nodes.sandbox import Sandbox

SMALL = {"prompt": "a sunflower field", "width": 256, "height": 256}


async def test_a_failed_generation_is_an_error_in_the_words_of_the_service(client: Client, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="fail", message="Request Moderated"))

    words = refusal(await client.call_tool("generate_image", SMALL), "generation_failed")
    (listed,) = facts(await client.call_tool("list_generations", {"status": "failed"}))["generations"]
    later = refusal(
        await client.call_tool("get_generation", {"generation_id": listed["generation_id"]}), "generation_failed"
    )

    assert "Request Moderated" in words
    assert listed["generation_id"] in words
    assert "Request Moderated" in later


async def test_a_lost_answer_is_not_sent_again_and_says_that_it_may_have_cost(client: Client, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="lost-after"))

    words = refusal(await client.call_tool("generate_image", SMALL), "submit_unconfirmed")
    (listed,) = facts(await client.call_tool("list_generations", {}))["generations"]

    assert "generate_image" in words
    assert "fresh" in words
    assert f"flux-nodes status {listed['generation_id']}" in words
    assert sandbox.charges == 1


async def test_an_image_that_cannot_be_had_yet_is_fetched_later(client: Client, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="image", kind="refuse", status=403))

    words = refusal(await client.call_tool("generate_image", SMALL), "image_unavailable")
    (listed,) = facts(await client.call_tool("list_generations", {}))["generations"]
    late = facts(await client.call_tool("get_generation", {"generation_id": listed["generation_id"]}))

    assert listed["generation_id"] in words
    assert late["status"] == "stored"
    assert sandbox.charges == 1


async def test_a_refusal_of_the_service_is_told_in_its_words(client: Client, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="credits"))

    words = refusal(await client.call_tool("generate_image", SMALL), "service_refused")

    assert "credit" in words.lower()
    assert sandbox.charges == 0


async def test_a_budget_that_is_reached_is_told_with_its_sum(settings: Settings, sandbox: Sandbox, mode: str) -> None:
    limited = settings.model_copy(update={"budget": 1.0})

    async with Client(build(lambda: limited), mode=mode) as client:
        facts(await client.call_tool("generate_image", SMALL))
        words = refusal(await client.call_tool("generate_image", SMALL), "budget_reached")
        (spent,) = facts(await client.call_tool("list_generations", {}))["spending"]

    assert "the budget is 1 credit a day" in words
    assert "FLUX_NODES_BUDGET" in words
    assert (spent["door"], spent["generations"], spent["credits"]) == ("assistant", 1, 1.0)
    assert sandbox.charges == 1


async def test_a_wrong_key_is_told_as_such(settings: Settings, mode: str) -> None:
    wrong = Settings.model_validate({**settings.model_dump(), "api_key": "wrong"})

    async with Client(build(lambda: wrong), mode=mode) as client:
        words = refusal(await client.call_tool("generate_image", SMALL), "key_refused")

    assert "flux-nodes login" in words


async def test_without_a_key_the_tool_says_how_to_set_one_and_takes_one_set_later(
    settings: Settings, sandbox: Sandbox, mode: str
) -> None:
    keys: list[str] = []

    def source() -> Settings:
        return Settings.model_validate({**settings.model_dump(), "api_key": keys[0] if keys else None})

    async with Client(build(source), mode=mode) as client:
        tools = (await client.list_tools()).tools
        words = refusal(await client.call_tool("generate_image", SMALL), "missing_key")
        assert sandbox.requests == []
        keys.append("sandbox")
        told = facts(await client.call_tool("generate_image", SMALL))

    assert tools
    assert "APIFRAME_API_KEY" in words
    assert "flux-nodes login" in words
    assert told["status"] == "stored"


@pytest.mark.parametrize("value", ["http://:canary@127.0.0.1:abc", "http://canary@127.0.0.1:9"])
async def test_a_wrong_proxy_is_told_by_the_tool_that_needs_it_and_by_no_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, mode: str, value: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    far = settings.model_copy(update={"base_url": "https://api.example.com"})
    async with Client(build(lambda: far), mode=mode) as client:
        facts(await client.call_tool("list_generations", {}))
        told = await client.call_tool("generate_image", SMALL)
    words = refusal(told, "invalid_settings" if "abc" in value else "proxy_unreachable")
    assert "HTTPS_PROXY" in words
    assert "Nothing was sent" in words
    assert "canary" not in words


async def test_settings_that_cannot_be_used_are_told_by_the_tool_until_they_are_mended(
    settings: Settings, url: str, mode: str
) -> None:
    environment = {
        "FLUX_NODES_HOME": str(settings.home),
        "APIFRAME_API_KEY": "sandbox",
        "APIFRAME_BASE_URL": "ftp://example.com",
    }

    async with Client(build(lambda: Settings.load(environment)), mode=mode) as client:
        words = refusal(await client.call_tool("get_account", {}), "invalid_settings")
        environment["APIFRAME_BASE_URL"] = url
        facts(await client.call_tool("get_account", {}))

    assert "APIFRAME_BASE_URL" in words


async def test_a_failed_generation_says_that_it_may_have_cost_its_credits(client: Client, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="fail"))
    words = refusal(await client.call_tool("generate_image", SMALL), "generation_failed")
    (listed,) = facts(await client.call_tool("list_generations", {}))["generations"]
    assert "This may have cost 1 credit" in words
    assert "This may have cost 1 credit" in listed["message"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(where="submit", kind="credits"), "service_refused"),
        (Fault(where="submit", kind="refuse", status=400), "service_refused"),
        (Fault(where="submit", kind="refuse", status=401), "key_refused"),
        (Fault(where="submit", kind="errors"), "service_refused"),
    ],
    ids=["credits", "400", "401", "errors"],
)
async def test_a_refusal_says_once_that_nothing_was_paid(
    client: Client, sandbox: Sandbox, fault: Fault, code: str
) -> None:
    sandbox.inject(fault)
    words = refusal(await client.call_tool("generate_image", SMALL), code)
    (listed,) = facts(await client.call_tool("list_generations", {}))["generations"]
    assert words.count("Nothing was paid") == 1
    assert listed["message"].lower().count("nothing was paid") == 1


@pytest.mark.parametrize("pretended", [True, False])
async def test_on_the_sandbox_the_commands_for_a_terminal_want_its_flag(
    settings: Settings, sandbox: Sandbox, mode: str, pretended: bool
) -> None:
    used = settings.pretended(settings.base_url) if pretended else settings
    sandbox.inject(Fault(where="submit", kind="lost-after"))
    async with Client(build(lambda: used), mode=mode) as client:
        words = refusal(await client.call_tool("generate_image", SMALL), "submit_unconfirmed")
    assert ("add --sandbox to those commands" in words) == pretended
