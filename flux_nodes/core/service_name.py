"""The name of a service in the journal: its base URL, the same for every spelling of the same address."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import unquote

import httpx2

_ESCAPED = re.compile("%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
"""Characters that mean the same escaped and unescaped. Source: RFC 3986, section 6.2.2.2."""


def service_name(address: str) -> str:
    """Return the name of the service at an address: all spellings of one address have one name.

    Scheme and host in lower case, an international name in its ASCII form, an IP address in its shortest form; no
    default port, no dot after the host, no slash at the end, no user and no password. A path keeps its case: servers
    tell paths apart by it. A name that is no address, such as "sandbox", is returned as it is.
    Source: RFC 3986, section 6.2.
    """
    if "://" not in address:
        return address
    try:
        url = httpx2.URL(address.strip())
    except (httpx2.InvalidURL, ValueError):
        return address
    port = "" if url.port is None else f":{url.port}"
    return f"{url.scheme}://{_host(url)}{port}{_path(url)}"


def _host(url: httpx2.URL) -> str:
    host = unquote(url.raw_host.decode("ascii")).lower().rstrip(".")
    with suppress(ValueError):
        address = ip_address(host)
        return f"[{address.compressed}]" if address.version == 6 else address.compressed
    if host[:1].isdigit():
        with suppress(OSError):  # resolvers take 127.1 and 0x7f000001 for addresses as well
            return socket.inet_ntoa(socket.inet_aton(host))
    return host


def _path(url: httpx2.URL) -> str:
    path = url.raw_path.decode("ascii").partition("?")[0]
    return _ESCAPED.sub(_plain, path).rstrip("/")


def _plain(escaped: re.Match[str]) -> str:
    character = chr(int(escaped[0][1:], 16))
    return character if _UNRESERVED.fullmatch(character) else escaped[0].upper()
