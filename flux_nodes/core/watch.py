"""Follows any number of tasks with few requests, and yields each as it moves.

One loop polls for all followers of a process: tasks that are due together travel in one `/fetch-many`. No poll waits
for another: one whose answer does not come holds up the tasks in it alone, until the client gives it up. Every
transient fault is ridden out; only the deadline, or a refusal that no repetition mends, ends a wait.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .client import MOST_IDS
from .errors import (
    ConnectionRejected,
    KeyRefused,
    MissingKey,
    ServiceError,
    ServiceRefused,
    ServiceUnreachable,
    TooManyRequests,
)
from .retry import NO_WHOLE_ANSWER
from .task import Task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from .client import ApiframeClient

_LASTING = (ConnectionRejected, KeyRefused, MissingKey)
_PASSING = (ServiceUnreachable, TooManyRequests)
_LONGEST_WISH = 60.0
"""The longest `Retry-After` that is obeyed, in seconds."""

_SMALLER = 5
"""What the size of a group is divided by when its poll stayed silent: one bad task must not silence its neighbours."""

_Delivery = Task | BaseException


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often to ask, in seconds: the first interval, its growth with the time waited, and the longest."""

    first: float = 0.5
    share: float = 0.1
    longest: float = 5.0

    def interval(self, waited: float) -> float:
        """Return the seconds until the next question after `waited` seconds.

        A task that took long so far is asked for less often.
        """
        return min(self.longest, max(self.first, waited * self.share))


@dataclass
class _Watched:
    """A task under watch: since when, when to ask next, what was said last, and who wants to know.

    `asked` while a poll for it is under way; `group` is how many tasks may share its next poll.
    """

    since: float
    due: float
    interval: float
    last: Task | None = None
    trouble: ServiceError | None = None
    not_before: float = 0.0
    asked: bool = False
    group: int = MOST_IDS
    listeners: list[asyncio.Queue[_Delivery]] = field(default_factory=list)

    def tell(self, news: _Delivery) -> None:
        for queue in self.listeners:
            queue.put_nowait(news)


class Watcher:
    """Watches tasks through one client. Bound to the event loop it is first used in."""

    def __init__(self, client: ApiframeClient, *, pace: Pace | None = None) -> None:
        self._client = client
        self._pace = pace or Pace()
        self._watched: dict[str, _Watched] = {}
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._polls: set[asyncio.Task[None]] = set()

    async def follow(self, task_ids: Iterable[str], *, seconds: float | None = None) -> AsyncGenerator[Task, None]:
        """Yield each task whenever it has moved, until all have ended.

        Raises TimeoutError after `seconds` (its cause is why the service could not be asked, if that was so), and
        KeyRefused, MissingKey or ServiceRefused when asking is of no use.
        """
        ids = set(task_ids)
        queue: asyncio.Queue[_Delivery] = asyncio.Queue()
        clock = asyncio.get_running_loop().time
        until = None if seconds is None else clock() + seconds
        self._listen(ids, queue)
        try:
            while ids:
                try:
                    news = await _next(queue, None if until is None else until - clock())
                except TimeoutError as error:
                    raise error from self._trouble(ids)
                if not isinstance(news, Task):
                    raise news
                yield news
                if news.ended:
                    ids.discard(news.task_id)
        finally:
            self._forget(queue)

    def _trouble(self, ids: Iterable[str]) -> ServiceError | None:
        """Return why there was no news: the last failure to ask, where the service was not heard since."""
        watched = [self._watched[task_id] for task_id in ids if task_id in self._watched]
        return next((each.trouble for each in watched if each.trouble is not None), None)

    def hurry(self, task_id: str) -> None:
        """Ask for a task at once: there is word that it has moved."""
        watched = self._watched.get(task_id)
        if watched is not None:
            watched.due = asyncio.get_running_loop().time()
            self._wake.set()

    async def aclose(self) -> None:
        """Stop asking."""
        running = [*self._polls, *([self._loop] if self._loop is not None else [])]
        self._loop = None
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _listen(self, ids: Iterable[str], queue: asyncio.Queue[_Delivery]) -> None:
        now = asyncio.get_running_loop().time()
        for task_id in ids:
            watched = self._watched.setdefault(task_id, _Watched(since=now, due=now, interval=self._pace.first))
            watched.listeners.append(queue)
            if watched.last is not None:
                queue.put_nowait(watched.last)
        self._wake.set()
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._ask_on())
            self._loop.add_done_callback(self._ended)

    def _ended(self, loop: asyncio.Task[None]) -> None:
        """Pass on what ended the loop, or its followers would wait for ever."""
        error = asyncio.CancelledError() if loop.cancelled() else loop.exception()
        if error is not None:
            self._tell_all(list(self._watched), error)

    def _forget(self, queue: asyncio.Queue[_Delivery]) -> None:
        for task_id, watched in list(self._watched.items()):
            if queue in watched.listeners:
                watched.listeners.remove(queue)
            if not watched.listeners:
                del self._watched[task_id]
        self._wake.set()

    async def _ask_on(self) -> None:
        while self._watched:
            self._wake.clear()
            for group in self._due():
                self._start(group)
            await self._rest()

    def _due(self) -> list[dict[str, _Watched]]:
        """Return the groups to ask for now: if one is due, those that would be soon come along in its request."""
        now = asyncio.get_running_loop().time()
        free = {task_id: watched for task_id, watched in self._watched.items() if not watched.asked}
        if all(watched.due > now for watched in free.values()):
            return []
        soon = {task_id: watched for task_id, watched in free.items() if watched.due - watched.interval / 2 <= now}
        groups: list[dict[str, _Watched]] = []
        for size in sorted({watched.group for watched in soon.values()}, reverse=True):
            same = [(task_id, watched) for task_id, watched in soon.items() if watched.group == size]
            groups += [dict(same[at : at + size]) for at in range(0, len(same), size)]
        return groups

    def _start(self, group: dict[str, _Watched]) -> None:
        """Ask for a group in a task of its own."""
        for watched in group.values():
            watched.asked = True

        def ended(poll: asyncio.Task[None]) -> None:
            self._polls.discard(poll)
            for watched in group.values():
                watched.asked = False
            self._wake.set()
            if not poll.cancelled() and (error := poll.exception()) is not None:
                self._tell_all(list(group), error)

        poll = asyncio.create_task(self._ask(list(group)))
        self._polls.add(poll)
        poll.add_done_callback(ended)

    async def _rest(self) -> None:
        """Wait until the next task is due, or until something has changed."""
        due = [watched.due for watched in self._watched.values() if not watched.asked]
        seconds = max(0.0, min(due) - asyncio.get_running_loop().time()) if due else None
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _ask(self, ids: Sequence[str]) -> None:
        try:
            tasks = await self._client.fetch_many(ids, once=True)
        except _LASTING as error:
            self._tell_all(ids, error)
        except _PASSING as error:
            self._note(ids, error)
            if isinstance(error.__cause__, NO_WHOLE_ANSWER):
                self._part(ids, at_most=max(1, len(ids) // _SMALLER))
            self._hear(ids, [])
        except ServiceRefused as error:
            # One bad id must not hide its neighbours: each is asked for alone.
            if len(ids) == 1:
                self._tell_all(ids, error)
            else:
                self._part(ids, at_most=1, at_once=True)
        else:
            self._note(ids, None)
            self._hear(ids, tasks)

    def _hear(self, ids: Sequence[str], tasks: Sequence[Task]) -> None:
        """Take what was said of the tasks that were asked for; one that was passed over is asked for alone."""
        told = {task.task_id: task for task in tasks}
        for task_id in ids:
            self._take(task_id, told.get(task_id))
        if len(ids) > 1 and told:
            self._part([task_id for task_id in ids if task_id not in told], at_most=1, at_once=True)

    def _part(self, ids: Sequence[str], *, at_most: int, at_once: bool = False) -> None:
        """Let the tasks of a poll that was in vain be asked for in smaller groups, until they are answered."""
        for task_id in ids:
            if (watched := self._watched.get(task_id)) is not None:
                watched.group = at_most
                if at_once:
                    watched.due = asyncio.get_running_loop().time()

    def _note(self, ids: Sequence[str], trouble: ServiceError | None) -> None:
        wish = trouble.retry_after or 0.0 if isinstance(trouble, TooManyRequests) else 0.0
        not_before = asyncio.get_running_loop().time() + min(wish, _LONGEST_WISH)
        for task_id in ids:
            if task_id in self._watched:
                self._watched[task_id].trouble = trouble
                self._watched[task_id].not_before = not_before

    def _tell_all(self, ids: Sequence[str], error: BaseException) -> None:
        for task_id in ids:
            watched = self._watched.pop(task_id, None)
            if watched is not None:
                watched.tell(error)

    def _take(self, task_id: str, task: Task | None) -> None:
        watched = self._watched.get(task_id)
        if watched is None:
            return
        now = asyncio.get_running_loop().time()
        watched.interval = self._pace.interval(now - watched.since)
        watched.due = max(now + watched.interval, watched.not_before)
        if task is None:
            return
        watched.group = MOST_IDS
        if task == watched.last:
            return
        watched.last = task
        watched.tell(task)
        if task.ended:
            del self._watched[task_id]


async def _next(queue: asyncio.Queue[_Delivery], seconds: float | None) -> _Delivery:
    """Return the next news. Raises TimeoutError.

    Not `asyncio.wait_for`: before Python 3.12 it swallows a cancellation that comes together with the news, and a
    person's Ctrl-C would be lost.
    """
    getting = asyncio.ensure_future(queue.get())
    try:
        done, _ = await asyncio.wait([getting], timeout=seconds)
    finally:
        getting.cancel()
    if not done:
        raise TimeoutError
    return getting.result()
