"""Serve one client over stdin and stdout: `python -m mcp_server`."""

from __future__ import annotations

from flux_nodes.core.settings import Settings
from mcp_server.server import serve_stdio

if __name__ == "__main__":
    # The settings are read when a tool first needs them: a server with a wrong setting starts, and a tool says so.
    serve_stdio(Settings.load)
