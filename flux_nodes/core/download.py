"""Fetches a result image within bounds: which addresses, how many redirects, how many bytes, and that it decodes.

The key never comes here: these requests go to the host of the image, not to the service.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import httpx2

from .errors import ImageUnavailable, InvalidImage
from .retry import Policy, pause, retry_after, tls

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from .images import ImageFacts

MEBIBYTE = 2**20
_REDIRECTS = 3
_TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
_PASSING = frozenset({404, 408, 425, 429, 500, 502, 503, 504})
"""Answers that may be different in a moment; 404 because a fresh image may not have reached its host yet."""


@dataclass(frozen=True)
class Downloaded:
    """A whole image: the bytes as they came, and what they are."""

    data: bytes
    facts: ImageFacts


class _PassingError(Exception):
    """A failure that asking again may mend; `wish` is the host's own `Retry-After`."""

    def __init__(self, why: str, *, wish: float | None = None) -> None:
        super().__init__(why)
        self.wish = wish


class Downloader:
    """Downloads result images; use it as an async context manager.

    `plain_http` allows http addresses: right only where the service itself is reached without TLS.
    """

    def __init__(
        self, *, plain_http: bool = False, most_bytes: int = 64 * MEBIBYTE, policy: Policy | None = None
    ) -> None:
        self._schemes = frozenset({"https", "http"} if plain_http else {"https"})
        self._most = most_bytes
        self._policy = policy or Policy(deadline=120.0)
        self._http = httpx2.AsyncClient(
            timeout=_TIMEOUT, verify=tls(), headers={"User-Agent": "flux-nodes"}, follow_redirects=False
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def download(self, url: str) -> Downloaded:
        """Return the image at an address, asking again while that can help. Raises ImageUnavailable."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._policy.deadline
        attempt = 0
        while True:
            try:
                return await self._once(url)
            except _PassingError as failure:
                # Jitter spreads load; it keeps no secret.
                wait = pause(attempt, self._policy, chance=random.random(), wish=failure.wish)  # noqa: S311
                if clock() + wait > until:
                    raise ImageUnavailable(f"The image could not be downloaded: {failure}.") from failure
            await asyncio.sleep(wait)
            attempt += 1

    async def _once(self, url: str) -> Downloaded:
        from .images import inspect  # Pillow and numpy load when the first image comes, not before

        try:
            data = await self._bytes(self._allowed(url), _REDIRECTS)
            return Downloaded(data, await asyncio.to_thread(inspect, data))
        except httpx2.HTTPError as error:
            raise _PassingError(f"{type(error).__name__} {error}".strip()) from error
        except InvalidImage as error:
            raise _PassingError(f"what came is no usable image: {error}") from error

    def _allowed(self, url: str) -> httpx2.URL:
        try:
            parsed = httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise ImageUnavailable("The service gave an address for the image that is no address.") from error
        if parsed.scheme not in self._schemes or not parsed.host:
            allowed = ", ".join(sorted(self._schemes))
            raise ImageUnavailable(f"The image's address starts with {parsed.scheme!r}; allowed: {allowed}.")
        return parsed

    async def _bytes(self, url: httpx2.URL, redirects: int) -> bytes:
        async with self._http.stream("GET", url) as response:
            if response.has_redirect_location and redirects:
                onward = str(url.join(response.headers["location"]))
            else:
                return await self._body(response)
        return await self._bytes(self._allowed(onward), redirects - 1)

    async def _body(self, response: httpx2.Response) -> bytes:
        status = response.status_code
        if status in _PASSING:
            raise _PassingError(f"HTTP {status}", wish=retry_after(response.headers, now=datetime.now(timezone.utc)))
        if status != 200:
            raise ImageUnavailable(f"The image could not be downloaded: its host answered HTTP {status}.")
        content = bytearray()
        async for chunk in response.aiter_bytes(MEBIBYTE):
            content += chunk
            if len(content) > self._most:
                raise ImageUnavailable(f"The image is larger than the {self._most // MEBIBYTE} MiB allowed.")
        return bytes(content)
