from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from flux_nodes.sandbox import Fault, Sandbox, parse_fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx2

    from tests.sandbox.conftest import Order, Talk


class Listener:
    """A real HTTP server that keeps what is posted to it; `refusals` are the statuses of its first replies."""

    def __init__(self, refusals: list[int]) -> None:
        self.refusals = refusals
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.url = ""
        self._news = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")[1:-2]
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                self.posts.append((headers, await reader.readexactly(int(headers["content-length"]))))
                status = self.refusals.pop(0) if self.refusals else 204
                writer.write(f"HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n".encode())
                self._news.set()
        except asyncio.IncompleteReadError:
            writer.close()

    async def wait_for(self, count: int) -> None:
        with anyio.fail_after(60):
            while len(self.posts) < count:
                self._news.clear()
                await self._news.wait()

    @property
    def tasks(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.posts]


@asynccontextmanager
async def listening(refusals: list[int] | None = None) -> AsyncIterator[Listener]:
    listener = Listener(refusals or [])
    server = await asyncio.start_server(listener.answer, "127.0.0.1", 0)
    listener.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield listener
    finally:
        server.close()


async def undelivered(client: httpx2.AsyncClient) -> int:
    return int((await client.get("/sandbox/state")).json()["webhooks"]["undelivered"])


async def no_time(_: float) -> None:
    return None


async def test_a_burst_of_webhooks_is_counted(talk: Talk, order: Order) -> None:
    async with listening() as listener, talk(Sandbox(seconds=0)) as client:
        for seed in range(5):
            await client.post("/flux-imagine", json=order(webhook_url=listener.url, seed=seed))
        await listener.wait_for(5)
        assert len({task["task_id"] for task in listener.tasks}) == 5
        with anyio.fail_after(60):
            while (await client.get("/sandbox/state")).json()["webhooks"]["delivered"] < 5:
                pass


async def test_every_change_of_status_is_posted_with_the_secret(talk: Talk, order: Order) -> None:
    async with listening() as listener, talk(Sandbox(sleep=no_time)) as client:
        body = order(webhook_url=listener.url, webhook_secret="my secret")
        task = (await client.post("/flux-imagine", json=body)).json()
        await listener.wait_for(6)
        posts = listener.tasks
        image = await client.get(posts[-1]["image_url"])
    statuses = [post["status"] for post in posts]
    assert statuses == ["staged", "pending", "starting", "processing", "processing", "finished"]
    assert {post["task_id"] for post in posts} == {task["task_id"]}
    assert {headers["x-webhook-secret"] for headers, _ in listener.posts} == {"my secret"}
    assert {headers["content-type"] for headers, _ in listener.posts} == {"application/json"}
    assert image.status_code in {200, 404}
    assert posts[-1]["image_url"].startswith(str(client.base_url))


async def test_without_a_secret_no_secret_is_sent(talk: Talk, order: Order) -> None:
    async with listening() as listener, talk(Sandbox(seconds=0)) as client:
        await client.post("/flux-imagine", json=order(webhook_url=listener.url))
        await listener.wait_for(1)
        (post,) = listener.tasks
    assert post["status"] == "finished"
    assert "x-webhook-secret" not in listener.posts[0][0]


async def test_a_failed_task_is_posted_too(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(seconds=0, faults=[parse_fault("submit:fail")])
    async with listening() as listener, talk(sandbox) as client:
        await client.post("/flux-imagine", json=order(webhook_url=listener.url))
        await listener.wait_for(1)
        (post,) = listener.tasks
    assert (post["status"], post["message"]) == ("failed", "Request Moderated")


async def test_a_webhook_that_is_refused_is_posted_again_a_few_times(talk: Talk, order: Order) -> None:
    async with listening([500, 302, 404]) as listener, talk(Sandbox(seconds=0, sleep=no_time)) as client:
        await client.post("/flux-imagine", json=order(webhook_url=listener.url))
        await listener.wait_for(4)
        posts = listener.tasks
    assert [post["status"] for post in posts] == ["finished"] * 4


async def test_a_webhook_that_nobody_takes_is_given_up_and_counted(talk: Talk, order: Order) -> None:
    async with talk(Sandbox(seconds=0, sleep=no_time)) as client:
        await client.post("/flux-imagine", json=order(webhook_url="http://127.0.0.1:9/hook"))
        with anyio.fail_after(60):
            while not await undelivered(client):
                pass


async def test_faults_lose_double_and_forge_webhooks(talk: Talk, order: Order) -> None:
    faults = [Fault(where="webhook", kind=kind) for kind in ("lost-before", "twice", "forged", "not-json")]
    async with listening() as listener, talk(Sandbox(sleep=no_time, faults=faults)) as client:
        await client.post("/flux-imagine", json=order(webhook_url=listener.url, webhook_secret="s"))
        await listener.wait_for(6)
    bodies = [body for _, body in listener.posts]
    assert bodies[0] == bodies[1]
    assert [headers["x-webhook-secret"] for headers, _ in listener.posts] == ["s", "s", "forged", "s", "s", "s"]
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(bodies[3])


async def test_a_server_stops_while_webhooks_are_under_way(talk: Talk, order: Order) -> None:
    async with talk(Sandbox(seconds=500)) as client:
        reply = await client.post("/flux-imagine", json=order(webhook_url="http://127.0.0.1:9/"))
    assert reply.status_code == 200
