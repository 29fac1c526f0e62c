"""The network as the environment sets it: which proxy, which certificates, and which failures surely sent nothing.

Proxies come from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (on Windows and macOS, where none of them is
set, from the system), certificates from `SSL_CERT_FILE` or `SSL_CERT_DIR`. They are read when the first request is
sent: whoever does not need the network is not told of a wrong one.

A request is *unsent* where a connection did not come about: a name that is not found, a refused connection, a proxy
that says no, a TLS handshake that fails. Everything later may have been charged.
"""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from pathlib import Path
from socket import gaierror
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

from .errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Trace = Callable[[str, dict[str, Any]], Awaitable[None]]

NEVER_CONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
"""Failures after which it is certain that the service never saw the request.

httpcore2 raises the first two only while it connects and shakes hands, and ProxyError only where a proxy refuses to
connect (`_async/http_proxy.py`, `_async/socks_proxy.py`).
"""

_SCHEMES = ("http", "https", "socks5", "socks5h")
_LONGEST_SOCKS_WORD = 255
"""RFC 1929 gives a user name and a password one byte each for their length."""

_HASHED = re.compile(r"[0-9a-fA-F]{8}\.\d+")
"""How OpenSSL finds a certificate in a folder: by the hash of its subject."""

_SPOKEN_REASONS = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed, and nobody trusted has signed it",
    19: "its issuer is not trusted (a self-signed certificate is at the end of its chain)",
    20: "its issuer is not known",
    21: "its issuer is not known",
    23: "it has been revoked",
    62: "it is for another host name",
    64: "it is for another address",
}
"""Why a certificate is refused, by OpenSSL's X509_V_ERR codes (`openssl/x509_vfy.h`)."""

_UNTRUSTED = frozenset({18, 19, 20, 21})


class CannotConnect(httpx2.ConnectError):
    """No connection came about, and sending again at once would not help: a certificate, or a proxy that says no.

    `lasting` where it would not help in a minute either.
    """

    lasting = True


class ProxyNotFound(CannotConnect):
    """The proxy that the environment names cannot be connected to."""

    lasting = False


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A proxy to go through, and the variable that names it."""

    url: httpx2.URL = field(repr=False)  # it may hold a password
    variable: str

    @property
    def place(self) -> str:
        """Return what can be shown: scheme, host and port."""
        return str(self.url.copy_with(username=None, password=None, raw_path=b"/")).rstrip("/")

    def __str__(self) -> str:
        return f"the proxy {self.place} ({self.variable})"


def is_this_machine(host: str) -> bool:
    """Tell whether a host is this machine by its name or number: `localhost`, `*.localhost`, 127.0.0.0/8, ::1."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def proxy_for(url: httpx2.URL) -> Proxy | None:
    """Return the proxy for an address; None where it is reached directly. Raises InvalidSettings."""
    host = url.raw_host.decode("ascii")
    if is_this_machine(host) or _is_bypassed(host, url.port or (443 if url.scheme == "https" else 80)):
        return None
    found = getproxies()
    scheme = url.scheme if found.get(url.scheme) else "all"
    value = found.get(scheme, "").strip()
    return _proxy(value, _variable(f"{scheme}_proxy")) if value else None


def _is_bypassed(host: str, port: int) -> bool:
    """Tell whether `NO_PROXY` names the host, with or without its port; networks (10.0.0.0/8) are meant as such."""
    if proxy_bypass(host) or proxy_bypass(f"{host}:{port}"):
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    return any(address in network for network in _networks(getproxies().get("no", "")))


def _networks(text: str) -> Iterator[Any]:
    for each in text.split(","):
        try:
            yield ip_network(each.strip().strip("[]"), strict=False)
        except ValueError:
            continue


def _variable(name: str) -> str:
    """Return how a variable is spelled in this environment."""
    spelled = next((each for each in (name, name.upper()) if os.environ.get(each)), None)
    return spelled or "the system's settings"


def _proxy(value: str, variable: str) -> Proxy:
    # Nothing of the value is repeated in an error: it may hold a password.
    try:
        url = httpx2.URL(value if "://" in value else f"http://{value}")
    except (httpx2.InvalidURL, ValueError):
        raise InvalidSettings(f"{variable} is no address of a proxy. {_ALLOWED}") from None
    if url.scheme not in _SCHEMES:
        raise InvalidSettings(f"{variable} names a proxy of a kind that is not known. {_ALLOWED}")
    if not url.host or not 0 < (1 if url.port is None else url.port) < 65_536 or re.search(r"[\s%]", url.host):
        raise InvalidSettings(f"{variable} names no host, or no port, of a proxy. {_ALLOWED}")
    if url.scheme.startswith("socks"):
        _require_socks(url, variable)
    return Proxy(url=url, variable=variable)


_ALLOWED = "Allowed: http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT; or unset it. Nothing was sent."


def _require_socks(url: httpx2.URL, variable: str) -> None:
    if find_spec("socksio") is None:
        raise InvalidSettings(
            f"{variable} names a SOCKS proxy, which needs one more package. "
            'Nothing was sent. Install it: pip install "flux-nodes[socks]"'
        )
    if max(len(url.username.encode()), len(url.password.encode())) > _LONGEST_SOCKS_WORD:
        raise InvalidSettings(
            f"{variable} holds a user name or password of more than {_LONGEST_SOCKS_WORD} bytes, which SOCKS does not "
            "take. Nothing was sent."
        )


def tls() -> ssl.SSLContext:
    """Return the one TLS context of this process: making one takes longer than most requests.

    Raises InvalidSettings when `SSL_CERT_FILE` or `SSL_CERT_DIR` cannot be used.
    """
    return _context(os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", ""))


@lru_cache(maxsize=8)
def _context(file: str, folder: str) -> ssl.SSLContext:
    # httpx2 reads the two variables in this order itself, and says nothing of a folder that is empty or missing.
    if file:
        _check_file(Path(file))
    elif folder:
        _check_folders(folder)
    try:
        return httpx2.create_ssl_context()
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        variable = "SSL_CERT_FILE" if file else "SSL_CERT_DIR" if folder else "The system's store of certificates"
        raise InvalidSettings(
            f"{variable} cannot be used: {_reason(error)}. Nothing was sent. {_CERTIFICATES}"
        ) from error


_CERTIFICATES = "SSL_CERT_FILE takes a file of certificates (PEM), SSL_CERT_DIR a folder; unset, the system's are used."


def _check_file(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            opened.read(1)
    except (OSError, ValueError) as error:
        raise InvalidSettings(
            f"SSL_CERT_FILE cannot be used: {file} cannot be read ({_reason(error)}). Nothing was sent. {_CERTIFICATES}"
        ) from error


def _check_folders(folders: str) -> None:
    for folder in filter(None, folders.split(os.pathsep)):
        try:
            if any(_HASHED.fullmatch(name) for name in os.listdir(folder)):  # noqa: PTH208 - OpenSSL's own kind of list
                return
        except OSError:
            continue
    raise InvalidSettings(
        "SSL_CERT_DIR cannot be used: it names no folder with certificates under the names that OpenSSL looks for "
        f"(`openssl rehash FOLDER` makes them). Nothing was sent. {_CERTIFICATES}"
    )


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


class NetworkTransport(httpx2.AsyncBaseTransport):
    """A transport that goes the way that the environment names; that is read at the first request to each host."""

    def __init__(self) -> None:
        self._ways: dict[tuple[str, str, int | None], Proxy | None] = {}
        self._transports: dict[Proxy | None, httpx2.AsyncHTTPTransport] = {}

    def require(self, url: httpx2.URL) -> None:
        """Make sure that an address can be sent to, as far as settings tell. Raises InvalidSettings."""
        tls()
        self._way(url)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request. Raises InvalidSettings, and httpx2.TransportError: one of NEVER_CONNECTED where unsent."""
        proxy = self._way(request.url)
        transport = self._transport(proxy)
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

    def _transport(self, proxy: Proxy | None) -> httpx2.AsyncHTTPTransport:
        if proxy not in self._transports:
            self._transports[proxy] = httpx2.AsyncHTTPTransport(
                verify=tls(), proxy=None if proxy is None else _as_httpx2(proxy)
            )
        return self._transports[proxy]


def _as_httpx2(proxy: Proxy) -> httpx2.Proxy:
    return httpx2.Proxy(proxy.url, ssl_context=tls() if proxy.url.scheme == "https" else None)


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
    handshake = next((each for each in _chain(error) if isinstance(each, ssl.SSLError)), None)
    if handshake is not None and (stage.unsent or isinstance(error, httpx2.ConnectError)):
        return CannotConnect(_of_handshake(handshake, stage.secured or "the host"))
    if proxy is not None and (stage.unsent or isinstance(error, NEVER_CONNECTED)):
        return _of_proxy(error, stage, proxy)
    if isinstance(error, httpx2.ConnectError) or (stage.unsent and not isinstance(error, httpx2.TransportError)):
        return httpx2.ConnectError(_of_connecting(error))
    return error


def _of_proxy(error: Exception, stage: Stage, proxy: Proxy) -> httpx2.TransportError:
    if isinstance(error, httpx2.PoolTimeout):
        return error
    said = "".join(filter(str.isprintable, str(error)))[:100].strip()
    if isinstance(error, httpx2.ProxyError):
        status = said[:3] if said[:3].isdigit() else ""
        words = f"{proxy} refused to connect: {said}"
        if status == "407":
            words += " (it wants a user name and password that are right)"
        # 5xx: the proxy could not reach the service, which may be different in a moment.
        return httpx2.ProxyError(words) if status.startswith("5") else CannotConnect(words)
    if stage.tunnelled:
        return httpx2.ProxyError(f"{proxy} made no connection: {said or type(error).__name__}")
    return ProxyNotFound(f"{proxy} cannot be reached: {_of_connecting(error)}")


def _of_handshake(error: ssl.SSLError, host: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        code = getattr(error, "verify_code", 0)
        reason = _SPOKEN_REASONS.get(code) or getattr(error, "verify_message", "") or _reason(error)
        hint = f" ({_trusted_by()})" if code in _UNTRUSTED else ""
        return f"the certificate of {host} is refused: {reason}{hint}"
    reason = (error.reason or "").replace("_", " ").lower() or _reason(error)
    return f"no secure connection to {host} came about: {reason}"


def _trusted_by() -> str:
    variable = next((each for each in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(each)), None)
    if variable:
        return f"{variable} names whom to trust"
    return "where a company's proxy or your own server signs, set SSL_CERT_FILE to its certificate"


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
