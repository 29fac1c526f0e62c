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
from tests.core.test_generations import accepted, field

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from flux_nodes.sandbox import Sandbox
    from tests.delay import Delay

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


async def posted(http: httpx2.AsyncClient, url: str, id_: str, task_id: str | None, **words: object) -> int:
    reply = await http.post(
        url,
        params={"generation": id_},
        headers={"x-webhook-secret": SECRET},
        json={"task_id": task_id, **words},
    )
    return reply.status_code


def asked(sandbox: Sandbox, *paths: str) -> int:
    return sum(request.path.startswith(paths) for request in sandbox.requests)


async def test_a_webhook_that_names_the_task_of_another_generation_is_refused(
    settings: Settings, sandbox: Sandbox
) -> None:
    async with Generations.open(settings, door="test") as quiet:
        other = await quiet.start(field(seed=2))
        sandbox.inject(Fault(where="submit", kind="lost-after"))
        with pytest.raises(SubmitUnconfirmed) as caught:
            await quiet.start(field(seed=1))
    lost = str(caught.value.generation_id)
    async with listening(settings) as (generations, url), httpx2.AsyncClient() as http:
        assert await posted(http, url, lost, other.task_id) == 409
        assert ((await generations.get(lost)).status, (await generations.get(lost)).task_id) == ("unconfirmed", None)
        assert await posted(http, url, lost, sandbox.tasks[1].task_id) == 204
        await until(generations, lost, "stored")


async def test_the_answer_to_a_submit_wins_over_a_webhook_that_came_before_it(
    settings: Settings, sandbox: Sandbox, delay: Delay
) -> None:
    async with Generations.open(settings, door="test") as quiet:
        sandbox.inject(Fault(where="submit", kind="slow", seconds=0))
        with delay.held():
            work = asyncio.create_task(quiet.start(field(seed=1)))
            await accepted(sandbox)
            (intent,) = await quiet.recent()
            async with listening(settings) as (_, url), httpx2.AsyncClient() as http:
                assert await posted(http, url, intent.id, "t-early") == 204
            assert (await quiet.get(intent.id)).task_id == "t-early"
        started = await asyncio.wait_for(work, 60)
        assert (started.status, started.task_id) == ("submitted", sandbox.tasks[0].task_id)
        assert (await quiet.wait(started.id)).status == "stored"


async def test_copies_of_a_webhook_cause_one_question_and_one_download(settings: Settings, sandbox: Sandbox) -> None:
    async with Generations.open(settings, door="test") as quiet:
        started = await quiet.start(field(seed=1))
    async with listening(settings) as (generations, url), httpx2.AsyncClient(timeout=60) as http:
        copies = (posted(http, url, started.id, started.task_id, status="finished") for _ in range(200))
        assert set(await asyncio.gather(*copies)) == {204}
        await until(generations, started.id, "stored")
    assert (asked(sandbox, "/fetch"), asked(sandbox, "/images")) == (1, 1)


async def test_a_wait_and_copies_of_a_webhook_share_their_questions_and_their_download(
    settings: Settings, sandbox: Sandbox, delay: Delay
) -> None:
    async with listening(settings) as (generations, url), httpx2.AsyncClient(timeout=60) as http:
        started = await generations.start(field(seed=1, webhook_url="http://127.0.0.1:9/mine"))
        sandbox.inject(Fault(where="image", kind="slow", seconds=0))
        with delay.held():
            waiting = asyncio.create_task(generations.wait(started.id))
            await until(generations, started.id, "finished")
            copies = (posted(http, url, started.id, started.task_id, status="finished") for _ in range(200))
            assert set(await asyncio.gather(*copies)) == {204}
        assert (await asyncio.wait_for(waiting, 60)).status == "stored"
    assert (asked(sandbox, "/fetch"), asked(sandbox, "/images")) == (1, 1)


async def test_a_webhook_brings_home_what_a_wait_gave_up(settings: Settings, sandbox: Sandbox, delay: Delay) -> None:
    async with listening(settings) as (generations, url), httpx2.AsyncClient() as http:
        started = await generations.start(field(seed=1, webhook_url="http://127.0.0.1:9/mine"))
        sandbox.inject(Fault(where="image", kind="slow", seconds=0))
        with delay.held():
            waiting = asyncio.create_task(generations.wait(started.id))
            await until(generations, started.id, "finished")
            assert await posted(http, url, started.id, started.task_id) == 204
            waiting.cancel()
            await asyncio.wait([waiting])
        await until(generations, started.id, "stored")


async def test_other_words_that_come_meanwhile_are_followed_up(settings: Settings, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="fetch", kind="refuse", status=503, times=1))
    plain = settings.model_copy(update={"read_seconds": 5})
    async with Generations.open(plain, door="test") as quiet:
        started = await quiet.start(field(seed=1))
    async with listening(settings) as (generations, url), httpx2.AsyncClient() as http:
        words = ("processing", "finished")
        told = (posted(http, url, started.id, started.task_id, status=word) for word in words)
        assert set(await asyncio.gather(*told)) == {204}
        await until(generations, started.id, "stored")
    assert asked(sandbox, "/images") == 1


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


@pytest.mark.parametrize(
    "secret", [f" {SECRET}", f"{SECRET} ", f"{SECRET}\n", f"{SECRET}\r\nX: 1", f"{SECRET}é", f"{SECRET}\x7f", "short"]
)
def test_a_secret_that_no_header_can_carry_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(InvalidSettings, match="FLUX_NODES_WEBHOOK_SECRET") as caught:
        Settings.load({"FLUX_NODES_WEBHOOK_URL": "https://h/x", "FLUX_NODES_WEBHOOK_SECRET": secret})
    assert SECRET not in str(caught.value)
