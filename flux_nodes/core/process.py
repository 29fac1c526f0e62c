"""Which process is sending a generation, and whether it has ended: another then settles what it left."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta, timezone

_LONGEST_SEND = timedelta(minutes=10)
"""Longer than any submit can take, with all its permitted repetitions."""


def this_process() -> str:
    """Name this process on this machine."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_gone(owner: str | None, *, since: str) -> bool:
    """Tell whether a process that began to send at `since` (UTC, ISO 8601) has surely ended.

    On this machine the process is looked up; of another machine's only the time can tell.
    """
    began = datetime.fromisoformat(since)
    if datetime.now(timezone.utc) - began > _LONGEST_SEND:
        return True
    host, _, pid = (owner or "").rpartition(":")
    return host == socket.gethostname() and pid.isdigit() and not _runs(int(pid), began)


def _runs(pid: int, began: datetime) -> bool:
    import psutil  # only an intent that is left over pays for loading it

    try:
        # A process that started after the intent was written has only inherited its number.
        return bool(psutil.Process(pid).create_time() <= began.timestamp() + 1)
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False
