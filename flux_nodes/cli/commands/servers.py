"""`flux-nodes sandbox` and `flux-nodes mcp`: servers that run until they are ended."""

from __future__ import annotations

import contextlib
import sys
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from ...core.errors import NothingSent
from ...core.streams import plug_closed_streams
from ..exits import DONE
from ..screen import say
from ..service import with_service

if TYPE_CHECKING:
    from ...core.settings import Settings
    from ...sandbox import Fault

_PORT = 8787
_MCP_PORT = 8000
_HIGHEST_PORT = 65_535


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, _HIGHEST_PORT),
    default=_PORT,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--credits", "credit", type=click.IntRange(min=0), default=1000, show_default=True, help="What the key holds."
)
@click.option(
    "--pace",
    type=click.FloatRange(min=0),
    default=2.5,
    show_default=True,
    metavar="SECONDS",
    help="How long a generation takes; 0 is at once.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="SPEC",
    help="Something to go wrong, such as submit:429:retry_after=1:times=2; may be repeated.",
)
def sandbox(*, host: str, port: int, credit: int, pace: float, faults: tuple[str, ...]) -> int:
    """Serve the service, pretended.

    For tests and tries of any client, in any language. It forgets everything when it ends (Ctrl-C). Point
    APIFRAME_BASE_URL at it to use it from here.
    """
    from ...core.settings import PRETENDED
    from ...sandbox import Sandbox, serving

    pretended = Sandbox(keys={PRETENDED: credit}, seconds=pace, faults=[_fault(spec) for spec in faults])
    try:
        with serving(pretended, host=host, port=port) as server:
            _announce(server.url, PRETENDED)
            _until_interrupted()
    except OSError as error:
        raise NothingSent(
            f"{host} port {port} cannot be listened on ({error.strerror}). Choose another --port."
        ) from error
    finally:
        pretended.close()
    return DONE


def _announce(url: str, key: str) -> None:
    lines = (
        f"The sandbox listens on {url} (Ctrl-C ends it). Its key is {key!r}.",
        "",
        f"  curl {url}/flux-imagine -H 'Authorization: {key}' -H 'Content-Type: application/json' \\",
        """    -d '{"model": "flux-schnell", "prompt": "a sunflower field in the wind"}'""",
        "",
        f"  APIFRAME_BASE_URL={url} APIFRAME_API_KEY={key} flux-nodes generate 'a sunflower field in the wind'",
    )
    say("\n".join(lines), to_stdout=True)
    sys.stdout.flush()


def _until_interrupted() -> None:
    forever = threading.Event()
    with contextlib.suppress(KeyboardInterrupt):
        # A wait without a bound cannot be interrupted on Windows.
        while not forever.wait(1):
            pass


def _fault(spec: str) -> Fault:
    from ...sandbox import FaultError, parse_fault

    try:
        return parse_fault(spec)
    except FaultError as error:
        raise click.BadParameter(str(error), param_hint="--fault") from error


@click.command()
@click.option("--http", is_flag=True, help="Serve over HTTP at /mcp, instead of standard input and output.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on, with --http."
)
@click.option(
    "--port",
    type=click.IntRange(1, _HIGHEST_PORT),
    default=_MCP_PORT,
    show_default=True,
    help="Port to listen on, with --http.",
)
@with_service
def mcp(*, http: bool, host: str, port: int, settings: Settings) -> int:
    """Serve assistants (MCP).

    Over standard input and output, unless --http is given.
    """
    if find_spec("mcp") is None:
        raise NothingSent('The MCP server needs the package mcp: pip install "flux-nodes[mcp]"')
    from mcp_server.server import require_streams, serve

    if not http:
        require_streams(plug_closed_streams())
    serve(settings, http=http, host=host, port=port)
    return DONE
