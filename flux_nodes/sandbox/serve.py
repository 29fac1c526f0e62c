"""Serving the sandbox over HTTP: in a thread beside other code, or as the whole process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .replies import ABORT, RAW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from uvicorn.server import ServerState

    from .app import Sandbox

_GRACE = 1.0
_TICK = 0.1
_START = 10.0
_RESET_ON_CLOSE = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


@dataclass(frozen=True)
class RunningServer:
    """A server that is up.

    Attributes:
        url: Its address, without a slash at the end.
    """

    url: str


@contextlib.contextmanager
def serving(
    sandbox: Sandbox, *, host: str = "127.0.0.1", port: int = 0, certificate: Path | None = None
) -> Iterator[RunningServer]:
    """Serve the sandbox from a daemon thread with its own event loop until the block ends; port 0 takes a free one.

    Works from sync and async code, several at once, and takes no signal handlers. `certificate` is a PEM file with a
    certificate and its private key: with it, the sandbox speaks https.

    Raises:
        OSError: The address cannot be taken.
    """
    listener = _listen(host, port)
    url = _url(listener, "http" if certificate is None else "https")
    server = _Server(sandbox, certificate)
    thread = threading.Thread(target=server.run, args=([listener],), name="flux-sandbox", daemon=True)
    thread.start()
    try:
        server.up.wait(_START)
        yield RunningServer(url)
    finally:
        server.stop()
        thread.join()


def serve_forever(
    sandbox: Sandbox, *, host: str = "127.0.0.1", port: int = 8787, announce: TextIO | None = None
) -> None:
    """Serve the sandbox until Ctrl-C, and say its address on `announce` once it is up.

    Raises:
        OSError: The address cannot be taken.
    """
    with serving(sandbox, host=host, port=port) as server, contextlib.suppress(KeyboardInterrupt):
        if announce is not None:
            announce.write(f"The sandbox listens on {server.url} (Ctrl-C ends it)\n")
            announce.flush()
        forever = threading.Event()
        # a wait without a bound cannot be interrupted on Windows
        while not forever.wait(1):
            pass


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's delay off only for sockets that name their protocol; with it each reply takes 40 ms more
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket, scheme: str) -> str:
    host, port, *_ = listener.getsockname()
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class _Protocol(H11Protocol):
    """HTTP whose app may cut the connection."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._plain_app = self.app
        self.app = self._app_with_abort

    async def _app_with_abort(self, scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"] = {**scope.get("extensions", {}), ABORT: self._abort, RAW: self._write}
        # A reply that outlasts the server is cancelled with its loop; uvicorn would log that with a traceback.
        with contextlib.suppress(asyncio.CancelledError):
            await self._plain_app(scope, receive, send)

    def _write(self, data: bytes, *, below_tls: bool = False) -> None:
        if not below_tls:
            self.transport.write(data)
            return
        with self.transport.get_extra_info("socket").dup() as connection:
            connection.setblocking(True)
            connection.sendall(data)

    def _abort(self, *, reset: bool) -> None:
        if reset:
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()


class _Server(uvicorn.Server):
    """A server that another thread can stop at once, and that logs nothing but real trouble."""

    def __init__(self, sandbox: Sandbox, certificate: Path | None) -> None:
        super().__init__(
            uvicorn.Config(
                sandbox,
                http=_Protocol,
                ws="none",
                lifespan="on",
                log_config=None,
                log_level=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                ssl_certfile=certificate,
            )
        )
        self.up = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ask the server to end, from any thread."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        """Tick until asked to stop."""
        self._loop = asyncio.get_running_loop()
        counter = 0
        stop = await self.on_tick(counter)
        self.up.set()
        while not stop:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _TICK)
            counter += 1
            stop = await self.on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let replies under way finish for a moment, then cut what is left: an endless image would never end."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        connections = self.server_state.connections
        for connection in list(connections):
            connection.shutdown()
        await self._replies_done()
        for connection in list(connections):
            if connection.transport is not None:
                connection.transport.abort()
        await self._replies_done()
        await self.lifespan.shutdown()

    async def _replies_done(self) -> None:
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=_GRACE)
        await asyncio.sleep(0)
