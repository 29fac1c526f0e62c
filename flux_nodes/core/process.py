"""Which process is sending a generation, and whether it has ended: another then settles what it left."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

LONGEST_SEND = timedelta(minutes=10)
"""Longer than any submit can take, with all its permitted repetitions."""

_RUN: str = vars(sys).setdefault("_flux_nodes_run", secrets.token_hex(8))
"""Tells this run of Python from another under the same number: a program may replace itself (`os.execv`), which leaves
the system's own facts of the process as they were. Kept where a second copy of this module in the process finds it.
"""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Linux only: the same in all containers of one machine, another after each start of it. Source: random(4)."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A process that sends, as the journal names it: `host:number.run.boot`.

    Before 0.4.0 there was no `boot`, before 0.3.0 no `run`, and before 0.2.0 nothing at all.
    """

    host: str = ""
    pid: int | None = None
    run: str = ""
    boot: str = ""

    @classmethod
    def parse(cls, text: str | None) -> Owner:
        """Read what the journal says; of anything else, only the host."""
        host, _, process = (text or "").rpartition(":")
        pid, run, boot = [*process.split("."), "", ""][:3]
        return cls(
            host=host, pid=int(pid) if pid.isascii() and pid.isdigit() and len(pid) < 10 else None, run=run, boot=boot
        )

    @property
    def is_of_this_host(self) -> bool:
        """Whether it says that it ran on this machine."""
        return self.host == socket.gethostname()

    @property
    def can_be_looked_up(self) -> bool:
        """Whether it may run here now: on this machine, since that was last started."""
        return self.pid is not None and self.is_of_this_host and self.boot in {"", boot_id()}

    def __str__(self) -> str:
        return ".".join(filter(None, (f"{self.host}:{self.pid}", self.run, self.boot)))


@cache
def boot_id() -> str:
    """Tell this start of this machine from all others; "" where the system does not say."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def this_process() -> str:
    """Name this run of this process on this machine."""
    return str(Owner(host=socket.gethostname(), pid=os.getpid(), run=_RUN, boot=boot_id()))


def is_gone(owner: str | None, *, since: str, local: bool = False) -> bool:
    """Tell whether a process that began to send at `since` (UTC, ISO 8601) has surely ended.

    A process of this machine is looked up. One of another machine cannot be: there only the time tells, unless the
    journal is `local`, which is to say that only processes of one machine can use it. Then it was copied from there,
    and whatever becomes of the request is written down in the other copy.
    """
    began = datetime.fromisoformat(since)
    if abs(datetime.now(UTC) - began) > LONGEST_SEND:  # or it began in the future: the clock was set
        return True
    sender = Owner.parse(owner)
    if sender.pid is None:
        return False
    if sender.can_be_looked_up:
        was_replaced = sender.pid == os.getpid() and sender.run not in {"", _RUN}
        return was_replaced or not _runs(sender.pid, began)
    if sender.boot and sender.boot == boot_id():
        return False  # in another container of this machine, which may share the folder of the journal
    return local or sender.is_of_this_host  # the latter: the machine was started anew


def _runs(pid: int, began: datetime) -> bool:
    import psutil  # only an intent that is left over pays for loading it

    try:
        # A process that started after the intent was written has only inherited its number.
        return bool(psutil.Process(pid).create_time() <= began.timestamp() + 1)
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False
