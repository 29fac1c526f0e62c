"""Serve one client over stdin and stdout: `python -m mcp_server`."""

from __future__ import annotations

import sys

from flux_nodes.core.errors import FluxNodesError
from flux_nodes.core.settings import Settings
from flux_nodes.core.streams import plug_closed_streams
from mcp_server.server import require_streams, serve_stdio


def _main() -> int:
    if sys.argv[1:]:  # an option that is not heard may be --sandbox, without which images are paid
        sys.stderr.write("Error: python -m mcp_server takes no options; `flux-nodes mcp` does. Nothing was started.\n")
        return 2
    try:
        require_streams(plug_closed_streams())
        # The settings are read when a tool first needs them: a server with a wrong setting starts, and a tool says so.
        serve_stdio(Settings.load)
    except FluxNodesError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(_main())
