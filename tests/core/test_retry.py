from __future__ import annotations

import asyncio
import random
import ssl
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_nodes.core.network import CannotConnect
from flux_nodes.core.retry import (
    CHARGES,
    DEADLINE,
    MOST_BYTES,
    SECONDS,
    STOP,
    BrokenReply,
    Policy,
    RetryTransport,
    may_repeat,
    pause,
    retry_after,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 500, 502, 503, 504, 200])
def test_a_submit_that_was_answered_is_never_repeated(status: int) -> None:
    assert not may_repeat(httpx2.Response(status), charges=True)


def test_a_submit_answered_by_429_is_repeated() -> None:
    assert may_repeat(httpx2.Response(429), charges=True)


@pytest.mark.parametrize(
    ("error", "safe"),
    [
        (httpx2.ConnectError("x"), True),
        (httpx2.ConnectTimeout("x"), True),
        (httpx2.PoolTimeout("x"), True),
        (httpx2.ReadTimeout("x"), False),
        (httpx2.ReadError("x"), False),
        (httpx2.WriteError("x"), False),
        (httpx2.WriteTimeout("x"), False),
        (httpx2.RemoteProtocolError("x"), False),
        (httpx2.CloseError("x"), False),
        (httpx2.ProxyError("x"), True),
    ],
)
def test_a_submit_is_repeated_only_when_it_never_reached_the_service(error: httpx2.TransportError, safe: bool) -> None:
    assert may_repeat(error, charges=True) is safe
    assert may_repeat(error, charges=False)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_reading_is_repeated_after_what_passes(status: int) -> None:
    assert may_repeat(httpx2.Response(status), charges=False)


@pytest.mark.parametrize("status", [200, 204, 400, 401, 404, 413, 501])
def test_reading_is_not_repeated_after_what_stays(status: int) -> None:
    assert not may_repeat(httpx2.Response(status), charges=False)


@pytest.mark.parametrize("charges", [True, False])
def test_what_cannot_be_connected_to_is_not_tried_again(charges: bool) -> None:
    assert not may_repeat(CannotConnect("the certificate is wrong"), charges=charges)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (format_datetime(NOW + timedelta(seconds=90)), 90),
        (format_datetime(NOW - timedelta(seconds=90)), 0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("1.5", None),
        ("٣", None),
        ("Mon, 99 Nov 2026", None),
        ("9" * 10, 999_999_999),
        (format_datetime((NOW + timedelta(seconds=90)).astimezone(timezone(timedelta(hours=2)))), 90),
        (format_datetime((NOW + timedelta(seconds=90)).replace(tzinfo=None)), 90),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": header}, now=NOW) == seconds


@pytest.mark.parametrize(("date", "seconds"), [(NOW - timedelta(days=400), 90), (None, 34_560_090)])
def test_a_date_is_measured_from_the_answers_own_clock(date: datetime | None, seconds: float) -> None:
    headers = {"retry-after": format_datetime(NOW - timedelta(days=400) + timedelta(seconds=90))}
    if date is not None:
        headers["date"] = format_datetime(date)
    assert retry_after(headers, now=NOW - timedelta(days=800)) == seconds


@pytest.mark.parametrize("date", ["", "now", "Mon, 99 Nov 2026"])
def test_an_answer_whose_own_date_cannot_be_read_is_measured_from_ours(date: str) -> None:
    headers = {"retry-after": format_datetime(NOW + timedelta(seconds=9)), "date": date}
    assert retry_after(headers, now=NOW) == 9


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1e9))
def test_a_wish_makes_a_pause_no_shorter(attempt: int, chance: float, wish: float) -> None:
    policy = Policy()
    assert pause(attempt, policy, chance=chance, wish=wish) >= pause(attempt, policy, chance=chance)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_a_pause_is_never_longer_than_the_policy_says(attempt: int, chance: float) -> None:
    policy = Policy(first=0.5, longest=8)
    assert 0 <= pause(attempt, policy, chance=chance) <= min(8, 0.5 * 2 ** min(attempt, 5) if attempt < 5 else 8)


@given(st.floats(0, 1e9), st.floats(0, 1))
def test_a_wish_is_obeyed_up_to_the_cap(wish: float, chance: float) -> None:
    wait = pause(0, Policy(longest_wish=60), chance=chance, wish=wish)
    assert min(wish, 60) <= wait <= 66


def test_an_answer_without_a_wish_has_none() -> None:
    assert retry_after({}, now=NOW) is None


def test_the_ceiling_of_a_pause_doubles_with_every_attempt() -> None:
    policy = Policy(first=0.5, longest=8)
    assert [pause(attempt, policy, chance=1) for attempt in range(6)] == [0.5, 1, 2, 4, 8, 8]
    assert pause(3, policy, chance=0.25) == 1
    assert pause(100, Policy(first=1, longest=1e12), chance=1) == 2**30


def test_a_wish_gets_up_to_a_tenth_on_top() -> None:
    assert pause(0, Policy(), chance=1, wish=10) == 11


class Inner(httpx2.AsyncBaseTransport):
    """Answers with one thing after another: a response, an error to raise, or seconds to stay silent for ever."""

    def __init__(self, *outcomes: httpx2.Response | Exception | None, events: Sequence[str] = ()) -> None:
        self.outcomes = list(outcomes)
        self.events = events
        self.tries = 0
        self.closed = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.tries += 1
        for event in self.events:
            await request.extensions["trace"](event, {"request": SimpleNamespace(method=b"POST")})
        outcome = self.outcomes.pop(0)
        if outcome is None:
            await asyncio.Event().wait()
        if isinstance(outcome, Exception):
            raise outcome
        assert outcome is not None
        return outcome

    async def aclose(self) -> None:
        self.closed = True


class Body(httpx2.AsyncByteStream):
    """The pieces of a body, and an error behind them."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
        if self.error is not None:
            raise self.error

    async def aclose(self) -> None:
        self.closed = True


class Trial:
    """A transport that repeats, and the pauses that it made; none of them takes any time."""

    def __init__(self, inner: Inner, policy: Policy | None = None) -> None:
        self.inner = inner
        self.pauses: list[float] = []
        self.transport = RetryTransport(inner, policy=policy, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def send(self, **extensions: Any) -> httpx2.Response:
        request = httpx2.Request("POST", "https://service.example/fetch", extensions=extensions)
        return await self.transport.handle_async_request(request)


@pytest.fixture(autouse=True)
def the_longest_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 1.0)


def refused(status: int, **headers: str) -> httpx2.Response:
    wishes = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, headers=wishes, stream=Body())


async def test_reading_goes_on_with_longer_pauses_until_there_is_an_answer() -> None:
    body = Body(b"one ", b"two")
    errors: list[httpx2.Response | Exception] = [refused(503), httpx2.ReadError("x"), refused(500), OSError("x")]
    trial = Trial(Inner(*errors, httpx2.Response(200, headers={"x-kept": "yes"}, stream=body)))
    answer = await trial.send()
    assert (answer.status_code, answer.headers["x-kept"], await answer.aread()) == (200, "yes", b"one two")
    assert trial.pauses == [0.5, 1, 2, 4]
    assert body.closed


async def test_a_charged_request_is_sent_again_after_429_only() -> None:
    trial = Trial(Inner(refused(429, retry_after="3"), httpx2.ConnectError("x"), refused(500)))
    assert (await trial.send(**{CHARGES: True})).status_code == 500
    assert trial.pauses == [pytest.approx(3.3), 1]


async def test_a_charged_request_that_broke_off_is_not_sent_again() -> None:
    trial = Trial(Inner(ssl.SSLError(1, "bad record")))
    with pytest.raises(httpx2.ReadError, match=r"^the connection broke: bad record$"):
        await trial.send(**{CHARGES: True})
    assert trial.inner.tries == 1


@pytest.mark.parametrize(
    ("extensions", "wish", "tries"),
    [
        ({}, "800", 2),
        ({}, "950", 1),
        ({DEADLINE: 500}, "400", 2),
        ({DEADLINE: 500}, "480", 1),
        ({DEADLINE: 9_000}, "950", 1),
    ],
)
async def test_a_pause_beyond_the_deadline_is_not_begun(extensions: dict[str, Any], wish: str, tries: int) -> None:
    policy = Policy(deadline=1_000, longest_wish=1_000)
    trial = Trial(Inner(refused(503, retry_after=wish), refused(200)), policy)
    answer = await trial.send(**extensions)
    assert trial.inner.tries == tries
    assert answer.status_code == (200 if tries == 2 else 503)
    assert len(trial.pauses) == tries - 1


async def test_an_error_at_the_deadline_is_raised() -> None:
    trial = Trial(Inner(httpx2.ConnectError("no route")), Policy(deadline=0))
    with pytest.raises(httpx2.ConnectError, match=r"^no route$"):
        await trial.send()


async def test_a_pause_ends_at_once_when_the_program_is_interrupted() -> None:
    stop = asyncio.Event()
    stop.set()
    policy = Policy(deadline=9_000, longest_wish=1_000)
    trial = Trial(Inner(refused(429, retry_after="1000"), refused(200)), policy)
    async with asyncio.timeout(60):
        assert (await trial.send(**{STOP: stop, CHARGES: True})).status_code == 429
    assert (trial.inner.tries, trial.pauses) == (1, [])


async def test_a_pause_that_nobody_interrupts_ends_by_itself() -> None:
    trial = Trial(Inner(refused(429), refused(200)), Policy(first=0.01))
    begun, before = asyncio.get_running_loop().time(), asyncio.all_tasks()
    async with asyncio.timeout(60):
        assert (await trial.send(**{STOP: asyncio.Event()})).status_code == 200
    assert asyncio.get_running_loop().time() - begun >= 0.009
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


BROKE, MAC = "the connection broke:", "decryption failed or bad record mac"


def tls_error(reason: str) -> ssl.SSLError:
    """An error as Python makes one: its text holds a line of Python's own source."""
    error = ssl.SSLError(1, f"[SSL: {reason}] {reason.lower()} (_ssl.c:2580)")
    error.reason = reason
    return error


SENT = ("connection.connect_tcp.started", "http11.send_request_headers.started")


@pytest.mark.parametrize(
    ("outcome", "events", "kind", "words"),
    [
        (None, (), httpx2.ReadTimeout, "no whole answer within 0.05 seconds"),
        (None, SENT, httpx2.ReadTimeout, "no whole answer within 0.05 seconds"),
        (None, SENT[:1], httpx2.ConnectError, "no whole answer within 0.05 seconds"),
        (ssl.SSLError(1, "alert"), SENT, httpx2.ReadError, "the connection broke: alert"),
        (ssl.SSLError(1, "alert"), SENT[:1], httpx2.ConnectError, "the connection broke: alert"),
        (tls_error("DECRYPTION_FAILED_OR_BAD_RECORD_MAC"), SENT, httpx2.ReadError, f"{BROKE} {MAC}"),
        (OSError("no words"), (), httpx2.ReadError, "the connection broke: no words"),
        (httpx2.WriteError("as it is"), SENT, httpx2.WriteError, "as it is"),
    ],
)
async def test_how_a_try_broke_tells_whether_anything_was_sent(
    outcome: Exception | None, events: Sequence[str], kind: type[Exception], words: str
) -> None:
    trial = Trial(Inner(outcome, events=events), Policy(deadline=0))
    with pytest.raises(kind) as raised:
        await trial.send(**{SECONDS: 0.05})
    assert (type(raised.value), str(raised.value)) == (kind, words)


async def test_the_request_of_a_tunnel_is_not_the_request() -> None:
    inner = Inner(None)
    trial = Trial(inner, Policy(deadline=0))

    async def silent(request: httpx2.Request) -> httpx2.Response:
        await request.extensions["trace"](SENT[1], {"request": SimpleNamespace(method=b"CONNECT")})
        raise OSError("the proxy is gone")

    inner.handle_async_request = silent  # type: ignore[method-assign]  # what only a proxy does
    with pytest.raises(httpx2.ConnectError):
        await trial.send()


@pytest.mark.parametrize(
    ("error", "words"),
    [(httpx2.ReadError("cut"), "cut"), (httpx2.ReadError(""), "broke before"), (None, "within 0.05")],
)
async def test_the_bytes_of_an_answer_that_broke_off_are_kept(error: Exception | None, words: str) -> None:
    class Silent(Body):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"ab"
            yield b"cd"
            if error is not None:
                raise error
            await asyncio.Event().wait()

    trial = Trial(Inner(httpx2.Response(200, stream=Silent())), Policy(deadline=0))
    with pytest.raises(BrokenReply, match=words) as raised:
        await trial.send(**{SECONDS: 0.05})
    assert raised.value.content == b"abcd"


async def test_the_status_of_an_error_counts_whatever_became_of_its_words() -> None:
    broken = Body(b'{"mess', error=httpx2.ReadError("cut"))
    trial = Trial(Inner(httpx2.Response(404, stream=broken)))
    answer = await trial.send()
    assert (answer.status_code, await answer.aread(), broken.closed) == (404, b'{"mess', True)


class Dripping(Body):
    """The pieces of a body, slowly, and then silence."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            await asyncio.sleep(0)
            yield piece
        if self.error is None:
            await asyncio.Event().wait()


async def test_the_words_of_an_error_are_waited_for_a_shorter_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flux_nodes.core.retry._SECONDS_OF_AN_ERROR", 0)
    good = Dripping(b"all ", b"of it", error=httpx2.ReadError("not raised"))
    trial = Trial(Inner(httpx2.Response(404, stream=Dripping(b"no")), httpx2.Response(200, stream=good)))
    async with asyncio.timeout(60):
        assert (await trial.send()).status_code == 404
        assert await (await trial.send()).aread() == b"all of it"


async def test_an_error_that_never_ends_is_no_answer_that_broke_off() -> None:
    trial = Trial(Inner(httpx2.Response(404, stream=Dripping(b"no"))), Policy(deadline=0))
    with pytest.raises(httpx2.ReadTimeout) as raised:
        await trial.send(**{SECONDS: 0.05})
    assert not isinstance(raised.value, BrokenReply)


async def test_a_wish_for_a_time_of_the_day_is_measured_from_now_where_the_answer_has_no_clock() -> None:
    wish = format_datetime(datetime.now(UTC) + timedelta(seconds=2_000))
    policy = Policy(deadline=9_000, longest_wish=1_000)
    trial = Trial(Inner(refused(503, retry_after=wish), refused(200)), policy)
    assert (await trial.send()).status_code == 200
    assert trial.pauses == [pytest.approx(1_100)]


@pytest.mark.parametrize("status", [200, 404])
async def test_no_more_of_an_answer_is_read_than_tells_that_it_is_too_long(status: int) -> None:
    whole, more = Body(b"x" * MOST_BYTES), Body(b"x" * MOST_BYTES, b"y", b"z")
    trial = Trial(Inner(httpx2.Response(status, stream=whole), httpx2.Response(status, stream=more)))
    assert len(await (await trial.send()).aread()) == MOST_BYTES
    assert (await (await trial.send()).aread())[-2:] == b"xy"


async def test_what_an_answer_says_of_its_connection_is_not_kept() -> None:
    extensions = {"network_stream": object(), "http_version": b"HTTP/2"}
    trial = Trial(Inner(httpx2.Response(200, stream=Body(), extensions=extensions)))
    assert (await trial.send()).extensions == {"http_version": b"HTTP/2"}


async def test_closing_closes_what_it_sends_through() -> None:
    trial = Trial(Inner())
    await trial.transport.aclose()
    assert trial.inner.closed
