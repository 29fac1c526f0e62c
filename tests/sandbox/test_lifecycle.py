from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from flux_nodes.sandbox import Quirks, Sandbox, parse_fault, serve, serving
from tests.sandbox.conftest import NO_CERTIFICATES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandbox.conftest import Clock, Order, Talk


async def submitted(client: httpx2.AsyncClient, body: Any) -> Any:
    return (await client.post("/flux-imagine", json=body)).json()


async def fetched(client: httpx2.AsyncClient, task: Any) -> Any:
    return (await client.post("/fetch", json=task)).json()


async def walk(client: httpx2.AsyncClient, clock: Clock, task: Any, steps: Any = 50, seconds: Any = 10.0) -> list[Any]:
    seen = []
    start = clock.now
    for step in range(steps + 1):
        clock.now = start + seconds * step / steps
        seen.append(await fetched(client, task))
    return seen


async def test_a_task_walks_from_staged_to_finished_by_the_clock_alone(talk: Talk, order: Order, clock: Clock) -> None:
    async with talk(Sandbox(seconds=10, clock=clock)) as client:
        seen = await walk(client, clock, await submitted(client, order(model="flux-pro")))
    statuses = list(dict.fromkeys(reply["status"] for reply in seen))
    assert statuses == ["staged", "pending", "starting", "processing", "finished"]
    assert set(seen[0]) == {"task_id", "status"}
    progress = [reply["percentage"] for reply in seen if reply["status"] == "processing"]
    assert progress == sorted(progress)
    assert all(type(share) is int and 0 <= share < 100 for share in progress)
    assert set(seen[-1]) == {"task_id", "task_type", "status", "original_image_url", "image_url"}
    assert seen[-1]["task_type"] == "flux-imagine"


async def test_with_no_seconds_a_task_is_finished_at_its_first_fetch(talk: Talk, order: Order) -> None:
    async with talk(Sandbox(seconds=0)) as client:
        assert (await fetched(client, await submitted(client, order())))["status"] == "finished"


async def test_schnell_is_done_before_the_others(talk: Talk, order: Order, clock: Clock) -> None:
    async with talk(Sandbox(seconds=10, clock=clock)) as client:
        quick = await submitted(client, order(model="flux-schnell"))
        slow = await submitted(client, order(model="flux-pro"))
        clock.now += 5
        assert (await fetched(client, quick))["status"] == "finished"
        assert (await fetched(client, slow))["status"] == "processing"


async def test_the_image_is_there_when_the_task_is_finished_and_not_before(
    talk: Talk, order: Order, clock: Clock
) -> None:
    async with talk(Sandbox(seconds=10, clock=clock)) as client:
        task = await submitted(client, order())
        clock.now += 20
        url = (await fetched(client, task))["image_url"]
        clock.now -= 20
        assert (await client.get(url)).status_code == 404
        clock.now += 20
        image = await client.get(url, headers={"authorization": ""})
    assert url.startswith(str(client.base_url).rstrip("/") + "/images/")
    assert url.endswith(".png")
    assert image.headers["content-type"] == "image/png"
    assert image.content.startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["nothing.png", "../sandbox", "0" * 32 + ".png", "x" * 500 + ".png"])
async def test_an_image_that_is_not_there_is_404(talk: Talk, name: Any) -> None:
    async with talk(Sandbox()) as client:
        assert (await client.get(f"/images/{name}")).status_code == 404


async def test_image_addresses_name_the_host_that_the_client_asked(talk: Talk, order: Order) -> None:
    async with talk(Sandbox(seconds=0)) as client:
        task = await submitted(client, order())
        reply = await client.post("/fetch", json=task, headers={"host": "pretend.example:81"})
    assert reply.json()["image_url"].startswith("http://pretend.example:81/images/")


async def test_one_process_s_task_is_known_to_the_next_through_the_state_file(
    talk: Talk, order: Order, tmp_path: Path
) -> None:
    state = tmp_path / "deep" / "sandbox.db"
    first = Sandbox(seconds=0, state=state)
    async with talk(first) as client:
        task = await submitted(client, order())
        picture = (await client.get((await fetched(client, task))["image_url"])).content
    first.close()
    second = Sandbox(seconds=50, state=state)
    async with talk(second) as client:
        reply = await fetched(client, task)
        assert reply["status"] == "finished"
        assert reply["image_url"].startswith(str(client.base_url))
        assert (await client.get(reply["image_url"])).content == picture
        assert (await client.get("/account")).json()["credits"] == 999
    assert second.charges == 1
    second.close()


async def test_the_state_file_holds_neither_key_nor_webhook_secret(talk: Talk, order: Order, tmp_path: Path) -> None:
    state = tmp_path / "sandbox.db"
    sandbox = Sandbox(seconds=0, state=state, keys={"key-of-mine": 2})
    async with talk(sandbox, key="key-of-mine") as client:
        await submitted(client, order(webhook_url="http://127.0.0.1:9/", webhook_secret="secret-of-mine"))
    sandbox.close()
    written = state.read_bytes()
    assert b"a fox in the snow" in written
    assert b"key-of-mine" not in written
    assert b"secret-of-mine" not in written


async def test_fifty_submits_at_once_are_each_charged_once(talk: Talk, order: Order, tmp_path: Path) -> None:
    state = tmp_path / "sandbox.db"
    left, right = Sandbox(state=state, keys={"sandbox": 60}), Sandbox(state=state, keys={"sandbox": 60})
    async with talk(left) as one, talk(right) as two:
        replies = await asyncio.gather(
            *((one if i % 2 else two).post("/flux-imagine", json=order(seed=i)) for i in range(50))
        )
        credits = (await one.get("/account")).json()["credits"]
    ids = {reply.json()["task_id"] for reply in replies}
    assert (len(ids), left.charges, right.charges, len(left.tasks), credits) == (50, 50, 50, 50, 10)
    left.close()
    right.close()


async def test_no_credit_is_ever_spent_twice(talk: Talk, order: Order) -> None:
    sandbox = Sandbox(keys={"sandbox": 3})
    async with talk(sandbox) as client:
        replies = await asyncio.gather(*(client.post("/flux-imagine", json=order()) for _ in range(8)))
    assert sorted(reply.status_code for reply in replies) == [200] * 3 + [400] * 5
    assert (sandbox.charges, len(sandbox.tasks)) == (3, 3)


def test_several_servers_run_beside_each_other_and_leave_no_thread() -> None:
    before = set(threading.enumerate())
    with serving(Sandbox()) as first, serving(Sandbox()) as second:
        assert first.url != second.url
        assert [thread.name for thread in set(threading.enumerate()) - before].count("flux-sandbox") == 2
    assert "flux-sandbox" not in [thread.name for thread in set(threading.enumerate()) - before]


def test_a_sandbox_serves_for_ever_until_it_is_interrupted() -> None:
    script = (
        "import sys; from flux_nodes.sandbox import Sandbox, serve_forever\n"
        "serve_forever(Sandbox(), port=0, announce=sys.stdout)"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = next(word for word in process.stdout.readline().split() if word.startswith("http"))
        account = httpx2.get(f"{url}/account", headers={"authorization": "sandbox"}, verify=False)  # plain http
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=60)
    assert account.json()["credits"] == 1000
    assert (process.returncode, complaints) == (0, "")


async def test_an_in_process_client_needs_no_server(order: Order) -> None:
    transport = httpx2.ASGITransport(Sandbox(seconds=0, faults=[parse_fault("fetch:lost-before")]))
    headers = {"authorization": "sandbox"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://sandbox", headers=headers) as client:
        task = await submitted(client, order())
        with pytest.raises(ConnectionResetError):
            await fetched(client, task)
        assert (await fetched(client, task))["image_url"].startswith("http://sandbox/images/")


def test_a_taken_port_is_told_at_once() -> None:
    with serving(Sandbox()) as server, pytest.raises(OSError, match="use"):  # noqa: SIM117  # the second must fail
        with serving(Sandbox(), port=int(server.url.rpartition(":")[2])):
            pass


QUIRKED = {
    "no status": (Quirks(finished_has_status=False), lambda reply: "status" not in reply),
    "a percentage": (Quirks(percentage_on_finished=True), lambda reply: reply["percentage"] == 100),
    "a percentage as text": (
        Quirks(percentage_on_finished=True, percentage="text"),
        lambda reply: reply["percentage"] == "100",
    ),
    "a list of addresses": (
        Quirks(image_field="image_urls"),
        lambda reply: len(reply["image_urls"]) == 1 and "image_url" not in reply,
    ),
    "no original": (Quirks(original_image_url="absent"), lambda reply: "original_image_url" not in reply),
    "the same original": (
        Quirks(original_image_url="same"),
        lambda reply: reply["original_image_url"] == reply["image_url"],
    ),
    "another original": (
        Quirks(original_image_url="different"),
        lambda reply: reply["original_image_url"] != reply["image_url"],
    ),
}


@pytest.mark.parametrize(("quirks", "holds"), QUIRKED.values(), ids=QUIRKED)
async def test_a_quirk_changes_the_finished_task(talk: Talk, order: Order, quirks: Any, holds: Any) -> None:
    async with talk(Sandbox(seconds=0, quirks=quirks)) as client:
        reply = await fetched(client, await submitted(client, order()))
        assert holds(reply)
        for name in ("image_url", "original_image_url"):
            if name in reply:
                assert (await client.get(reply[name])).status_code == 200


@pytest.mark.parametrize(
    ("quirks", "expected"),
    [
        (Quirks(), int),
        (Quirks(percentage="text"), str),
        (Quirks(percentage="absent"), type(None)),
    ],
    ids=str,
)
async def test_a_quirk_changes_how_progress_is_written(
    talk: Talk, order: Order, clock: Clock, quirks: Any, expected: Any
) -> None:
    async with talk(Sandbox(seconds=10, clock=clock, quirks=quirks)) as client:
        seen = await walk(client, clock, await submitted(client, order()))
    running = [reply for reply in seen if reply["status"] == "processing"]
    assert {type(reply.get("percentage")) for reply in running} == {expected}
    assert not any("percentage" in reply for reply in seen if reply["status"] in {"pending", "starting"})


async def test_quirks_add_early_percentages_and_a_retry(talk: Talk, order: Order, clock: Clock) -> None:
    quirks = Quirks(percentage_before_processing=True, retrying=True)
    async with talk(Sandbox(seconds=10, clock=clock, quirks=quirks)) as client:
        seen = await walk(client, clock, await submitted(client, order(model="flux-pro")), steps=100)
    statuses = [reply["status"] for reply in seen]
    assert statuses.index("pending") < statuses.index("retrying") < statuses.index("starting")
    assert {reply["percentage"] for reply in seen if reply["status"] in {"pending", "starting"}} == {0}


@pytest.mark.parametrize(
    ("kind", "start", "media"),
    [("png", b"\x89PNG", "image/png"), ("jpeg", b"\xff\xd8", "image/jpeg"), ("webp", b"RIFF", "image/webp")],
)
async def test_a_quirk_changes_the_image_file_type(talk: Talk, order: Order, kind: Any, start: Any, media: Any) -> None:
    async with talk(Sandbox(seconds=0, quirks=Quirks(image_type=kind))) as client:
        url = (await fetched(client, await submitted(client, order())))["image_url"]
        image = await client.get(url)
    assert image.content.startswith(start)
    assert image.headers["content-type"] == media


def test_a_picture_that_is_painted_for_longer_than_the_server_lives_is_no_failure(
    order: Order, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "_GRACE", 0.05)  # how long replies may go on once the server is to end
    painting, done = threading.Event(), threading.Event()

    def finish(data: bytes, _media_type: str) -> bytes:
        painting.set()
        assert done.wait(60)
        return data

    with ThreadPoolExecutor(1) as threads:
        with serving(Sandbox(seconds=0, finish=finish)) as server:
            cut = threads.submit(cut_off, server.url, order())
            assert painting.wait(60)
        done.set()
        assert cut.result() == "cut off"
    assert caplog.text == ""


def cut_off(url: str, body: dict[str, Any]) -> str:
    """Ask for a picture of a server that ends before it answers."""
    with httpx2.Client(verify=NO_CERTIFICATES, timeout=60, headers={"authorization": "sandbox"}) as client:
        task = client.post(f"{url}/flux-imagine", json=body).json()
        image = client.post(f"{url}/fetch", json=task).json()["image_url"]
        with pytest.raises(httpx2.TransportError):
            client.get(image)
    return "cut off"
