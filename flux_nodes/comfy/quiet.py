"""Keeps our own requests out of ComfyUI's console, and leaves what other packs log there alone.

It shows whatever is logged from INFO on, as the HTTP library does for each request: a line for every question would
drown the rest, and the service's address may be nobody else's business.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ours: ContextVar[bool] = ContextVar("ours", default=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Let no request be logged that is made here, or by tasks that are started here; warnings are."""
    before = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(before)


def _is_shown(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not _ours.get()


# The library has one logger for all of its clients, and no setting of one client.
logging.getLogger("httpx2").addFilter(_is_shown)
