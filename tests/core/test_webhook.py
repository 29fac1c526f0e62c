from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import uvicorn
from pydantic import SecretStr

from flux_nodes.core import Generations, Settings
from flux_nodes.core.errors import InvalidSettings, SubmitUnconfirmed
from flux_nodes.core.webhook import WebhookReceiver, address_for
from flux_nodes.sandbox import Fault
from tests.core.test_generations import field

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from flux_nodes.sandbox import Sandbox

SECRET = "a-secret-of-some-length"


@asynccontextmanager
async def listening(settings: Settings) -> AsyncIterator[tuple[Generations, str]]:
    """A receiver on a free port, and the generations whose webhooks arrive there."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
    hooked = settings.model_copy(update={"webhook_url": url, "webhook_secret": SecretStr(SECRET)})
    async with Generations.open(hooked, door="test") as generations:
        receiver = WebhookReceiver(generations, secret=SecretStr(SECRET))
        config = uvicorn.Config(receiver, lifespan="off", log_level="error", ws="none")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield generations, url
        finally:
            server.should_exit = True
            await serving
            await receiver.aclose()


async def until(generations: Generations, id_: str, status: str) -> None:
    """Look into the journal until a webhook has brought a generation this far."""

    async def look() -> None:
        while (await generations.get(id_)).status != status:  # noqa: ASYNC110 - a journal has no event to wait for
            await asyncio.sleep(0.01)

    await asyncio.wait_for(look(), 60)


async def test_a_webhook_brings_the_image_home_though_nobody_polls(settings: Settings) -> None:
    async with listening(settings) as (generations, _):
        started = await generations.start(field(seed=1))
        await until(generations, started.id, "stored")


async def test_a_webhook_settles_a_generation_whose_answer_was_lost(settings: Settings, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="lost-after"))
    async with listening(settings) as (generations, _):
        with pytest.raises(SubmitUnconfirmed) as caught:
            await generations.start(field(seed=1))
        assert caught.value.generation_id is not None
        await until(generations, caught.value.generation_id, "stored")
    assert sandbox.charges == 1


async def test_webhooks_that_come_twice_or_forged_do_no_harm(settings: Settings, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="webhook", kind="twice", times=None))
    sandbox.inject(Fault(where="webhook", kind="forged", times=1))
    async with listening(settings) as (generations, _):
        stored = await generations.wait((await generations.start(field(seed=1))).id)
    assert stored.status == "stored"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"headers": {"x-webhook-secret": "wrong"}}, 401),
        ({"headers": {}}, 401),
        ({"params": {"generation": "g-nobody"}}, 404),
        ({"params": {}}, 400),
        ({"content": b"{"}, 400),
        ({"content": b'{"task_id": 7}'}, 409),
        ({"content": b'{"task_id": true}'}, 400),
        ({"content": b'{"task_id": " "}'}, 400),
        ({"content": rb'{"task_id": "bad \ud83d"}'}, 400),
        ({"content": rb'{"task_id": "bad\u0000"}'}, 400),
        ({"content": b'{"task_id": "' + b"x" * 256 + b'"}'}, 400),
        ({"content": b"[]"}, 400),
        ({"content": b'{"task_id": "another"}'}, 409),
        ({"content": b" " * 70_000}, 413),
        ({"method": "GET"}, 405),
    ],
    ids=str,
)
async def test_what_is_no_webhook_of_ours_is_refused_and_changes_nothing(
    settings: Settings, change: dict[str, Any], status: int
) -> None:
    plain = settings.model_copy(update={"webhook_url": None})
    async with Generations.open(plain, door="test") as quiet:
        started = await quiet.start(field(seed=1))
    async with listening(settings) as (generations, url), httpx2.AsyncClient() as http:
        call: dict[str, Any] = {
            "method": "POST",
            "params": {"generation": started.id},
            "headers": {"x-webhook-secret": SECRET},
            "content": f'{{"task_id": "{started.task_id}"}}',
            **change,
        }
        reply = await http.request(url=url, **call)
        assert reply.status_code == status
        assert (await generations.get(started.id)).status == "submitted"


async def test_a_requests_own_webhook_is_left_alone_and_no_secret_is_kept(settings: Settings, sandbox: Sandbox) -> None:
    async with listening(settings) as (generations, _):
        await generations.start(field(webhook_url="http://127.0.0.1:9/mine"))
    assert sandbox.requests[0].json["webhook_url"] == "http://127.0.0.1:9/mine"
    written = b"".join(file.read_bytes() for file in settings.home.rglob("journal*"))
    assert SECRET.encode() not in written


def test_the_address_keeps_its_own_query() -> None:
    assert address_for("https://h/x?a=1", "g-1") == "https://h/x?a=1&generation=g-1"


def test_an_address_without_a_secret_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="together"):
        Settings.load({"FLUX_NODES_WEBHOOK_URL": "https://h/x"})
