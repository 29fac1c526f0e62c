"""When a request may be sent again, and how long to wait: pure functions, and the transport that applies them.

One rule: a request is repeated when repeating it cannot cost anything. Reading (fetch, account, images) never costs.
A submit is repeated only when it is certain that the service did not accept it: no connection came about, or the answer
was 429.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx2

from .certificates import tls_reason
from .network import NEVER_CONNECTED, CannotConnect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

DEADLINE = "flux_nodes.deadline"
"""Request extension: seconds after which this request is given up, where that is sooner than the policy says."""

STOP = "flux_nodes.stop"
"""Request extension: an asyncio.Event; once it is set, the request is not sent again."""

CHARGES = "flux_nodes.charges"
"""Request extension: true on a request that the service may charge for."""

SECONDS = "flux_nodes.seconds"
"""Request extension: how long one try may take as a whole, from its connection to the last byte of its answer."""

MOST_BYTES = 4 * 2**20
"""The longest body of an answer that is read; one byte more tells that it is too long."""

_SECONDS_OF_AN_ERROR = 5.0
"""How long the words of an error may take; its status alone says what to do."""

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How long to keep trying.

    Seconds of the first and the longest pause, of the whole effort, and the longest `Retry-After` obeyed.
    """

    first: float = 0.5
    longest: float = 10.0
    deadline: float = 60.0
    longest_wish: float = 60.0


def may_repeat(outcome: httpx2.Response | httpx2.TransportError, *, charges: bool) -> bool:
    """Tell whether a request with this outcome may be sent again without any risk of paying twice, and is worth it."""
    if isinstance(outcome, httpx2.Response):
        return outcome.status_code == 429 if charges else outcome.status_code in _PASSING
    if isinstance(outcome, CannotConnect):
        return False
    return isinstance(outcome, NEVER_CONNECTED) or not charges


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Read `Retry-After` as seconds; None when absent or unreadable.

    A date is measured from the answer's own `Date`, for this machine's clock may be wrong, and only without one from
    `now`. Source: RFC 9110, section 10.2.3 (a number of seconds, or a date).
    """
    wish = headers.get("retry-after", "").strip()
    if wish.isascii() and wish.isdigit():
        return float(wish[:9])
    moment = _moment(wish)
    if moment is None:
        return None
    return max(0.0, (moment - (_moment(headers.get("date", "")) or now)).total_seconds())


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def pause(attempt: int, policy: Policy, *, chance: float, wish: float | None = None) -> float:
    """Return the seconds before attempt `attempt + 1`.

    Full jitter under a doubling ceiling, or the service's wish (capped) where that is longer: a wish of 0, or for a
    time that is past, is no leave to send without a pause.

    `chance` is in 0..1. A wish gets up to a tenth of jitter on top, so that many clients do not come back at one
    moment.
    """
    usual = float(min(policy.longest, policy.first * 2 ** min(attempt, 30))) * chance
    return usual if wish is None else max(usual, min(wish, policy.longest_wish) * (1 + chance / 10))


class RetryTransport(httpx2.AsyncBaseTransport):
    """A transport that sends again where `may_repeat` allows it, within the policy's deadline."""

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        *,
        policy: Policy | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._inner = inner
        self._policy = policy or Policy()
        self._sleep = sleep

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send, and send again while that is free and there is time."""
        charges = bool(request.extensions.get(CHARGES))
        clock = asyncio.get_running_loop().time
        until = clock() + min(self._policy.deadline, request.extensions.get(DEADLINE, self._policy.deadline))
        attempt = 0
        while True:
            outcome = await self._attempt(request)
            wait = self._pause(attempt, outcome)
            if not may_repeat(outcome, charges=charges) or clock() + wait > until:
                return _given(outcome)
            if await self._stopped(wait, request.extensions.get(STOP)):
                return _given(outcome)
            attempt += 1

    async def _stopped(self, seconds: float, stop: asyncio.Event | None) -> bool:
        """Rest before the next try; tell whether there is to be none."""
        if stop is None:
            await self._sleep(seconds)
            return False
        told = asyncio.ensure_future(stop.wait())
        done, _ = await asyncio.wait([told], timeout=seconds)
        told.cancel()
        return bool(done)

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()

    async def _attempt(self, request: httpx2.Request) -> httpx2.Response | httpx2.TransportError:
        """Send once and read the whole answer, within the request's own seconds; whatever breaks is returned."""
        progress = request.extensions["trace"] = _Progress()
        pieces: list[bytes] = []
        seconds = request.extensions.get(SECONDS)
        try:
            async with asyncio.timeout(seconds) as clock:
                return await _whole(await self._inner.handle_async_request(request), pieces)
        except httpx2.TransportError as error:
            failure = error
        except OSError as error:
            # Not only the timeout: after the handshake, what TLS raises comes through httpcore2 as it is.
            why = f"no whole answer within {seconds:.3g} seconds" if clock.expired() else _broken(error)
            failure = httpx2.ConnectError(why) if progress.surely_unsent else _after_sending(error, why)
        if pieces:
            return BrokenReply(in_words(failure), content=b"".join(pieces))
        return failure

    def _pause(self, attempt: int, outcome: httpx2.Response | httpx2.TransportError) -> float:
        wish = None
        if isinstance(outcome, httpx2.Response):
            wish = retry_after(outcome.headers, now=datetime.now(UTC))
        # Jitter spreads load; it keeps no secret.
        return pause(attempt, self._policy, chance=random.random(), wish=wish)  # noqa: S311


class BrokenReply(httpx2.ReadError):
    """An answer of a good status that broke off; `content` are the bytes of its body that came, as they came."""

    def __init__(self, message: str, *, content: bytes) -> None:
        super().__init__(message)
        self.content = content


NO_WHOLE_ANSWER = (httpx2.ReadTimeout, BrokenReply)
"""Failures of a request that was sent, and whose answer did not come, or not whole."""


class _Progress:
    """Follows one try by the trace events of httpcore2, to know whether anything of the request was sent."""

    def __init__(self) -> None:
        self._seen = self._sent = False

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self._seen = True
        # A proxy is asked for a tunnel with a request of its own, before ours.
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self._sent = True

    @property
    def surely_unsent(self) -> bool:
        """Whether not a byte of the request was sent; False also where a transport tells nothing."""
        return self._seen and not self._sent


async def _whole(response: httpx2.Response, pieces: list[bytes]) -> httpx2.Response:
    """Read an answer to its end, or to one byte more than is allowed; `pieces` takes what comes of a good one."""
    good = response.is_success
    body = pieces if good else []
    try:
        async with asyncio.timeout(None if good else _SECONDS_OF_AN_ERROR), aclosing(response):
            size = 0
            async for piece in response.aiter_raw():
                body.append(piece)
                size += len(piece)
                if size > MOST_BYTES:
                    break
    except (OSError, httpx2.TransportError):
        if good:
            raise
        # The status of an error says enough, whatever became of its words: 429 means that a submit was not taken.
    extensions = {name: value for name, value in response.extensions.items() if name != "network_stream"}
    return httpx2.Response(response.status_code, headers=response.headers, stream=_Pieces(body), extensions=extensions)


class _Pieces(httpx2.AsyncByteStream):
    """A body that is there, in the pieces in which it came: unpacked one by one, none can become very large."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def _after_sending(error: OSError, why: str) -> httpx2.TransportError:
    return httpx2.ReadTimeout(why) if isinstance(error, TimeoutError) else httpx2.ReadError(why)


def _broken(error: OSError) -> str:
    reason = tls_reason(error) if isinstance(error, ssl.SSLError) else error.strerror or str(error)
    return f"the connection broke: {reason}"


def in_words(error: httpx2.HTTPError | OSError) -> str:
    """Return an error's own words, or ours: httpcore2 has none where a connection is reset or a clock runs out."""
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return _broken(error)
    name = type(error).__name__
    return str(error) or _WITHOUT_WORDS.get(name, name)


_WITHOUT_WORDS = {
    "ConnectTimeout": "no connection in time",
    "ReadTimeout": "no answer in time",
    "TimeoutError": "no whole answer in time",
    "WriteTimeout": "the request could not be sent in time",
    "ReadError": "the connection broke before the answer was whole",
    "WriteError": "the connection broke while the request was sent",
}


def _given(outcome: httpx2.Response | httpx2.TransportError) -> httpx2.Response:
    if isinstance(outcome, httpx2.TransportError):
        raise outcome
    return outcome
