from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.sandbox import Sandbox

if TYPE_CHECKING:
    import httpx2

    from tests.sandbox.conftest import Encoded, Order, Talk


async def said(client: httpx2.AsyncClient, body: Any) -> list[str]:
    reply = await client.post("/flux-imagine", json=body)
    return [] if reply.status_code == 200 else [fault["msg"] for fault in reply.json()["errors"]]


async def test_the_page_s_own_example_is_accepted_with_a_task_id_and_nothing_else(talk: Talk) -> None:
    async with talk(Sandbox()) as client:
        reply = await client.post(
            "/flux-imagine", json={"prompt": "a sunflower field in the wind", "model": "flux-pro"}
        )
    assert reply.status_code == 200
    assert list(reply.json()) == ["task_id"]
    assert uuid.UUID(reply.json()["task_id"]).version == 4


GOOD = [
    {"model": "flux-schnell"},
    {"model": "flux-pro-1.1"},
    {"model": "flux-pro-1.1-ultra", "aspect_ratio": "21:9", "raw": True, "image_prompt_strength": 0},
    {"model": "flux-pro-1.1-ultra", "aspect_ratio": "9:21", "image_prompt_strength": 1},
    {"model": "flux-pro", "interval": 1, "steps": 40, "guidance": 2.5},
    {"model": "flux-pro", "interval": 4, "guidance": 3},
    {"width": 256, "height": 1440},
    {"seed": -(2**70), "safety_tolerance": 6, "prompt_upsampling": False},
    {"safety_tolerance": 0},
]


@pytest.mark.parametrize("changes", GOOD, ids=str)
async def test_what_the_page_allows_is_accepted(talk: Talk, order: Order, changes: Any) -> None:
    async with talk(Sandbox()) as client:
        assert await said(client, order(**changes)) == []


BAD = [
    ({"model": None}, "model"),
    ({"prompt": None}, "prompt"),
    ({"prompt": "  "}, "prompt"),
    ({"prompt": 7}, "prompt"),
    ({"model": "flux-max"}, "model"),
    ({"model": ["flux-pro"]}, "model"),
    ({"width": 255}, "width"),
    ({"height": 1441}, "height"),
    ({"width": "512"}, "width"),
    ({"width": True}, "width"),
    ({"width": 512.0}, "width"),
    ({"seed": 1.5}, "seed"),
    ({"seed": False}, "seed"),
    ({"steps": "28"}, "steps"),
    ({"guidance": True}, "guidance"),
    ({"model": "flux-pro", "interval": 0}, "interval"),
    ({"model": "flux-pro", "interval": 5}, "interval"),
    ({"model": "flux-pro", "interval": 2.5}, "interval"),
    ({"safety_tolerance": 7}, "safety_tolerance"),
    ({"safety_tolerance": -1}, "safety_tolerance"),
    ({"prompt_upsampling": 1}, "prompt_upsampling"),
    ({"model": "flux-pro-1.1-ultra", "raw": "true"}, "raw"),
    ({"model": "flux-pro-1.1-ultra", "image_prompt_strength": 1.01}, "image_prompt_strength"),
    ({"model": "flux-pro-1.1-ultra", "aspect_ratio": "22:9"}, "aspect_ratio"),
    ({"model": "flux-pro-1.1-ultra", "aspect_ratio": "9:22"}, "aspect_ratio"),
    ({"model": "flux-pro-1.1-ultra", "aspect_ratio": "16/9"}, "aspect_ratio"),
    ({"model": "flux-pro-1.1-ultra", "aspect_ratio": "0:9"}, "aspect_ratio"),
    ({"image_prompt": "not base64!"}, "image_prompt"),
    ({"image_prompt": "aGVsbG8="}, "image_prompt"),
    ({"image_prompt": ""}, "image_prompt"),
    ({"webhook_url": "ftp://example.com"}, "webhook_url"),
    ({"webhook_url": "http://"}, "webhook_url"),
    ({"webhook_url": "http://[broken"}, "webhook_url"),
    ({"webhook_secret": 5}, "webhook_secret"),
    ({"webhook_secret": "two\nlines"}, "webhook_secret"),
    ({"seeds": 5}, "seeds"),
]


@pytest.mark.parametrize(("changes", "name"), BAD, ids=str)
async def test_what_the_page_forbids_is_refused_by_name_and_nothing_is_charged(
    talk: Talk, order: Order, changes: Any, name: Any
) -> None:
    sandbox = Sandbox()
    async with talk(sandbox) as client:
        (message,) = await said(client, order(**changes))
    assert message.startswith(f"{name} ")
    assert sandbox.charges == 0


async def test_all_faults_are_told_at_once(talk: Talk) -> None:
    async with talk(Sandbox()) as client:
        messages = await said(client, {"model": "flux-max", "width": 1, "height": 2, "safety_tolerance": 9})
    assert [message.partition(" ")[0] for message in messages] == [
        "prompt",
        "model",
        "width",
        "height",
        "safety_tolerance",
    ]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_an_image_prompt_in_base64_is_accepted(talk: Talk, order: Order, encoded: Encoded, kind: Any) -> None:
    async with talk(Sandbox()) as client:
        assert await said(client, order(image_prompt=encoded(kind=kind))) == []


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b'"text"', b'{"model": NaN}', b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_json_object_is_refused_with_400(talk: Talk, raw: Any) -> None:
    async with talk(Sandbox()) as client:
        reply = await client.post("/flux-imagine", content=raw, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert "JSON" in reply.json()["errors"][0]["msg"]


async def test_a_body_of_another_content_type_is_refused(talk: Talk) -> None:
    async with talk(Sandbox()) as client:
        reply = await client.post("/flux-imagine", content=b"{}", headers={"content-type": "text/plain"})
    assert reply.status_code == 400


@pytest.mark.parametrize("key", ["", "wrong", "Bearer wrong", "Bearer", "Basic sandbox"])
@pytest.mark.parametrize("path", ["/flux-imagine", "/fetch", "/fetch-many", "/account"])
async def test_an_unknown_key_is_answered_with_401_and_an_empty_object(talk: Talk, key: Any, path: Any) -> None:
    async with talk(Sandbox(), key=key) as client:
        reply = await client.request("GET" if path == "/account" else "POST", path)
    assert (reply.status_code, reply.json()) == (401, {})


async def test_the_key_is_taken_raw_and_as_bearer(talk: Talk) -> None:
    for key in ("mine", "Bearer mine", "bearer mine"):
        async with talk(Sandbox(keys={"mine": 3}), key=key) as client:
            assert (await client.get("/account")).json()["credits"] == 3


async def test_the_account_tells_seven_facts_and_counts_credits_and_images(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(keys={"sandbox": 5}, seconds=0)
    async with talk(sandbox) as client:
        await client.post("/flux-imagine", json=order())
        account = (await client.get("/account")).json()
    assert set(account) == {
        "email",
        "credits",
        "total_images",
        "plan",
        "next_billing_date",
        "subscription_credits",
        "topup_credits",
    }
    assert (account["credits"], account["total_images"]) == (4, 1)


@pytest.mark.parametrize("ids", [None, [], ["a"], ["a"] * 21, "a", [1, 2], ["a", ""]], ids=str)
async def test_fetch_many_takes_2_to_20_ids(talk: Talk, ids: Any) -> None:
    async with talk(Sandbox()) as client:
        reply = await client.post("/fetch-many", json={} if ids is None else {"task_ids": ids})
        fine = await client.post("/fetch-many", json={"task_ids": ["a"] * 20})
    assert reply.status_code == 400
    assert "task_ids" in reply.json()["errors"][0]["msg"]
    assert fine.json() == {"tasks": []}


@pytest.mark.parametrize("body", [{}, {"task_id": 5}, {"task_id": ""}], ids=str)
async def test_fetch_takes_one_id(talk: Talk, body: Any) -> None:
    async with talk(Sandbox()) as client:
        reply = await client.post("/fetch", json=body)
    assert reply.status_code == 400


@pytest.mark.parametrize("path", ["/flux-imagine", "/fetch", "/fetch-many"])
async def test_half_a_surrogate_pair_breaks_nothing(talk: Talk, path: Any) -> None:
    raw = b'{"task_id": "\\ud83d", "task_ids": ["\\ud83d", "a"], "model": "\\ud83d", "\\ud83d": 1}'
    async with talk(Sandbox()) as client:
        reply = await client.post(path, content=raw, headers={"content-type": "application/json"})
    assert reply.status_code == (200 if path == "/fetch-many" else 400)


async def test_another_key_s_task_is_unknown(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(keys={"sandbox": 5, "other": 5})
    async with talk(sandbox) as client:
        task = (await client.post("/flux-imagine", json=order())).json()
        reply = await client.post("/fetch", json=task, headers={"authorization": "other"})
    assert reply.status_code == 400
