from __future__ import annotations

import asyncio
import io
import json
import ssl
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from PIL import Image

from flux_nodes.sandbox import Fault, FaultError, Sandbox, parse_fault, serving
from tests.core.wires import identity

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandbox.conftest import Clock, Order, Talk


async def submit(client: httpx2.AsyncClient, order: Order, **changes: Any) -> httpx2.Response:
    return await client.post("/flux-imagine", json=order(**changes))


async def image_after(sandbox: Any, client: httpx2.AsyncClient, order: Order, fault: Any) -> httpx2.Response:
    task = (await submit(client, order)).json()
    url = (await client.post("/fetch", json=task)).json()["image_url"]
    sandbox.inject(parse_fault(fault))
    return await client.get(url)


REPLIES = [
    ("submit:429:retry_after=2", 429, "application/json", 0),
    ("submit:503", 503, "application/json", 0),
    ("submit:refuse", 500, "application/json", 0),
    ("submit:refuse:status=418:body=no: tea only", 418, "text/plain; charset=utf-8", 0),
    ("submit:html", 502, "text/html; charset=utf-8", 0),
    ("submit:html:status=200", 200, "text/html; charset=utf-8", 1),
    ("submit:empty", 200, "application/json", 1),
    ("submit:empty:status=500", 500, "application/json", 0),
    ("submit:not-json", 200, "application/json", 1),
    ("submit:redirect:location=https://example.com/x", 302, None, 0),
    ("submit:credits", 400, "application/json", 0),
]


@pytest.mark.parametrize(("fault", "status", "media", "charges"), REPLIES)
async def test_a_spoiled_reply_is_charged_only_when_its_status_says_that_the_step_was_done(
    talk: Talk, order: Order, fault: Any, status: Any, media: Any, charges: Any
) -> None:
    sandbox = Sandbox(faults=[parse_fault(fault)])
    async with talk(sandbox) as client:
        spoiled = await submit(client, order)
        assert (spoiled.status_code, spoiled.headers.get("content-type")) == (status, media)
        assert (sandbox.charges, len(sandbox.tasks)) == (charges, charges)
        assert (await submit(client, order)).status_code == 200


@pytest.mark.parametrize(
    ("fault", "charges"),
    [("lost-before", 0), ("lost-after", 1), ("reset", 1), ("unended", 1), ("garbled", 1)],
)
async def test_a_lost_reply_breaks_the_connection_before_or_after_the_charge(
    talk: Talk, order: Order, fault: Any, charges: Any
) -> None:
    sandbox = Sandbox(faults=[parse_fault(f"submit:{fault}")])
    async with talk(sandbox) as client:
        with pytest.raises(httpx2.TransportError):
            await submit(client, order)
        assert sandbox.charges == charges
        assert (await submit(client, order)).status_code == 200


@pytest.mark.parametrize("kind", ["drip", "continue"])
async def test_a_reply_without_end_never_comes_whole(talk: Talk, order: Order, kind: Any) -> None:
    sandbox = Sandbox(faults=[parse_fault(f"submit:{kind}")])
    async with talk(sandbox) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await submit(client, order)
        assert (await submit(client, order)).status_code == 200


async def test_a_reply_is_right_in_substance_and_odd_in_form(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(seconds=0)
    async with talk(sandbox) as client:

        async def answered(fault: str) -> str:
            sandbox.inject(parse_fault(f"submit:{fault}"))
            return (await submit(client, order)).text

        deep = await answered("deep:size=40")
        assert deep.startswith('{"deep":' + "[" * 40 + "]" * 40 + ',"task_id"')
        assert json.loads(await answered("half-emoji"))["task_id"].endswith("\0\ud83d")
        assert json.loads(await answered("long-id:size=500"))["task_id"].endswith("x" * 500)
        number = json.loads(await answered("numeric-id"))["task_id"]
        assert isinstance(number, int)
        task = (await client.post("/fetch", json={"task_id": str(number)})).json()
        assert (await client.get(task["image_url"])).headers["content-type"] == "image/png"
        assert sandbox.charges == 4
        assert json.loads(await answered("errors:message=not today")) == {"errors": [{"msg": "not today"}]}
        assert sandbox.charges == 4


async def test_the_sandbox_speaks_https(tmp_path: Path, order: Order) -> None:
    own = identity(tmp_path)
    with serving(Sandbox(seconds=0), certificate=own.chain) as server:
        trust = ssl.create_default_context(cafile=str(own.issuer))
        url = server.url.replace("127.0.0.1", "localhost")
        async with httpx2.AsyncClient(base_url=url, verify=trust, headers={"authorization": "sandbox"}) as client:
            assert url.startswith("https:")
            assert (await submit(client, order)).status_code == 200


@pytest.mark.parametrize(
    ("where", "path"), [("fetch", "/fetch"), ("fetch-many", "/fetch-many"), ("account", "/account")]
)
async def test_each_endpoint_can_fail_on_its_own(talk: Talk, order: Order, where: Any, path: Any) -> None:
    sandbox = Sandbox(faults=[Fault(where=where, kind="refuse", status=503, retry_after=7)])
    async with talk(sandbox) as client:
        task_id = (await submit(client, order)).json()["task_id"]
        body = {"task_id": task_id, "task_ids": [task_id] * 2}
        method = "GET" if where == "account" else "POST"
        first = await client.request(method, path, json=None if method == "GET" else body)
        second = await client.request(method, path, json=None if method == "GET" else body)
    assert (first.status_code, first.headers["retry-after"], second.status_code) == (503, "7", 200)


async def test_retry_after_may_be_a_date_by_the_sandbox_s_clock(talk: Talk, order: Order, clock: Clock) -> None:
    sandbox = Sandbox(clock=clock, faults=[parse_fault("submit:429:retry_after=90:retry_as=date")])
    async with talk(sandbox) as client:
        reply = await submit(client, order)
    assert parsedate_to_datetime(reply.headers["retry-after"]).timestamp() == clock.now + 90


async def test_a_fault_skips_and_counts_and_may_last_for_ever(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(faults=[parse_fault("submit:500:skip=1:times=2")])
    async with talk(sandbox) as client:
        statuses = [(await submit(client, order)).status_code for _ in range(5)]
        sandbox.inject(parse_fault("submit:500:times=always"))
        always = {(await submit(client, order)).status_code for _ in range(5)}
        sandbox.clear()
        after = (await submit(client, order)).status_code
    assert (statuses, always, after) == ([200, 500, 500, 200, 200], {500}, 200)


async def test_a_fault_can_be_kept_for_one_prompt_and_its_task(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(faults=[Fault(where="fetch", kind="refuse", times=None, match="owl")])
    async with talk(sandbox) as client:
        fox, owl = [(await submit(client, order, prompt=prompt)).json() for prompt in ("a fox", "an owl")]
        statuses = [(await client.post("/fetch", json=task)).status_code for task in (fox, owl)]
    assert statuses == [200, 500]


async def test_a_slow_reply_waits_by_the_given_sleep_and_arrives_whole(talk: Talk, order: Order) -> None:
    naps = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    sandbox = Sandbox(sleep=nap, faults=[parse_fault("submit:slow:seconds=120")])
    async with talk(sandbox) as client:
        reply = await submit(client, order)
    assert reply.json()["task_id"]
    assert len(naps) > 5
    assert 119 < sum(naps) < 150


async def test_a_task_can_fail_with_a_message_or_never_end(talk: Talk, order: Order, clock: Clock) -> None:
    sandbox = Sandbox(seconds=10, clock=clock)
    sandbox.inject(parse_fault("submit:fail:message=content"))
    sandbox.inject(parse_fault("submit:fail:message=Out of cheese: try again"))
    sandbox.inject(parse_fault("submit:stuck"))
    async with talk(sandbox) as client:
        tasks = [(await submit(client, order)).json() for _ in range(3)]
        clock.now += 1e6
        ends = [(await client.post("/fetch", json=task)).json() for task in tasks]
    assert [end["status"] for end in ends] == ["failed", "failed", "processing"]
    assert [end.get("message") for end in ends] == ["Content Moderated", "Out of cheese: try again", None]


async def test_a_truncated_image_is_a_whole_reply_with_half_a_picture(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(seconds=0)
    async with talk(sandbox) as client:
        image = await image_after(sandbox, client, order, "image:truncated")
        assert image.headers["content-length"] == str(len(image.content))
        with pytest.raises(OSError, match="truncated"):
            Image.open(io.BytesIO(image.content)).load()


async def test_a_huge_image_declares_more_than_it_can_send(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(seconds=0)
    async with talk(sandbox) as client:
        task = (await submit(client, order)).json()
        url = (await client.post("/fetch", json=task)).json()["image_url"]
        sandbox.inject(parse_fault("image:huge"))
        async with client.stream("GET", url) as image:
            assert int(image.headers["content-length"]) > 10**10
            assert (await anext(image.aiter_bytes())).startswith(b"\x89PNG")


async def test_an_endless_image_declares_no_length_and_stops_where_it_is_told(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(seconds=0)
    async with talk(sandbox) as client:
        image = await image_after(sandbox, client, order, "image:endless:size=3000000")
    assert "content-length" not in image.headers
    assert len(image.content) == 3_000_000


async def test_a_server_stops_while_it_sends_an_endless_image(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(seconds=0)
    async with talk(sandbox) as client:
        task = (await submit(client, order)).json()
        url = (await client.post("/fetch", json=task)).json()["image_url"]
        sandbox.inject(parse_fault("image:slow:seconds=300"))
        async with client.stream("GET", url) as image:
            assert image.status_code == 200


async def test_a_bomb_is_small_on_the_wire_and_huge_in_pixels(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(seconds=0)
    async with talk(sandbox) as client:
        image = await image_after(sandbox, client, order, "image:bomb:size=9000")
    assert len(image.content) < 50_000
    with Image.open(io.BytesIO(image.content)) as picture:
        assert picture.size == (9000, 9000)
        picture.load()


async def test_an_image_may_be_no_image_or_of_another_format_than_it_says(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(seconds=0)
    async with talk(sandbox) as client:
        nothing = await image_after(sandbox, client, order, "image:not-image")
        other = await image_after(sandbox, client, order, "image:wrong-format")
    assert {nothing.headers["content-type"], other.headers["content-type"]} == {"image/png"}
    assert b"not an image" in nothing.content
    assert other.content.startswith(b"GIF8")


async def test_an_image_may_be_missing_at_first(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(seconds=0)
    async with talk(sandbox) as client:
        first = await image_after(sandbox, client, order, "image:missing")
        second = await client.get(first.url)
    assert (first.status_code, second.status_code) == (404, 200)


async def test_an_image_may_point_elsewhere_or_break_off(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(seconds=0)
    async with talk(sandbox) as client:
        away = await image_after(sandbox, client, order, "image:redirect:location=http://169.254.169.254/x:status=307")
        assert (away.status_code, away.headers["location"]) == (307, "http://169.254.169.254/x")
        with pytest.raises(httpx2.TransportError):
            await image_after(sandbox, client, order, "image:reset")


PROMPTS = [
    ("a fox [sandbox: fail moderation]", "failed", "Request Moderated"),
    ("a fox [sandbox: fail the kiln is cold]", "failed", "the kiln is cold"),
    ("a fox [SANDBOX:fail]", "failed", "Request Moderated"),
    ("a fox [sandbox: stuck]", "processing", None),
]


@pytest.mark.parametrize(("prompt", "status", "message"), PROMPTS)
async def test_words_in_a_prompt_decide_its_task_s_fate_every_time(
    talk: Talk, order: Order, prompt: Any, status: Any, message: Any
) -> None:
    async with talk(Sandbox(seconds=0)) as client:
        for _ in range(2):
            task = (await submit(client, order, prompt=prompt)).json()
            end = (await client.post("/fetch", json=task)).json()
            assert (end["status"], end.get("message")) == (status, message)


async def test_words_in_a_prompt_spoil_one_reply_and_the_repeat_passes(talk: Talk, order: Order) -> None:
    async with talk(Sandbox(seconds=0)) as client:
        prompt = "a fox [sandbox: 429:retry_after=3]"
        first, second = [await submit(client, order, prompt=prompt) for _ in range(2)]
        task = (await submit(client, order, prompt="a fox [sandbox: fetch:html]")).json()
        polls = [(await client.post("/fetch", json=task)).status_code for _ in range(2)]
    assert (first.status_code, first.headers["retry-after"], second.status_code) == (429, "3", 200)
    assert polls == [502, 200]


async def test_unknown_words_in_a_prompt_are_told_and_nothing_is_charged(talk: Talk, order: Order) -> None:
    sandbox = Sandbox()
    async with talk(sandbox) as client:
        reply = await submit(client, order, prompt="a fox [sandbox: explode]")
    assert reply.status_code == 400
    assert "explode" in reply.json()["errors"][0]["msg"]
    assert sandbox.charges == 0


def test_a_fault_is_read_from_its_short_form() -> None:
    assert parse_fault("submit:429:retry_after=1:times=2") == Fault(
        where="submit", kind="refuse", status=429, retry_after=1.0, times=2
    )
    assert parse_fault("image:redirect:location=http://127.0.0.1:80/a:times=always") == Fault(
        where="image", kind="redirect", location="http://127.0.0.1:80/a", times=None
    )


WRONG = [
    "",
    "submit",
    "submit:",
    "nowhere:429",
    "submit:explode",
    "account:bomb",
    "webhook:429",
    "submit:200",
    "submit:429:times=0",
    "submit:429:times=two",
    "submit:429:retry_after=-1",
    "submit:429:retry_as=week",
    "submit:429:colour=red",
    "submit:slow:seconds=301",
    "image:redirect",
    "image:bomb:size=70000",
    "account:500:match=owl",
]


@pytest.mark.parametrize("text", WRONG)
def test_a_fault_that_cannot_be_is_refused_with_a_sentence(text: Any) -> None:
    with pytest.raises(FaultError, match=r"\.$|example"):
        parse_fault(text)


@pytest.mark.parametrize("times", [True, 1.5, "2"])
def test_a_fault_s_numbers_are_checked_in_python_too(times: Any) -> None:
    with pytest.raises(FaultError, match="times"):
        Fault(where="submit", kind="refuse", times=times)
