"""Ports for servers that have to be told theirs before they start."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

_OURS = range(20_000, 30_000)
"""Below what a system gives out by itself: nobody who asks for any port gets one of these meanwhile."""


def free_port() -> int:
    """Find a port of this machine that nobody listens at."""
    while True:
        port = secrets.choice(_OURS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
