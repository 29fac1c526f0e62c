"""Which process is sending a generation, and whether it has ended: another then settles what it left."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from datetime import UTC, datetime, timedelta

_LONGEST_SEND = timedelta(minutes=10)
"""Longer than any submit can take, with all its permitted repetitions."""

_RUN: str = vars(sys).setdefault("_flux_nodes_run", secrets.token_hex(8))
"""Tells this run of Python from another under the same number: a program may replace itself (`os.execv`), which leaves
the system's own facts of the process as they were. Kept where a second copy of this module in the process finds it.
"""


def this_process() -> str:
    """Name this run of this process on this machine: `host:number.run`. Before 0.3.0 it was `host:number`."""
    return f"{socket.gethostname()}:{os.getpid()}.{_RUN}"


def is_gone(owner: str | None, *, since: str) -> bool:
    """Tell whether a process that began to send at `since` (UTC, ISO 8601) has surely ended.

    On this machine the process is looked up; of another machine's only the time can tell.
    """
    began = datetime.fromisoformat(since)
    if datetime.now(UTC) - began > _LONGEST_SEND:
        return True
    host, _, process = (owner or "").rpartition(":")
    pid, _, run = process.partition(".")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    was_replaced = int(pid) == os.getpid() and run not in {"", _RUN}
    return was_replaced or not _runs(int(pid), began)


def _runs(pid: int, began: datetime) -> bool:
    import psutil  # only an intent that is left over pays for loading it

    try:
        # A process that started after the intent was written has only inherited its number.
        return bool(psutil.Process(pid).create_time() <= began.timestamp() + 1)
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False
