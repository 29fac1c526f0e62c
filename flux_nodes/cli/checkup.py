"""The checks of `flux-nodes doctor`, each a finding; none of them ends the others."""

from __future__ import annotations

import asyncio
import os
import platform
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

from ..core.errors import FluxNodesError
from ..core.money import left, price
from .ctrl_c import carry_out
from .inline import protocol
from .service import service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..core.proxy import Proxy
    from ..core.settings import Settings

_PATIENCE = 10.0
"""Seconds for an answer of the service: a person waits for this one."""

_PROXY_PATIENCE = 5.0
"""Seconds for a connection to a proxy."""

_LIBRARIES = ("httpx2", "pydantic", "numpy", "Pillow", "SQLAlchemy", "click", "rich")


@dataclass(frozen=True)
class Finding:
    """One finding: what was looked at, whether it is well, and the facts. `info` is neither right nor wrong."""

    check: str
    state: Literal["ok", "wrong", "info"]
    words: str


def examine(*, sandbox: bool) -> list[Finding]:
    """Look at everything, and return what was found."""
    findings = [_python(), _versions(), _mcp(), _pictures()]
    try:
        with service(sandbox=sandbox) as settings:
            findings += _of_settings(settings, sandbox=sandbox)
    except FluxNodesError as error:
        findings.append(Finding("settings", "wrong", str(error)))
    return findings


def _python() -> Finding:
    return Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _versions() -> Finding:
    found = {name: _version(name) for name in ("flux-nodes", *_LIBRARIES)}
    missing = [name for name in _LIBRARIES if found[name] is None]
    words = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    if missing:
        return Finding("versions", "wrong", f"not installed: {', '.join(missing)}")
    return Finding("versions", "ok", words)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _mcp() -> Finding:
    found = _version("mcp")
    return Finding("mcp server", "info", f"mcp {found}" if found else 'not installed: pip install "flux-nodes[mcp]"')


def _pictures() -> Finding:
    spoken = protocol()
    return Finding("terminal", "info", f"shows pictures ({spoken})" if spoken else "shows no pictures")


def _of_settings(settings: Settings, *, sandbox: bool) -> list[Finding]:
    told = [_home(settings.home), _journal(settings), _budget(settings), _webhook(settings)]
    network = [_proxy(settings.base_url), _certificates(settings.base_url)]
    findings = [*told, *network, _key(settings, sandbox=sandbox)]
    if all(finding.state != "wrong" for finding in findings[len(told) :]):
        findings.append(_service(settings))
    return findings


@contextmanager
def _scratch(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        yield


def _home(home: Path) -> Finding:
    try:
        with _scratch(home):
            return Finding("home", "ok", f"{home} can be written")
    except OSError as error:
        return Finding("home", "wrong", f"{home} cannot be written ({error.strerror}): set FLUX_NODES_HOME")


def _journal(settings: Settings) -> Finding:
    try:
        newest = carry_out(_newest(settings))
    except FluxNodesError as error:
        return Finding("journal", "wrong", str(error))
    return Finding("journal", "ok", f"opens; the newest generation is {newest}" if newest else "opens; it is empty")


async def _newest(settings: Settings) -> str:
    from ..core.generations import Generations

    async with Generations.open(settings, door="terminal") as generations:
        newest = await generations.recent(most=1)
        return newest[0].id if newest else ""


def _budget(settings: Settings) -> Finding:
    if settings.budget is None:
        return Finding("budget", "info", "none: any number of credits may be spent (FLUX_NODES_BUDGET)")
    return Finding("budget", "info", f"{price(settings.budget)} a day (UTC), in all doors together")


def _webhook(settings: Settings) -> Finding:
    if settings.webhook_host is None:
        return Finding("webhook", "info", "none: generations are asked for (FLUX_NODES_WEBHOOK_URL)")
    return Finding("webhook", "info", f"the service calls {settings.webhook_host}, with a secret")


def _proxy(base_url: str) -> Finding:
    from ..core.proxy import proxy_of

    try:
        proxy = proxy_of(base_url)
    except FluxNodesError as error:
        return Finding("proxy", "wrong", str(error))
    return Finding("proxy", "info", "none: it is reached directly") if proxy is None else _connected(proxy)


def _connected(proxy: Proxy) -> Finding:
    """Try a proxy: without a key the service is not asked, and one that is not there would look well."""
    from ..core.network import ProxyNotFound, connect_to_proxy

    try:
        carry_out(connect_to_proxy(proxy, seconds=_PROXY_PATIENCE))
    except ProxyNotFound as error:
        return Finding("proxy", "wrong", f"{error}. Change or unset {proxy.variable}")
    return Finding("proxy", "ok", f"{proxy.place}, from {proxy.variable}, takes connections")


def _certificates(base_url: str) -> Finding:
    from ..core.certificates import certificates_in_words

    try:
        return Finding("certificates", "info", certificates_in_words(base_url))
    except FluxNodesError as error:
        return Finding("certificates", "wrong", str(error))


def _key(settings: Settings, *, sandbox: bool) -> Finding:
    if settings.api_key is None:
        return Finding("key", "wrong", "none: set APIFRAME_API_KEY, run `flux-nodes login`, or add --sandbox")
    if sandbox:
        return Finding("key", "ok", "the sandbox's own")
    stored = not os.environ.get("APIFRAME_API_KEY")
    return Finding("key", "ok", f"from {settings.home / 'settings.json' if stored else 'APIFRAME_API_KEY'}")


def _service(settings: Settings) -> Finding:
    try:
        credits_left = carry_out(_credits(settings))
    except FluxNodesError as error:
        return Finding("service", "wrong", str(error))
    except TimeoutError:
        return Finding("service", "wrong", f"{settings.base_url} gave no answer within {_PATIENCE:g} s")
    return Finding("service", "ok", f"{settings.base_url} answers; {left(credits_left)}")


async def _credits(settings: Settings) -> float:
    from ..core.generations import Generations

    async with Generations.open(settings, door="terminal") as generations:
        return (await asyncio.wait_for(generations.account(), _PATIENCE)).credits
