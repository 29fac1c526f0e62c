"""What the sandbox takes in is bounded, and its controls are for programs, not for the pages of websites."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from flux_nodes.sandbox import Sandbox
from flux_nodes.sandbox.pictures import PictureCache
from flux_nodes.sandbox.pixels import read_image

if TYPE_CHECKING:
    from tests.sandbox.conftest import Order, Talk

JSON = {"content-type": "application/json"}
MEBIBYTE = 2**20


async def test_of_a_body_with_a_wrong_key_nothing_is_kept(talk: Talk, order: Order) -> None:
    sandbox = Sandbox()
    async with talk(sandbox, key="wrong") as client:
        reply = await client.post("/flux-imagine", json=order(image_prompt="A" * 8 * MEBIBYTE))
    assert (reply.status_code, reply.json()) == (401, {})
    assert [(request.path, request.json) for request in sandbox.requests] == [("/flux-imagine", None)]


async def test_a_body_longer_than_any_image_prompt_is_refused_and_not_kept(talk: Talk) -> None:
    sandbox = Sandbox()
    async with talk(sandbox) as client:
        body = b'{"prompt": "' + b"A" * 49 * MEBIBYTE + b'"}'
        reply = await client.post("/flux-imagine", content=body, headers=JSON)
        small = await client.post("/sandbox/faults", content=b'"' + b"A" * 70_000 + b'"', headers=JSON)
    assert reply.status_code == 413
    assert "longer than" in reply.json()["errors"][0]["msg"]
    assert (small.status_code, "longer than" in small.text) == (400, True)
    assert [request.json for request in sandbox.requests] == [None]


async def test_old_bodies_are_forgotten_and_their_requests_still_counted(talk: Talk) -> None:
    sandbox = Sandbox()
    async with talk(sandbox) as client:
        for number in range(3):
            await client.post("/fetch", json={"task_id": f"{number}" + "x" * 30 * MEBIBYTE})
        await client.post("/fetch", json={"task_id": "last"})
        state = (await client.get("/sandbox/state")).json()
    assert state["requests"] == {"/fetch": 4}
    assert [request.json is None for request in sandbox.requests] == [True, False, False, False]


@pytest.mark.parametrize("depth", [33, 600, 900, 100_000])
@pytest.mark.parametrize("around", ["[{}]", '{{"a": {}}}'])
async def test_a_document_that_is_too_deep_is_refused_everywhere_and_told_nowhere(
    talk: Talk, order: Order, depth: int, around: str
) -> None:
    before, _, after = around.format("|").partition("|")
    deep = before * depth + "1" + after * depth
    async with talk(Sandbox()) as client:
        for path, body in (
            ("/sandbox/faults", deep),
            ("/flux-imagine", deep),
            ("/flux-imagine", json.dumps(order(seed=5)).replace(": 5", f": {deep}")),
            ("/fetch", f'{{"task_id": {deep}}}'),
        ):
            reply = await client.post(path, content=body, headers=JSON)
            assert (reply.status_code, bool(reply.json()["errors"][0]["msg"])) == (400, True)
        assert (await client.get("/sandbox/requests")).status_code == 200
        assert (await client.get("/sandbox/faults")).json() == {"faults": []}


@pytest.mark.parametrize("body", [b"[" + b"{}," * 200_000 + b"{}]", b"[" * 70_000, b"9" * 5_000, b"NaN", b"\xff", b""])
async def test_a_document_of_too_many_values_or_that_is_none_is_refused(talk: Talk, body: bytes) -> None:
    async with talk(Sandbox()) as client:
        for path in ("/sandbox/faults", "/flux-imagine", "/fetch-many"):
            assert (await client.post(path, content=body, headers=JSON)).status_code == 400


async def test_faults_do_not_pile_up_without_end(talk: Talk) -> None:
    async with talk(Sandbox()) as client:
        full = await client.post("/sandbox/faults", json=["submit:429"] * 1_000)
        more = await client.post("/sandbox/faults", json="submit:429")
        await client.delete("/sandbox/faults")
        again = await client.post("/sandbox/faults", json="submit:429")
    assert [reply.status_code for reply in (full, more, again)] == [200, 400, 200]


OF_A_PAGE: dict[str, dict[str, str]] = {
    "another site": {"origin": "https://evil.example"},
    "another port of this machine": {"origin": "http://127.0.0.1:3000"},
    "a page without an origin": {"origin": "null"},
    "an origin that is no address": {"origin": "http://[:80"},
    "an image or a link of another site": {"sec-fetch-site": "cross-site"},
    "another port, as the browser says": {"sec-fetch-site": "same-site"},
    "a name that was rebound": {"host": "evil.example:8787"},
    "a rebound name and its own page": {"host": "evil.example", "origin": "http://evil.example"},
    "a name that begins like localhost": {"host": "localhost.evil.example"},
    "a host that is none": {"host": "localhost@evil.example"},
}


@pytest.mark.parametrize("headers", OF_A_PAGE.values(), ids=OF_A_PAGE)
async def test_the_page_of_a_website_can_neither_read_nor_set_anything(talk: Talk, headers: dict[str, str]) -> None:
    sandbox = Sandbox()
    async with talk(sandbox) as client:
        await client.post("/sandbox/faults", json="submit:429")
        replies = [
            await client.post("/sandbox/faults", json="submit:500", headers=headers),
            await client.delete("/sandbox/faults", headers=headers),
            *[await client.get(f"/sandbox/{path}", headers=headers) for path in ("faults", "state", "requests")],
        ]
    assert [reply.status_code for reply in replies] == [403] * 5
    assert [fault.status for fault in sandbox.faults] == [429]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_what_a_page_may_send_unasked_is_not_taken(talk: Talk, kind: str) -> None:
    sandbox = Sandbox()
    async with talk(sandbox) as client:
        reply = await client.post("/sandbox/faults", content=b'"submit:429"', headers={"content-type": kind})
    assert (reply.status_code, sandbox.faults) == (400, [])
    assert "Content-Type must be application/json" in reply.text


@pytest.mark.parametrize("host", ["localhost:1", "LOCALHOST.", "127.0.0.1", "[::1]:80", "sandbox.localhost"])
async def test_programs_on_this_machine_may_use_every_name_of_it(talk: Talk, host: str) -> None:
    async with talk(Sandbox()) as client:
        assert (await client.get("/sandbox/state", headers={"host": host})).status_code == 200
        own = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
        assert (await client.post("/sandbox/faults", json="submit:429", headers=own)).status_code == 200


async def test_many_pictures_at_once_are_painted_by_one_thread(talk: Talk, order: Order) -> None:
    async with talk(Sandbox(seconds=0)) as client:
        tasks = [(await client.post("/flux-imagine", json=order(seed=seed))).json() for seed in range(100, 108)]
        urls = [(await client.post("/fetch", json=task)).json()["image_url"] for task in tasks]
        replies = await asyncio.gather(*(client.get(url) for url in urls))
    assert len({reply.content for reply in replies}) == 8
    assert sum(thread.name.startswith("flux-sandbox-painter") for thread in threading.enumerate()) == 1


async def test_large_image_prompts_are_decoded_one_after_another_and_made_small(talk: Talk, order: Order) -> None:
    file = io.BytesIO()
    Image.new("1", (6000, 5000)).save(file, "PNG")
    image = read_image(file.getvalue())
    assert image is not None
    assert (image.mode, image.size) == ("RGB", (2048, 1707))
    prompt = base64.b64encode(file.getvalue()).decode()
    async with talk(Sandbox()) as client:
        bodies: list[dict[str, Any]] = [order(image_prompt=prompt, seed=seed) for seed in range(4)]
        replies = await asyncio.gather(*(client.post("/flux-imagine", json=body) for body in bodies))
    assert [reply.status_code for reply in replies] == [200] * 4
    assert sum(thread.name.startswith("flux-sandbox-reader") for thread in threading.enumerate()) == 1


def test_the_cache_of_pictures_lets_those_go_that_were_asked_for_longest_ago() -> None:
    cache = PictureCache(most=10)
    for key in ("a", "b"):
        cache.put(key, key.encode() * 4)
    assert cache.get("a") == b"aaaa"
    cache.put("c", b"cccc")
    assert [cache.get(key) for key in ("a", "b", "c")] == [b"aaaa", None, b"cccc"]
    cache.put("c", b"c")
    cache.put("d", b"ddddd")
    assert [cache.get(key) for key in ("a", "c", "d")] == [b"aaaa", b"c", b"ddddd"]
    cache.put("large", b"e" * 11)
    assert cache.get("large") is None
    cache.put("f", b"f")
    cache.clear()
    assert cache.get("f") is None
