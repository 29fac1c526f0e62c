"""Which proxy to go through: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.

On Windows and macOS, where none of them is set, the system's own settings count.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import httpx2

from .errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCHEMES = ("http", "https", "socks5", "socks5h")
_LONGEST_SOCKS_WORD = 255
"""RFC 1929 gives a user name and a password one byte each for their length."""


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


def proxy_of(base_url: str) -> Proxy | None:
    """Return the proxy for the address of a service; None where it is reached directly. Raises InvalidSettings."""
    return proxy_for(httpx2.URL(base_url))
