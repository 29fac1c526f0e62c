from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import anyio
import pytest
from mcp.types import ImageContent
from PIL import Image

from flux_nodes.core import catalog
from flux_nodes.sandbox import Fault
from mcp_server.looking import MOST_BYTES
from tests.mcp_server.answers import facts, refusal
from tests.odd_images import HEIC, sending

if TYPE_CHECKING:
    from mcp import Client

    from flux_nodes.core import Generations, Settings
    from flux_nodes.sandbox import Sandbox

SMALL = {"prompt": "a sunflower field", "width": 256, "height": 256}


async def test_an_image_is_shown_as_pixels_alone_and_small_enough_for_every_client(client: Client) -> None:
    made = facts(await client.call_tool("generate_image", {"prompt": "a starry night", "width": 1280, "height": 320}))

    shown = await client.call_tool("view_image", {"generation_id": made["generation_id"]})

    (content,) = shown.content
    assert isinstance(content, ImageContent)
    assert shown.structured_content is None
    data = base64.b64decode(content.data)
    picture = Image.open(io.BytesIO(data))
    assert (picture.format, content.mime_type) == ("JPEG", "image/jpeg")
    assert picture.size == (1024, 256)
    assert len(data) <= MOST_BYTES


async def test_the_size_of_what_is_shown_can_be_chosen(client: Client) -> None:
    made = facts(await client.call_tool("generate_image", SMALL))

    shown = await client.call_tool("view_image", {"generation_id": made["generation_id"], "max_size": 128})

    (content,) = shown.content
    assert isinstance(content, ImageContent)
    assert Image.open(io.BytesIO(base64.b64decode(content.data))).size == (128, 128)


async def test_an_image_that_is_not_stored_yet_is_an_error_that_names_the_next_call(slow_client: Client) -> None:
    made = facts(await slow_client.call_tool("generate_image", {**SMALL, "wait_seconds": 0}))

    words = refusal(
        await slow_client.call_tool("view_image", {"generation_id": made["generation_id"]}), "still_running"
    )

    assert "get_generation" in words
    assert made["generation_id"] in words


@pytest.mark.parametrize("max_size", [63, 1569, "big"])
async def test_a_size_out_of_range_is_refused(client: Client, max_size: object) -> None:
    given = {"generation_id": "g-any", "max_size": max_size}

    assert "max_size" in refusal(await client.call_tool("view_image", given), "invalid_request")


async def test_the_newest_generations_come_first_in_short(client: Client) -> None:
    for prompt in ("first", "second", "x" * 500):
        facts(await client.call_tool("generate_image", {**SMALL, "prompt": prompt}))

    listed = facts(await client.call_tool("list_generations", {"most": 2}))["generations"]

    assert [one["prompt"][:6] for one in listed] == ["xxxxxx", "second"]
    assert len(listed[0]["prompt"]) < 300
    assert {one["door"] for one in listed} == {"assistant"}
    assert {one["status"] for one in listed} == {"stored"}


async def test_a_status_that_does_not_exist_is_refused_with_those_that_do(client: Client) -> None:
    words = refusal(await client.call_tool("list_generations", {"status": "lost"}), "invalid_request")

    assert "stored" in words


async def test_the_models_are_the_catalogs(client: Client) -> None:
    told = facts(await client.call_tool("list_models"))

    assert told["default_model"] == catalog.DEFAULT_MODEL
    assert [model["name"] for model in told["models"]] == list(catalog.MODEL_NAMES)
    for model in told["models"]:
        taken = [item.name for item in catalog.PARAMETERS if item.group == "picture" and item.taken_by(model["name"])]
        assert model["arguments"] == taken


async def test_the_account_tells_credits_and_nothing_of_its_owner(
    client: Client, generations: Generations, settings: Settings
) -> None:
    account = await generations.account()

    result = await client.call_tool("get_account")

    assert facts(result)["credits"] == account.credits
    assert account.email
    assert account.email not in result.model_dump_json()
    assert settings.base_url not in result.model_dump_json()


async def test_looking_costs_nothing(client: Client, sandbox: Sandbox) -> None:
    for name in ("list_models", "list_generations", "get_account"):
        facts(await client.call_tool(name))

    assert sandbox.charges == 0


async def test_an_image_that_cannot_be_opened_here_is_told_with_its_original(client: Client, sandbox: Sandbox) -> None:
    with sending(HEIC) as (url, _):
        sandbox.inject(Fault(where="image", kind="redirect", location=url, times=None))
        made = facts(await client.call_tool("generate_image", {"prompt": "a field", "width": 256, "height": 256}))

    assert (made["status"], "file" in made, "width" in made) == ("stored", False, False)
    assert made["original"].endswith(".heic")
    assert await anyio.Path(made["original"]).read_bytes() == HEIC
    assert made["original"] in made["message"]
    words = refusal(await client.call_tool("view_image", {"generation_id": made["generation_id"]}), "unreadable_image")
    assert made["original"] in words
    prompted = {"prompt": "b", "image_prompt": made["generation_id"]}
    assert "no usable image" in refusal(await client.call_tool("generate_image", prompted), "invalid_request")
    (entry,) = facts(await client.call_tool("list_generations", {}))["generations"]
    assert made["original"] in entry["message"]
