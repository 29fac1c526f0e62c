"""The three standard streams where a shell has closed some of them (`>&-`)."""

from __future__ import annotations

import os
import sys
from functools import cache

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


@cache
def plug_closed_streams() -> frozenset[str]:
    """Lead the streams that are closed to nowhere, and name them.

    Python has None in their place. And the next file that is opened would get the number of a closed one: what some
    library writes on stderr would end up in the journal.
    """
    closed = frozenset(name for name, _ in _STREAMS if getattr(sys, name) is None)
    for name, mode in _STREAMS:
        if name in closed:
            # It gets the lowest number that is free: the stream's own, unless something has taken that since.
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(nowhere, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - open to the end
    return closed
