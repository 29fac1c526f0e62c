"""The server: `build` makes it, `serve` runs it over stdio or over HTTP on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mcp.server import MCPServer

from flux_nodes import __version__
from flux_nodes.core import catalog
from flux_nodes.core.errors import InvalidSettings, StorageError
from flux_nodes.core.settings import Settings
from mcp_server import generating, looking, resources
from mcp_server.arguments import MOST_WAIT
from mcp_server.carriage import PATIENCE
from mcp_server.leaving import hang_up_as_terminate
from mcp_server.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from contextlib import AbstractAsyncContextManager
    from sys import UnraisableHookArgs

_LOOPBACK = ("127.0.0.1", "localhost", "::1")

INSTRUCTIONS = f"""\
Makes images with FLUX models through the user's APIFRAME account.
1. generate_image starts ONE generation and is the only tool that costs credits. Ask the user before you make many.
2. Its answer has a generation_id. While the status is not "stored", the generation goes on by itself: call \
get_generation with that id and wait_seconds {MOST_WAIT}. Waiting is free; calling generate_image again pays again.
3. Tell the user the file; dropped into ComfyUI it opens as a graph. view_image shows you the picture, when you want \
to judge it.
A call that was cancelled or timed out loses nothing: list_generations has its id.
list_models tells which arguments each model takes; {catalog.DEFAULT_MODEL} is a good first choice. \
An error begins with a code such as [invalid_request] or [missing_key] and says what to do."""


def build(
    source: Callable[[], Settings],
    *,
    image_folders: Iterable[Path] = (),
    patience: float = PATIENCE,
    by_signal: bool = False,
) -> MCPServer[State]:
    """Make a server that reads its settings from `source` when a tool first needs them.

    Files in `image_folders` and in the image store may be used as image prompts; no other file is ever read.
    A call waits `patience` seconds at least for the service to take a request, even when it asked for a shorter wait.
    One that is ended `by_signal` is a process of its own, and ends when the requests under way have their answers.
    """
    folders = tuple(image_folders)

    def lifespan(_: MCPServer[State]) -> AbstractAsyncContextManager[State]:
        return State.open(source, folders, patience, by_signal=by_signal)

    server = MCPServer(
        "flux-nodes",
        title="Flux Nodes",
        description="FLUX image generation through APIFRAME.",
        instructions=INSTRUCTIONS,
        version=__version__,
        tools=[*generating.tools(), *looking.tools()],
        lifespan=lifespan,
        log_level="WARNING",
    )
    resources.add_to(server)
    return server


def serve(settings: Settings, *, http: bool = False, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve until the client ends (stdio) or until interrupted (HTTP, at http://HOST:PORT/mcp). Blocks.

    Raises InvalidSettings for HTTP on an address that other machines can reach: there are no keys for it.
    """
    source = _with_later_key(settings)
    if not http:
        serve_stdio(source)
        return
    if host not in _LOOPBACK:
        raise InvalidSettings(
            f"The MCP server would be open to other machines at {host}. Allowed: {', '.join(_LOOPBACK)}."
        )
    _log_to_stderr()
    hang_up_as_terminate()
    # Ctrl-C is how one ends it, and uvicorn raises it once more when it has ended.
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        build(source).run("streamable-http", host=host, port=port)


def require_streams(closed: Collection[str]) -> None:
    """Raise InvalidSettings where a stream that the server speaks over is among those that are closed."""
    needed = sorted({"stdin", "stdout"} & set(closed))
    if needed:
        raise InvalidSettings(
            f"The MCP server speaks over standard input and output, and {' and '.join(needed)} is closed. "
            "A host of assistants opens both; --http serves without them."
        )


def serve_stdio(source: Callable[[], Settings]) -> None:
    """Serve one client over stdin and stdout until it ends. Blocks."""
    _log_to_stderr()
    # Python's own Ctrl-C would wait for the thread that reads stdin, which waits for the client. Until the server runs:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    lost: list[Exception] = []
    try:
        build(source, image_folders=_working_folder(), by_signal=True).run("stdio")
    except* OSError as group:  # the SDK writes stdout in a task group of its own
        sys.unraisablehook = _without_unwritten
        lost.append(_first(group))
    for error in lost:  # raised here, for in the clause it would be put into a group
        if not isinstance(error, ConnectionError):
            raise StorageError(
                f"The MCP server cannot write its standard output ({getattr(error, 'strerror', None) or error}). "
                "Whatever was asked for is in the journal: `flux-nodes list` shows it."
            ) from error
        # Nobody reads the answers any more: that ends the server as the end of stdin does.


def _without_unwritten(unraisable: UnraisableHookArgs) -> None:
    """Keep quiet of answers that were left in the SDK's buffer: Python 3.13 and newer try to write them at the end."""
    if not isinstance(unraisable.exc_value, OSError):
        sys.__unraisablehook__(unraisable)


def _first(error: Exception) -> Exception:
    """Return the first error in a group, however deep it lies."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _with_later_key(settings: Settings) -> Callable[[], Settings]:
    """Return a source of these settings that takes a key which is stored or set later."""

    def source() -> Settings:
        if settings.api_key is not None:
            return settings
        return settings.model_copy(update={"api_key": Settings.load().api_key})

    return source


def _working_folder() -> tuple[Path, ...]:
    """Return the current folder, unless the host has set none: a whole disk or home is no folder to work in."""
    try:
        here = Path.cwd()
    except OSError:  # the folder was deleted
        return ()
    return () if here in {Path(here.anchor), _home()} else (here,)


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # no HOME, and a user without a name
        return None


def _log_to_stderr() -> None:
    # Before the SDK does it: its own way draws for a screen, and a host collects these lines in a file.
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
