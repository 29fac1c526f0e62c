"""Which addresses an image may come from, and connections that keep to them.

The service's answer names the image's host, so a hostile answer could send us to the router, to a neighbour's machine
or to a cloud's metadata. Only public addresses are connected to, and beside them those of the service's own host: a
sandbox on this machine serves its images from there. The rule is kept on the very address that is connected to, so a
name that leads elsewhere at its next look-up gains nothing.

Through a proxy that the environment names, the proxy looks names up and connects. Only the address as it is written
can be checked then: its scheme, numbers, and names that are local by their form. What a name leads to, the proxy must
guard.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import zip_longest
from typing import TYPE_CHECKING

import httpcore2
import httpx2

from .certificates import context_for
from .errors import ImageUnavailable, InvalidSettings
from .network import NetworkTransport, Stage, explained, in_httpx2_terms
from .proxy import proxy_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[Address]]]
"""Looks a host name up, for a port: all its addresses, best first. Raises OSError when there are none."""

_SPECIAL: tuple[tuple[IPv4Network | IPv6Network, str], ...] = tuple(
    (ip_network(network), kind)
    for kind, networks in {
        "unspecified": "0.0.0.0/8 ::/128",
        "loopback": "127.0.0.0/8 ::1/128",
        "private": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10",
        "shared behind a carrier's NAT": "100.64.0.0/10",
        "link-local": "169.254.0.0/16 fe80::/10",
        "a cloud's own": "168.63.129.16/32",
        "multicast": "224.0.0.0/4 ff00::/8",
        "for documentation only": "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
        "IPv4 inside IPv6": "::/96 ::ffff:0:0/96 64:ff9b:1::/48 2001::/32 2002::/16",
        "reserved": "192.0.0.0/24 192.88.99.0/24 198.18.0.0/15 240.0.0.0/4 2001::/23",
    }.items()
    for network in networks.split()
)
"""Addresses that no public host has, from IANA's IPv4 and IPv6 Special-Purpose Address Registries; the first match
counts. 168.63.129.16 is Azure's inner service, as each of its machines sees it."""

_UNICAST_6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")

_LOCAL_NAMES = re.compile(
    # One label alone, and endings that public DNS does not have (RFC 6761; RFC 6762, appendix G; RFC 8375).
    r"[^.]+|.*\.(localhost|localdomain|local|internal|intranet|private|corp|home|lan|home\.arpa)"
    # A cloud's metadata under public names.
    r"|(.*\.)?metadata\.goog|(.*\.)?metadata\.tencentyun\.com"
)
_HOST = re.compile(r"[0-9a-z._:-]+")
_NUMBER = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)")

_MOST_TRIED = 4


def special(address: Address) -> str | None:
    """Tell what kind of address this is that no public host has; None for a global unicast address.

    An address of NAT64 (RFC 6052) counts as the IPv4 address in it: it is how public hosts look in an IPv6-only
    network. Other forms of IPv4 inside IPv6 lead to no host that has a proper name, and are never public.
    """
    if isinstance(address, IPv6Address) and address in _NAT64:
        return special(IPv4Address(int(address) & 0xFFFFFFFF))
    for network, kind in _SPECIAL:
        if address in network:
            return kind
    return "reserved" if isinstance(address, IPv6Address) and address not in _UNICAST_6 else None


async def look_up(host: str, port: int) -> list[Address]:
    """Ask the system for a host's addresses, best first. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(place[0]) for *_, place in found))


class Reach:
    """What may be reached: public addresses over https, and the addresses of the service's own host.

    Plain http is allowed where `base_url` itself is http on this machine.
    """

    def __init__(self, base_url: str | None = None, *, resolve: Resolve = look_up) -> None:
        url = httpx2.URL(base_url or "")
        self._own_host = _host(url)
        self._on_this_machine = _is_localhost(self._own_host) or _is_loopback(_literal(self._own_host))
        self._schemes = ("http", "https") if url.scheme == "http" and self._on_this_machine else ("https",)
        self._resolve = resolve

    async def check(self, url: httpx2.URL) -> None:
        """Check an address as far as it can be without looking its name up. Raises ImageUnavailable."""
        fault, address = self._fault(url), _literal(_host(url))
        if fault is None and address is not None and (kind := await self._kept_from(address)):
            fault = f"it is {kind}, and only public addresses are allowed"
        if fault is not None:
            raise _refusal(f"{url.scheme}://{_host(url)}", fault)

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Look a host up, and return those of its addresses that may be connected to.

        Raises ImageUnavailable when none of them may, and OSError when it has none.
        """
        kinds = {each: await self._kept_from(each) for each in await self._found(host, port)}
        allowed = [each for each, kind in kinds.items() if kind is None]
        if kinds and not allowed:
            leads = ", ".join(f"{each} ({kind})" for each, kind in kinds.items())
            raise _refusal(host, f"it leads to {leads[:200]}, and only public addresses are allowed")
        return allowed

    def _fault(self, url: httpx2.URL) -> str | None:
        host = _host(url)
        if url.scheme not in self._schemes:
            return f"it starts with {url.scheme!r}; allowed: {', '.join(self._schemes)}"
        if url.userinfo:
            return "it carries a user name or password, which no image needs"
        if not _HOST.fullmatch(host) or (url.port is not None and not 0 < url.port < 65_536):
            return "it names no host, or no port, that there can be"
        if _literal(host) is None and _NUMBER.fullmatch(host):
            return "it writes a number in a form that hides which address is meant"
        if self._is_local(host):
            return "its name is one for local networks, and only public hosts are allowed"
        return None

    def _is_local(self, host: str) -> bool:
        if host == self._own_host or (self._on_this_machine and _is_localhost(host)):
            return False
        return _literal(host) is None and _LOCAL_NAMES.fullmatch(host) is not None

    async def _kept_from(self, address: Address) -> str | None:
        """Return the kind of an address that may not be connected to; None when it may."""
        kind = special(address)
        if kind is None or (kind == "loopback" and self._on_this_machine) or address in await self._own():
            return None
        return kind

    async def _own(self) -> list[Address]:
        with suppress(OSError):
            return await self._found(self._own_host, 443) if self._own_host else []
        return []

    async def _found(self, host: str, port: int) -> list[Address]:
        address = _literal(host)
        return await self._resolve(host, port) if address is None else [address]


def _host(url: httpx2.URL) -> str:
    """Return the host as it is looked up: ASCII, without the dot that may end it."""
    return url.raw_host.decode("ascii").rstrip(".")


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_localhost(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def _is_loopback(address: Address | None) -> bool:
    return address is not None and special(address) == "loopback"


def _refusal(where: str, fault: str) -> ImageUnavailable:
    # The path and the query stay out: they may hold a signature.
    return ImageUnavailable(f"The image's address ({where[:100]}) is refused: {fault}.")


class _CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that were checked. TLS goes on to ask for the name, as httpcore2 knows that by itself."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first of a host's allowed addresses that answers; each gets its share of the time."""
        addresses = _alternating(await self._addresses(host, port, timeout))
        share = None if timeout is None else timeout / max(1, len(addresses))
        failure: Exception = httpcore2.ConnectError("the host has no address")
        for address in map(str, addresses):
            try:
                return await self._inner.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _addresses(self, host: str, port: int, seconds: float | None) -> list[Address]:
        try:
            return await asyncio.wait_for(self._reach.addresses(host, port), seconds)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout("the host's name could not be looked up in time") from error
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"the host's name could not be looked up: {error}") from error


def _alternating(addresses: list[Address]) -> list[Address]:
    """Keep the order, but let IPv6 and IPv4 take turns: one of them is often dead as a whole."""
    first = [each for each in addresses if each.version == addresses[0].version]
    other = [each for each in addresses if each.version != addresses[0].version]
    turns = (each for pair in zip_longest(first, other) for each in pair if each is not None)
    return list(turns)[:_MOST_TRIED]


@contextmanager
def _in_httpx2_terms(stage: Stage | None = None) -> Iterator[None]:
    try:
        yield
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        known = in_httpx2_terms(error)
        known.__cause__ = error
        raise (known if stage is None else explained(known, stage, None)) from error


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _in_httpx2_terms():
            async for piece in self._response.aiter_stream():
                yield piece

    async def aclose(self) -> None:
        await self._response.aclose()


class CheckedTransport(httpx2.AsyncBaseTransport):
    """A transport that reaches no further than `reach` allows, directly or through the environment's proxy.

    httpx2's own transport takes no network backend; hence this one, on the same connection pool of httpcore2.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._proxied = NetworkTransport()
        self._pools: dict[str, httpcore2.AsyncConnectionPool] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request. Raises ImageUnavailable for an address that is refused, and httpx2.TransportError."""
        await self._reach.check(request.url)
        try:
            if proxy_for(request.url) is None:
                return await self._direct(request)
            return await self._proxied.handle_async_request(request)
        except InvalidSettings as error:
            raise ImageUnavailable(f"The image could not be downloaded: {error}") from error

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.aclose()
        await self._proxied.aclose()

    def _pool(self, url: httpx2.URL) -> httpcore2.AsyncConnectionPool:
        if url.scheme not in self._pools:
            network = _CheckedNetwork(self._reach)
            self._pools[url.scheme] = httpcore2.AsyncConnectionPool(
                context_for(url), max_connections=100, keepalive_expiry=5.0, network_backend=network
            )
        return self._pools[url.scheme]

    async def _direct(self, request: httpx2.Request) -> httpx2.Response:
        url, stage = request.url, Stage()
        plain = httpcore2.Request(
            request.method,
            httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            extensions={**request.extensions, "trace": stage},
        )
        with _in_httpx2_terms(stage):
            response = await self._pool(url).handle_async_request(plain)
        return httpx2.Response(
            response.status, headers=response.headers, stream=_Stream(response), extensions=response.extensions
        )
