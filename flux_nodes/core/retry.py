"""When a request may be sent again, and how long to wait: pure functions, and the transport that applies them.

One rule: a request is repeated when repeating it cannot cost anything. Reading (fetch, account, images) never costs.
A submit is repeated only when it is certain that the service did not take it: no connection came about, or the answer
was 429.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping

DEADLINE = "flux_nodes.deadline"
"""Request extension: seconds after which this request is given up, where that is sooner than the policy says."""

STOP = "flux_nodes.stop"
"""Request extension: an asyncio.Event; once it is set, the request is not sent again."""

CHARGES = "flux_nodes.charges"
"""Request extension: true on a request that the service may charge for."""

NEVER_CONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
"""Failures after which it is certain that the service never saw the request."""

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
    """Tell whether a request with this outcome may be sent again without any risk of paying twice."""
    if isinstance(outcome, httpx2.Response):
        return outcome.status_code == 429 if charges else outcome.status_code in _PASSING
    return isinstance(outcome, NEVER_CONNECTED) or not charges


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Read `Retry-After` as seconds from `now`; None when absent or unreadable.

    Source: RFC 9110, section 10.2.3 (a number of seconds, or a date).
    """
    wish = headers.get("retry-after", "").strip()
    if wish.isascii() and wish.isdigit():
        return float(wish[:9])
    try:
        moment = parsedate_to_datetime(wish)
    except (TypeError, ValueError, OverflowError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def pause(attempt: int, policy: Policy, *, chance: float, wish: float | None = None) -> float:
    """Return the seconds before attempt `attempt + 1`.

    The service's wish (capped), or full jitter under a doubling ceiling.

    `chance` is in 0..1. A wish gets up to a tenth of jitter on top, so that many clients do not come back at one
    moment.
    """
    if wish is not None:
        return min(wish, policy.longest_wish) * (1 + chance / 10)
    return float(min(policy.longest, policy.first * 2 ** min(attempt, 30))) * chance


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
            if isinstance(outcome, httpx2.Response):
                await outcome.aclose()
            await self._rest(wait, request.extensions.get(STOP))
            attempt += 1

    async def _rest(self, seconds: float, stop: asyncio.Event | None) -> None:
        if stop is None:
            return await self._sleep(seconds)
        told = asyncio.ensure_future(stop.wait())
        done, _ = await asyncio.wait([told], timeout=seconds)
        told.cancel()
        if done:
            # Of the kind that says "never sent": only what was surely not accepted comes to a pause.
            raise httpx2.ConnectError("the program was interrupted while it waited to try again")
        return None

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()

    async def _attempt(self, request: httpx2.Request) -> httpx2.Response | httpx2.TransportError:
        try:
            return await self._inner.handle_async_request(request)
        except httpx2.TransportError as error:
            return error

    def _pause(self, attempt: int, outcome: httpx2.Response | httpx2.TransportError) -> float:
        wish = None
        if isinstance(outcome, httpx2.Response):
            wish = retry_after(outcome.headers, now=datetime.now(UTC))
        # Jitter spreads load; it keeps no secret.
        return pause(attempt, self._policy, chance=random.random(), wish=wish)  # noqa: S311


def _given(outcome: httpx2.Response | httpx2.TransportError) -> httpx2.Response:
    if isinstance(outcome, httpx2.TransportError):
        raise outcome
    return outcome


@cache
def tls() -> ssl.SSLContext:
    """Return the one TLS context of this process: making one takes longer than most requests."""
    return httpx2.create_ssl_context()


def transport_for(base_url: str) -> httpx2.AsyncHTTPTransport:
    """Make a transport to a host, through the proxy that the environment names for it, if any."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    proxies: dict[str, str] = {} if host in {"localhost", "127.0.0.1", "::1"} or proxy_bypass(host) else getproxies()
    return httpx2.AsyncHTTPTransport(verify=tls(), proxy=proxies.get(parts.scheme) or proxies.get("all"))
