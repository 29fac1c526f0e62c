"""Fetches a result image within bounds: its address, redirects, bytes, pixels, time, and that it decodes.

The key never comes here: these requests go to the host of the image, not to the service. Each carries three headers
of ours and nothing that a host gave before, and nothing of an image's address becomes part of a file name.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx2

from .address import CheckedTransport, Reach, look_up
from .errors import ImageUnavailable, TooManyPixels
from .network import CannotConnect
from .reply import LONGEST_TEXT, REPLACED
from .retry import Policy, in_words, pause, retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from .address import Resolve
    from .images import ImageFacts

MEBIBYTE = 2**20
_REDIRECTS = 3
_SPOILED_TRIES = 4
"""How often an image may come whole and yet be unusable: each time costs all its bytes."""

_HEADERS = {"User-Agent": "flux-nodes", "Accept": "*/*", "Accept-Encoding": "identity"}
_PASSING = frozenset({404, 408, 425, 429, 500, 502, 503, 504})
"""Answers that may be different in a moment; 404 because a fresh image may not have reached its host yet."""


@dataclass(frozen=True)
class Downloaded:
    """A whole image: the bytes as they came, and what they are."""

    data: bytes
    facts: ImageFacts


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How slow an image may be.

    Seconds to connect in, without a single byte, and of all tries together. After the seconds of `grace`, a body must
    have come at `slowest` bytes a second for the time since.
    """

    connect: float = 10.0
    silence: float = 30.0
    whole: float = 300.0
    grace: float = 20.0
    slowest: int = 4096


class _PassingError(Exception):
    """A failure that asking again may mend; `wish` is the host's own `Retry-After`, `status` its answer."""

    def __init__(self, why: str, *, wish: float | None = None, status: int | None = None) -> None:
        super().__init__(why)
        self.wish = wish
        self.status = status


class _SpoiledError(_PassingError):
    """All of a body came, and it is no usable image; `came` is what is kept if it never comes otherwise."""

    def __init__(self, why: str, *, came: Downloaded | None = None) -> None:
        super().__init__(why)
        self.came = came


class Downloader:
    """Downloads result images; use it as an async context manager.

    `base_url` is the service's own address: where it is on this machine or in a private network, images may come from
    there too. `policy` tells how long to ask again, `resolve` how host names are looked up.
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        most_bytes: int = 64 * MEBIBYTE,
        most_pixels: int = 64_000_000,
        policy: Policy | None = None,
        patience: Patience | None = None,
        resolve: Resolve = look_up,
    ) -> None:
        self._most_bytes = most_bytes
        self._most_pixels = most_pixels
        self._policy = policy or Policy(deadline=120.0)
        self._patience = patience or Patience()
        self._transport = CheckedTransport(Reach(base_url, resolve=resolve))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.aclose()

    async def download(self, url: str, *, failures: list[str] | None = None, insist: float | None = None) -> Downloaded:
        """Return the image at an address, asking again while that can help, but no longer than `insist` seconds.

        What nothing here can open is an image too: where its format is unknown, or its pixels do not decode to the
        end, if the very same bytes came each time.

        `failures` takes why each try failed, for a caller that gives up sooner. Raises ImageUnavailable.
        """
        seconds = self._patience.whole
        longest = self._policy.deadline if insist is None else insist
        try:
            async with asyncio.timeout(seconds):
                return await self._insist(url, [] if failures is None else failures, longest)
        except TimeoutError as error:
            raise ImageUnavailable(f"The image could not be downloaded within {seconds:g} seconds.") from error

    async def _insist(self, url: str, failures: list[str], longest: float) -> Downloaded:
        clock = asyncio.get_running_loop().time
        until = clock() + longest
        attempt = 0
        spoiled: list[Downloaded | None] = []
        while True:
            try:
                return await self._once(url)
            except _PassingError as failure:
                failures.append(str(failure))
                spoiled += [failure.came] if isinstance(failure, _SpoiledError) else []
                # Jitter spreads load; it keeps no secret.
                wait = pause(attempt, self._policy, chance=random.random(), wish=failure.wish)  # noqa: S311
                if len(spoiled) == _SPOILED_TRIES and (same := _the_same(spoiled)) is not None:
                    return same
                if len(spoiled) == _SPOILED_TRIES or clock() + wait > until:
                    raise ImageUnavailable(
                        f"The image could not be downloaded: {failure}.", status=failure.status
                    ) from failure
            await asyncio.sleep(wait)
            attempt += 1

    async def _once(self, url: str) -> Downloaded:
        try:
            data = await self._fetch(_parsed(url))
        except (httpx2.TransportError, OSError) as error:  # what TLS raises after its handshake comes as it is
            if isinstance(error, CannotConnect) and error.lasting:
                raise ImageUnavailable(f"The image could not be downloaded: {error}.") from error
            raise _PassingError(in_words(error)) from error
        return Downloaded(data, await self._judged(data))

    async def _judged(self, data: bytes) -> ImageFacts:
        from .decoding import in_background  # Pillow and numpy load when the first image comes, not before
        from .result_image import SpoiledImage, judged

        try:
            return await in_background(judged, data, most_pixels=self._most_pixels)
        except TooManyPixels as error:
            raise ImageUnavailable(
                f"The image is refused: {error} (FLUX_NODES_MAX_IMAGE_MEGAPIXELS sets how many).", data=data
            ) from error
        except SpoiledImage as error:
            came = None if error.facts is None else Downloaded(data, error.facts)
            raise _SpoiledError(str(error), came=came) from error

    async def _fetch(self, url: httpx2.URL) -> bytes:
        timeout = httpx2.Timeout(self._patience.silence, connect=self._patience.connect, pool=None)
        for _ in range(1 + _REDIRECTS):
            request = httpx2.Request("GET", url, headers=_HEADERS, extensions={"timeout": timeout.as_dict()})
            async with aclosing(await self._transport.handle_async_request(request)) as response:
                if not response.has_redirect_location:
                    return await self._body(response)
                url = _parsed(response.headers["location"], base=url)
        raise ImageUnavailable(f"The image's address was redirected more than {_REDIRECTS} times.")

    async def _body(self, response: httpx2.Response) -> bytes:
        self._check_head(response)
        unpack = _unpacker(response.headers.get("content-encoding", "identity").strip().lower())
        clock = asyncio.get_running_loop().time
        begun = clock()
        content = bytearray()
        async with aclosing(response.aiter_raw()) as pieces:
            async for piece in pieces:
                # One byte of room more than allowed tells a body that just fits from a larger one.
                content += unpack(piece, self._most_bytes + 1 - len(content))
                self._check_size(max(len(content), response.num_bytes_downloaded))
                self._check_pace(response.num_bytes_downloaded, clock() - begun)
        return bytes(content)

    def _check_head(self, response: httpx2.Response) -> None:
        status = response.status_code
        if status in _PASSING:
            wish = retry_after(response.headers, now=datetime.now(UTC))
            raise _PassingError(f"HTTP {status}", wish=wish, status=status)
        if status != 200:
            raise ImageUnavailable(
                f"The image could not be downloaded: its host answered HTTP {status}.", status=status
            )
        length = response.headers.get("content-length", "")
        if length.isascii() and length.isdigit():
            self._check_size(int(length[:20]))

    def _check_size(self, size: int) -> None:
        if size > self._most_bytes:
            raise ImageUnavailable(
                f"The image is larger than the {self._most_bytes / MEBIBYTE:g} MiB allowed "
                "(FLUX_NODES_MAX_IMAGE_MIB sets how many)."
            )

    def _check_pace(self, size: int, seconds: float) -> None:
        if size < self._patience.slowest * (seconds - self._patience.grace):
            raise _PassingError(f"its host sends less than {self._patience.slowest} bytes a second")


def _the_same(came: Sequence[Downloaded | None]) -> Downloaded | None:
    """Return what came, if it was the same each time."""
    return came[0] if all(each == came[0] for each in came) else None


def _parsed(address: str, *, base: httpx2.URL | None = None) -> httpx2.URL:
    if REPLACED in address or len(address) >= LONGEST_TEXT:
        raise ImageUnavailable("The service gave an address for the image that is cut or holds impossible characters.")
    try:
        return httpx2.URL(address) if base is None else base.join(address)
    except httpx2.InvalidURL:
        # No cause is kept: it would repeat parts of the address.
        raise ImageUnavailable("The service gave an address for the image that is no address.") from None


def _unpacker(encoding: str) -> Callable[[bytes, int], bytes]:
    """Return what undoes an encoding that the host was asked not to use, never making more than the room given."""
    if encoding in {"", "identity"}:
        return lambda piece, _: piece
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise ImageUnavailable(f"The image came in the encoding {encoding[:40]!r}, which was not asked for.")
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress  # 32: zlib tells gzip and deflate apart by itself

    def unpack(piece: bytes, room: int) -> bytes:
        try:
            return inflate(piece, room)
        except zlib.error as error:
            raise _SpoiledError(f"what came cannot be unpacked: {error}") from error

    return unpack
