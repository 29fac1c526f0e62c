"""An event loop in a thread of its own: whatever may cost money runs there.

ComfyUI runs each prompt in a loop that it closes as soon as one node fails or a person stops it. That cancels all that
runs there, also the answer to a request that is paid already. Here every request is heard to its end. And while a
model computes, which holds up ComfyUI's loop, this one goes on.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import signal
import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.signals import ENDING

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from concurrent.futures import Future

Answer = TypeVar("Answer")

_turn = threading.Lock()
_loops: list[_Loop] = []
"""The loop that takes new work; none while there is nothing to do."""


_LONGEST = 75.0
"""The most seconds that ComfyUI's end waits for answers; longer than one request takes that is not sent again."""

_told = threading.Condition()
_unanswered: list[object] = []
"""Requests that may be paid by now, and whose answers are not written down yet."""


@contextmanager
def heard_out() -> Iterator[None]:
    """Keep the process from ending while this is done: Ctrl-C in ComfyUI must not lose what is paid."""
    mark = object()
    with _told:
        _unanswered.append(mark)
    try:
        yield
    finally:
        with _told:
            _unanswered.remove(mark)
            _told.notify_all()


@atexit.register
def _hear_out() -> None:
    """Wait for the answers that are due. Threads that are daemons still run while this does."""
    with _told:
        if _unanswered:
            logging.getLogger(__name__).warning("Flux Nodes: waiting for the service to say what was paid …")
        until = monotonic() + _LONGEST
        while _unanswered and monotonic() < until:
            _told.wait(1)  # on Windows a second Ctrl-C is only heard between two waits


def hear_out_signals() -> None:
    """Let the signals that would end ComfyUI at once wait for the answers that are due; a second one does not.

    Ctrl-C is ComfyUI's own, and ends it through `atexit`. A signal that somebody else takes, or ignores, stays theirs.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _leave)


def _leave(number: int, frame: object) -> None:
    del frame
    hang_up = getattr(signal, "SIGHUP", None)
    for each in ENDING:
        # A closing terminal sends SIGHUP twice.
        signal.signal(each, signal.SIG_IGN if each == number == hang_up else signal.SIG_DFL)
    _hear_out()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def start(work: Coroutine[Any, Any, Answer]) -> Future[Answer]:
    """Run a coroutine in the background, from any thread; cancelling the future cancels it there.

    The thread starts with the first work, is shared by all that comes while it runs, and ends with the last.
    """
    with _turn:
        if not _loops:
            loop = _Loop()
            # A daemon: but for `heard_out`, what it does is in the journal, so ComfyUI may end at any time.
            threading.Thread(target=loop.run, name="flux-nodes", daemon=True).start()
            _loops.append(loop)
        return _loops[0].take(work)


def leave(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in the background, and look after it no more; an error that is nobody's to catch is logged."""
    start(work).add_done_callback(_log)


def _log(done: Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        logging.getLogger(__name__).error("Flux Nodes: what was done in the background has failed.", exc_info=error)


class _Loop:
    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._works = 0
        self._empty = asyncio.Event()

    def take(self, work: Coroutine[Any, Any, Answer]) -> Future[Answer]:
        self._works += 1
        return asyncio.run_coroutine_threadsafe(self._counted(work), self._loop)

    async def _counted(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            return await work
        finally:
            self._leave()

    def _leave(self) -> None:
        with _turn:
            self._works -= 1
            if not self._works:
                _loops.remove(self)
                self._empty.set()

    def run(self) -> None:
        try:
            self._loop.run_until_complete(self._empty.wait())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()
