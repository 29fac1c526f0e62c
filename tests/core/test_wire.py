"""What comes over an established connection, however odd: nothing crashes, hangs, or loses what is paid."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from pydantic import SecretStr

from flux_nodes.core import Generations, Settings
from flux_nodes.core.client import ApiframeClient
from flux_nodes.core.errors import (
    GenerationFailed,
    ImageUnavailable,
    ServiceRefused,
    ServiceUnreachable,
    StillRunning,
    StorageError,
    SubmitUnconfirmed,
)
from flux_nodes.core.journal import Journal
from flux_nodes.core.reply import read_reply, redact, usable_task_id
from flux_nodes.core.retry import Policy
from flux_nodes.sandbox import Fault, Sandbox, serving
from tests.core.test_client import QUICK
from tests.core.test_generations import field, moves, polls
from tests.core.wires import identity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from starlette.types import Message, Receive, Scope, Send

    from flux_nodes.core import Generation
    from tests.delay import Delay

HALF = "bad \ud83d and \0"
KEY = "a-key/with+signs-0123"


@pytest.fixture
async def hurried(settings: Settings) -> AsyncIterator[Generations]:
    """Generations that give a request up soon."""
    quick = settings.model_copy(update={"submit_seconds": 2, "read_seconds": 1})
    async with Generations.open(quick, door="test") as opened:
        yield opened


async def lost(generations: Generations) -> tuple[Generation, str]:
    """Ask for a picture whose answer is lost; return what the journal has of it, and what the caller was told."""
    with anyio.fail_after(60), pytest.raises(SubmitUnconfirmed) as caught:
        await generations.start(field(seed=1))
    (row,) = await generations.recent()
    assert (row.id, row.status, row.task_id) == (caught.value.generation_id, "unconfirmed", None)
    return row, str(caught.value)


# What a reply holds


@pytest.mark.parametrize("levels", [31, 32, 33, 600, 100_000])
def test_a_reply_that_nests_deeply_is_read(levels: int) -> None:
    text = '{"task_id":"t-1","x":' + "[" * levels + '"]"' + "]" * levels + ',"y":"]}"}'
    reply = read_reply(text.encode())
    assert (reply["task_id"], reply["y"]) == ("t-1", "]}")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r'"bad \ud83d"', "bad \ufffd"),
        (r'"\ude00 bad"', "\ufffd bad"),
        (r'"a\u0000b\u001b[31m"', "a\ufffdb\ufffd[31m"),
        (r'"whole \ud83d\ude00"', "whole \U0001f600"),
        ("7", "7"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1e400", "1e400"),
        ("NaN", "NaN"),
        ("true", True),
        ("null", None),
        ("", None),
        ("{", None),
        ("[" * 50_000, None),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_every_value_of_a_reply_can_be_stored(written: str, read: object) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert read_reply(written.encode(encoding)) == read


def test_bytes_that_are_no_text_are_read_all_the_same() -> None:
    assert read_reply(b'"a\xed\xa0\xbdb\xff"') == "a\ufffd\ufffd\ufffdb\ufffd"
    assert read_reply(b"\xff\xfe") is None


def test_long_texts_are_cut_and_numbers_of_any_length_are_read() -> None:
    reply = read_reply(b'{"a": "' + b"x" * 1_000_000 + b'", "b": ' + b"9" * 100_000 + b"}")
    assert {len(text) for text in reply.values()} == {8192}


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        KEY.replace("/", r"\/"),
        KEY.replace("a", r"\u0061").replace("/", r"\u002F"),
        json.dumps(json.dumps(KEY.replace("/", r"\/")))[3:-3],
        KEY.replace("/", "%2F").replace("+", "%2b"),
        "".join(f"\\u{ord(letter):04x}" for letter in KEY),
    ],
)
def test_a_key_is_blotted_out_however_it_is_written(written: str) -> None:
    assert redact(f"<{written}>", SecretStr(KEY)) == "<***>"
    for encoding in ("utf-8", "utf-16"):
        reply = read_reply(f'{{"said": "is {written} right?", "{written}": 1}}'.encode(encoding), key=SecretStr(KEY))
        assert reply == {"said": "is *** right?", "***": "1"}


@pytest.mark.parametrize("value", ["", " ", "a\tb", "a\nb", "a\ufffd", "x" * 256, 7, None, True, ["t"]])
def test_what_cannot_be_a_task_id_is_none(value: object) -> None:
    assert usable_task_id(value) == ""


# A submit


async def test_replies_that_nest_deeply_are_taken(generations: Generations, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="deep"))
    sandbox.inject(Fault(where="fetch", kind="deep", size=50_000))
    assert (await generations.wait((await generations.start(field(seed=1))).id)).status == "stored"


async def test_a_task_id_that_is_a_number_is_taken_as_text(generations: Generations, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="numeric-id"))
    stored = await generations.wait((await generations.start(field(seed=1))).id)
    assert (stored.task_id, stored.status) == (sandbox.tasks[0].task_id, "stored")
    assert str(stored.task_id).isdigit()


@pytest.mark.parametrize("kind", ["long-id", "half-emoji"])
async def test_a_task_id_that_cannot_be_kept_leaves_an_unconfirmed_generation_whose_words_show_it(
    generations: Generations, sandbox: Sandbox, kind: Any
) -> None:
    sandbox.inject(Fault(where="submit", kind=kind))
    row, words = await lost(generations)
    for said in (str(row.message), words):
        assert sandbox.tasks[0].task_id in said
        assert len(said) < 1_000


async def test_an_error_that_comes_with_status_200_is_told_and_counts_as_a_refusal(
    generations: Generations, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="errors", message=f"insufficient credits {HALF}"))
    with pytest.raises(ServiceRefused, match="insufficient credits bad \ufffd"):
        await generations.start(field())
    (row,) = await generations.recent()
    assert (row.status, row.credits) == ("refused", 0)
    assert "insufficient credits" in str(row.message)


class Answers(Sandbox):
    """A service that accepts and charges, and answers a submit with this body."""

    body = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def other(message: Message) -> None:
            if message["type"] == "http.response.start":
                length = (b"content-length", str(len(self.body)).encode())
                await send({**message, "headers": [length]})
            else:
                await send({**message, "body": self.body})

        await super().__call__(scope, receive, other if scope.get("path") == "/flux-imagine" else send)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": "queued, perhaps"}, "queued, perhaps"),
        ({"error": {"message": "odd"}}, "odd"),
        ({"detail": "elsewhere"}, "elsewhere"),
        ({"task_id": None, "errors": []}, "without a task id"),
        ({"task_id": True}, "without a task id"),
        ({"id": "t-1", "status": "staged"}, "t-1"),
        ({"data": {"task_id": "t-1"}}, "t-1"),
        ([], "without a task id"),
        ("text", "without a task id"),
    ],
    ids=str,
)
async def test_an_answer_without_a_task_id_is_unconfirmed_and_its_words_are_told(
    settings: Settings, body: object, words: str
) -> None:
    with serving(odd := Answers()) as server:
        odd.body = json.dumps(body).encode()
        async with Generations.open(settings.model_copy(update={"base_url": server.url}), door="test") as generations:
            assert words in (await lost(generations))[1]
    odd.close()


async def test_a_task_id_beside_errors_is_taken(settings: Settings) -> None:
    with serving(odd := Answers()) as server:
        odd.body = b'{"errors": [{"msg": "careful"}], "task_id": "t-1"}'
        async with Generations.open(settings.model_copy(update={"base_url": server.url}), door="test") as generations:
            assert (await generations.start(field())).task_id == "t-1"
    odd.close()


async def test_a_task_id_in_a_list_of_one_is_taken(settings: Settings) -> None:
    with serving(odd := Answers()) as server:
        odd.body = b'[{"task_id": "t-1"}]'
        async with Generations.open(settings.model_copy(update={"base_url": server.url}), door="test") as generations:
            assert (await generations.start(field())).task_id == "t-1"
    odd.close()


@pytest.mark.parametrize("kind", ["drip", "continue", "garbled", "reset"])
async def test_an_answer_that_never_comes_whole_is_given_up_and_not_asked_for_again(
    hurried: Generations, sandbox: Sandbox, kind: Any
) -> None:
    sandbox.inject(Fault(where="submit", kind=kind, times=None))
    _, told = await lost(hurried)
    assert sandbox.charges == 1
    assert "ReadError" not in told


async def test_a_task_id_that_was_read_before_the_answer_broke_off_is_kept(
    generations: Generations, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="unended"))
    assert (await generations.start(field())).task_id == sandbox.tasks[0].task_id


async def test_a_429_whose_words_never_end_is_a_429(settings: Settings) -> None:
    class Slow(Sandbox):
        refused = 0

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope.get("path") != "/flux-imagine" or self.refused:
                return await super().__call__(scope, receive, send)
            self.refused += 1
            await send({"type": "http.response.start", "status": 429, "headers": []})
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            return None

    with serving(slow := Slow(seconds=0)) as server:
        async with Generations.open(settings.model_copy(update={"base_url": server.url}), door="test") as generations:
            with anyio.fail_after(60):
                assert (await generations.start(field())).status == "submitted"
    assert (slow.refused, slow.charges) == (1, 1)
    slow.close()


@pytest.mark.parametrize("error", [RecursionError, MemoryError, OSError, StorageError, UnicodeError, KeyError])
async def test_whatever_breaks_after_a_submit_was_sent_leaves_it_unconfirmed(
    generations: Generations, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error("a bug \ud83d")

    monkeypatch.setattr("flux_nodes.core.client.read_reply", broken)
    await lost(generations)
    assert sandbox.charges == 1


@pytest.mark.parametrize("error", [StorageError, UnicodeError])
async def test_a_task_id_that_cannot_be_written_down_is_told_and_the_intent_is_not_left(
    generations: Generations, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def full(*_: object) -> None:
        raise error("The disk is full.")

    monkeypatch.setattr(Journal, "submitted", full)
    with pytest.raises(StorageError, match=r"note this id") as caught:
        await generations.start(field())
    (row,) = await generations.recent()
    assert row.status == "unconfirmed"
    for said in (str(caught.value), str(row.message)):
        assert sandbox.tasks[0].task_id in said


async def test_a_submit_that_is_still_connecting_when_its_time_is_up_was_never_sent() -> None:
    # A listener whose queue is full: the system answers no further connection.
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = full.getsockname()
        queue = [stack.enter_context(socket.socket()) for _ in range(4)]
        for each in queue:
            each.setblocking(False)
            each.connect_ex(address)
        url = f"http://127.0.0.1:{address[1]}"
        once = Policy(deadline=0)
        async with ApiframeClient(key=SecretStr("sandbox"), base_url=url, policy=once, submit_seconds=0.3) as client:
            with anyio.fail_after(60), pytest.raises(ServiceUnreachable, match=r"within 0\.3"):
                await client.submit(field())


# Reading


@pytest.mark.parametrize("kind", ["drip", "continue", "garbled", "unended", "half-emoji", "deep"])
async def test_reading_rides_out_an_answer_that_is_odd_or_never_whole(
    hurried: Generations, sandbox: Sandbox, kind: Any
) -> None:
    started = await hurried.start(field(seed=1))
    sandbox.inject(Fault(where="fetch", kind=kind))
    with anyio.fail_after(60):
        try:
            stored = await hurried.wait(started.id)
        except ImageUnavailable:  # half an emoji in the address of the image
            stored = await hurried.wait(started.id)
    assert stored.status == "stored"
    assert sandbox.faults == []


@pytest.mark.parametrize("kind", ["drip", "continue", "garbled"])
async def test_an_image_that_never_comes_whole_ends_with_the_time_that_a_person_gave(
    generations: Generations, sandbox: Sandbox, kind: Any
) -> None:
    sandbox.inject(Fault(where="image", kind=kind, times=None))
    started = await generations.start(field(seed=1))
    with anyio.fail_after(30), pytest.raises((TimeoutError, ImageUnavailable)):
        await generations.wait(started.id, seconds=1)
    assert (await generations.get(started.id)).status == "finished"
    sandbox.clear()
    assert (await generations.wait(started.id)).status == "stored"


async def test_an_image_host_that_cannot_be_reached_ends_with_the_time_that_a_person_gave(
    generations: Generations, sandbox: Sandbox
) -> None:
    nobody = Fault(where="image", kind="redirect", location="http://127.0.0.1:9/image.png", times=None)
    sandbox.inject(nobody)
    ids = [(await generations.start(field(seed=seed))).id for seed in range(2)]
    with anyio.fail_after(30), pytest.raises(ImageUnavailable, match=r"within the time allowed: .*refused.*paid"):
        await moves(generations, *ids, seconds=1)
    assert {(await generations.get(id_)).status for id_ in ids} == {"finished"}


async def test_one_who_waits_longer_is_not_ended_by_one_who_waits_for_a_moment(
    generations: Generations, sandbox: Sandbox, delay: Delay
) -> None:
    sandbox.inject(Fault(where="image", kind="slow", seconds=0))
    started = await generations.start(field(seed=1))
    with delay.held():
        patient = asyncio.create_task(generations.wait(started.id))
        with anyio.fail_after(60), pytest.raises(StillRunning):
            await generations.wait(started.id, seconds=1)
        assert not patient.done()
    assert (await asyncio.wait_for(patient, 60)).status == "stored"
    assert [request.path.partition("/")[2].partition("/")[0] for request in sandbox.requests].count("images") == 1


async def test_an_account_that_drips_is_given_up(sandbox: Sandbox, url: str) -> None:
    sandbox.inject(Fault(where="account", kind="drip", times=None))
    async with ApiframeClient(key=SecretStr("sandbox"), base_url=url, policy=QUICK, read_seconds=0.3) as client:
        with anyio.fail_after(60), pytest.raises(ServiceUnreachable, match=r"no whole answer|0\.3 seconds"):
            await client.account()


async def test_a_failure_whose_words_cannot_be_stored_is_recorded(generations: Generations, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="fail", message="too bold"))
    sandbox.inject(Fault(where="fetch", kind="half-emoji", times=None))
    started = await generations.start(field(seed=1))
    with pytest.raises(GenerationFailed, match="too bold\ufffd"):
        await generations.wait(started.id)
    assert (await generations.get(started.id)).message == "too bold\ufffd\ufffd"


async def test_the_words_of_a_refusal_can_be_stored_and_are_not_long(
    generations: Generations, sandbox: Sandbox
) -> None:
    body = json.dumps({"errors": [{"msg": HALF + "x" * 100_000}] * 50})
    sandbox.inject(Fault(where="submit", kind="refuse", status=400, body=body))
    with pytest.raises(ServiceRefused) as caught:
        await generations.start(field())
    assert len(str(caught.value)) < 11_000
    assert (await generations.recent())[0].status == "refused"


# Polls


@pytest.mark.parametrize("kind", ["drip", "continue"])
async def test_a_poll_that_drips_holds_up_no_other_generation(settings: Settings, sandbox: Sandbox, kind: Any) -> None:
    for where in ("fetch", "fetch-many"):
        sandbox.inject(Fault(where=where, kind=kind, match="a slow river", times=None))
    async with Generations.open(settings.model_copy(update={"read_seconds": 600}), door="test") as generations:
        slow = await generations.start(field(prompt="a slow river"))
        waiting = asyncio.create_task(generations.wait(slow.id))
        with anyio.fail_after(60):
            while not polls(sandbox):
                await anyio.lowlevel.checkpoint()
            assert (await generations.wait((await generations.start(field(seed=1))).id)).status == "stored"
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_a_silent_poll_of_several_is_given_up_and_its_tasks_are_asked_for_apart(
    settings: Settings, sandbox: Sandbox
) -> None:
    for where in ("fetch", "fetch-many"):
        sandbox.inject(Fault(where=where, kind="drip", match="a slow river", times=None))
    async with Generations.open(settings.model_copy(update={"read_seconds": 1}), door="test") as generations:
        slow = await generations.start(field(prompt="a slow river"))
        owed = {(await generations.start(field(seed=seed))).id for seed in range(3)}
        with anyio.fail_after(60):
            async for moved in generations.follow(slow.id, *owed):
                owed -= {moved.id} if moved.status == "stored" else set()
                if not owed:
                    sandbox.clear()
        assert (await generations.get(slow.id)).status == "stored"


# TLS


@pytest.fixture
def secure(settings: Settings, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings that lead to the sandbox, served with TLS."""
    own = identity(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(own.issuer))
    with serving(sandbox, certificate=own.chain) as server:
        yield settings.model_copy(update={"base_url": server.url.replace("127.0.0.1", "localhost")})


async def test_tls_that_breaks_after_a_submit_leaves_it_unconfirmed(secure: Settings, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="garbled"))
    async with Generations.open(secure, door="test") as generations:
        await lost(generations)
    assert sandbox.charges == 1


@pytest.mark.parametrize("where", ["fetch", "image"])
async def test_tls_that_breaks_while_reading_is_ridden_out(secure: Settings, sandbox: Sandbox, where: Any) -> None:
    async with Generations.open(secure, door="test") as generations:
        sandbox.inject(Fault(where=where, kind="garbled"))
        assert (await generations.wait((await generations.start(field(seed=1))).id)).status == "stored"
    assert sandbox.faults == []


async def test_tls_that_breaks_while_the_account_is_read_is_ridden_out(secure: Settings, sandbox: Sandbox) -> None:
    async with Generations.open(secure, door="test") as generations:
        sandbox.inject(Fault(where="account", kind="garbled"))
        assert (await generations.account()).credits == 1000
