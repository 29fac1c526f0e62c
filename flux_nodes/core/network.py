"""The network as the environment sets it (`proxy`, `certificates`), and which failures surely sent nothing.

What is set is read when the first request is sent: whoever does not need the network is not told of a wrong value.

A request is *unsent* where a connection did not come about: a name that is not found, a refused connection, a proxy
that says no, a TLS handshake that fails. Everything later may have been charged.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress
from socket import gaierror
from typing import TYPE_CHECKING, Any, TypeGuard

import httpcore2
import httpx2

from .certificates import context_for, handshake_in_words
from .proxy import Proxy, proxy_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Trace = Callable[[str, dict[str, Any]], Awaitable[None]]

NEVER_CONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
"""Failures after which it is certain that the service never saw the request.

httpcore2 raises the first two only while it connects and shakes hands, and ProxyError only where a proxy refuses to
connect (`_async/http_proxy.py`, `_async/socks_proxy.py`).
"""


class CannotConnect(httpx2.ConnectError):
    """No connection came about, and sending again at once would not help: a certificate, or a proxy that says no.

    `lasting` where it would not help in a minute either.
    """

    lasting = True


class ProxyFailed(CannotConnect):
    """The proxy could not reach the service (502, 504)."""

    lasting = False


class ProxyNotFound(CannotConnect):
    """The proxy that the environment names cannot be connected to."""

    lasting = False


class NetworkTransport(httpx2.AsyncBaseTransport):
    """A transport that goes the way that the environment names; that is read at the first request to each host."""

    def __init__(self) -> None:
        self._ways: dict[tuple[str, str, int | None], Proxy | None] = {}
        self._transports: dict[tuple[Proxy | None, str], httpx2.AsyncHTTPTransport] = {}

    def require(self, url: httpx2.URL) -> None:
        """Make sure that an address can be sent to, as far as settings tell. Raises InvalidSettings."""
        context_for(url)
        self._way(url)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request. Raises InvalidSettings, and httpx2.TransportError: one of NEVER_CONNECTED where unsent."""
        proxy = self._way(request.url)
        transport = self._transport(proxy, request.url)
        stage = Stage(request.extensions.get("trace"))
        request.extensions = {**request.extensions, "trace": stage}
        try:
            return await transport.handle_async_request(request)
        except Exception as error:
            told = explained(error, stage, proxy)
            if isinstance(told, NEVER_CONNECTED):
                await stage.aclose()
            if told is error:
                raise
            raise told from error

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._transports.values():
            await transport.aclose()

    def _way(self, url: httpx2.URL) -> Proxy | None:
        origin = (url.scheme, url.host, url.port)
        if origin not in self._ways:
            self._ways[origin] = proxy_for(url)
        return self._ways[origin]

    def _transport(self, proxy: Proxy | None, url: httpx2.URL) -> httpx2.AsyncHTTPTransport:
        known = (proxy, url.scheme)
        if known not in self._transports:
            through = None if proxy is None else _as_httpx2(proxy)
            self._transports[known] = httpx2.AsyncHTTPTransport(verify=context_for(url), proxy=through)
        return self._transports[known]


def _as_httpx2(proxy: Proxy) -> httpx2.Proxy:
    return httpx2.Proxy(proxy.url, ssl_context=context_for(proxy.url) if proxy.url.scheme == "https" else None)


class Stage:
    """How far a request has come, as httpcore2 traces it (its `trace` request extension).

    `unsent` is true only inside a part of which it is known that it comes before the request itself; `secured` is the
    host of the last TLS handshake.
    """

    def __init__(self, onward: Trace | None = None) -> None:
        """Pass every event on to `onward`, which was there before."""
        self._onward = onward
        self.unsent = False
        self.tunnelled = False
        self.secured = ""
        self._stream: httpcore2.AsyncNetworkStream | None = None

    async def aclose(self) -> None:
        """Close a connection that came to nothing: httpcore2 leaves it open where a SOCKS proxy refuses."""
        if self._stream is not None:
            await self._stream.aclose()

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        """Take note of an event."""
        if self._onward is not None:
            await self._onward(event, info)
        step = event.partition(".")[2]
        if step in {"connect_tcp.started", "start_tls.started", "setup_socks5_connection.started"}:
            self.unsent = True
            self.tunnelled = self.tunnelled or not step.startswith("connect_tcp")
            self.secured = info.get("server_hostname", self.secured)
        elif step in {"connect_tcp.complete", "start_tls.complete", "setup_socks5_connection.complete"}:
            self.unsent = False
            self._stream = info.get("return_value") or self._stream
        elif step == "send_request_headers.started":
            # The request that asks a proxy for a connection is not yet the one that may be charged.
            self.unsent = self.tunnelled = info["request"].method == b"CONNECT"


def explained(error: Exception, stage: Stage, proxy: Proxy | None) -> Exception:
    """Return an error of a request in words, of a class that tells whether it may have been sent."""
    handshake = next((each for each in _chain(error) if _is_verdict(each)), None)
    if handshake is not None and (stage.unsent or isinstance(error, httpx2.ConnectError)):
        return CannotConnect(handshake_in_words(handshake, stage.secured or "the host"))
    if proxy is not None and (stage.unsent or isinstance(error, NEVER_CONNECTED)):
        return _of_proxy(error, stage, proxy)
    if isinstance(error, httpx2.ConnectError) or (stage.unsent and not isinstance(error, httpx2.TransportError)):
        return httpx2.ConnectError(_of_connecting(error))
    return error


def _is_verdict(error: BaseException) -> TypeGuard[ssl.SSLError]:
    """Tell whether TLS says what is wrong: where time ran out, it only says that it still waits for bytes."""
    return isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLWantReadError, ssl.SSLWantWriteError))


def _of_proxy(error: Exception, stage: Stage, proxy: Proxy) -> httpx2.TransportError:
    if isinstance(error, httpx2.PoolTimeout):
        return error
    said = "".join(filter(str.isprintable, str(error)))[:100].strip()
    if isinstance(error, httpx2.ProxyError):
        status = said[:3] if said[:3].isdigit() else ""
        words = f"{proxy} refused to connect: {said}"
        if status == "407":
            words += " (it wants a user name and password that are right)"
        if status == "503":  # it has too much to do at this moment
            return httpx2.ProxyError(words)
        # Another 5xx: it could not reach the service. A submit is not held up by that; who follows one asks again.
        return ProxyFailed(words) if status.startswith("5") else CannotConnect(words)
    if stage.tunnelled:
        return httpx2.ProxyError(f"{proxy} made no connection: {said or _of_connecting(error)}")
    return ProxyNotFound(f"{proxy} cannot be reached: {_of_connecting(error)}")


async def connect_to_proxy(proxy: Proxy, *, seconds: float) -> None:
    """Make one connection to a proxy and close it; nothing is sent. Raises ProxyNotFound, also when the time is up."""
    try:
        port = proxy.url.port or _PROXY_PORTS[proxy.url.scheme]
        _, writer = await asyncio.wait_for(asyncio.open_connection(proxy.url.raw_host.decode("ascii"), port), seconds)
    except (OSError, UnicodeError) as error:
        raise ProxyNotFound(f"{proxy} cannot be reached: {_of_connecting(error)}") from error
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


_PROXY_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _of_connecting(error: Exception) -> str:
    for each in _chain(error):
        if isinstance(each, gaierror):
            return f"its name could not be looked up ({_reason(each)})"
        if isinstance(each, UnicodeError):
            return "its name is none that there can be"
    if isinstance(error, (httpx2.ConnectTimeout, TimeoutError)):
        return "no connection in time"
    numbers = [each.errno for each in _chain(error) if isinstance(each, OSError) and each.errno]
    # The system's words for its number: asyncio puts its own, with the address, in their place.
    return os.strerror(numbers[-1]).lower() if numbers else str(error) or "no connection came about"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it; of several at once, the first."""
    seen = 0
    while error is not None and seen < 20:
        yield error
        seen += 1
        error = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__ or error.__context__


def in_httpx2_terms(error: Exception) -> httpx2.TransportError:
    """Return an error of httpcore2 as httpx2's own transport would."""
    for kind, known in _TERMS:
        if isinstance(error, kind):
            return known(str(error))
    return httpx2.TransportError(f"{type(error).__name__} {error}".strip())


_TERMS: tuple[tuple[type[Exception], type[httpx2.TransportError]], ...] = (
    (httpcore2.ConnectError, httpx2.ConnectError),
    (httpcore2.ConnectTimeout, httpx2.ConnectTimeout),
    (httpcore2.PoolTimeout, httpx2.PoolTimeout),
    (httpcore2.ProxyError, httpx2.ProxyError),
)
