"""Several async iterators as one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

Item = TypeVar("Item")


class _End:
    """Marks that one source is exhausted."""


async def merge(sources: Iterable[AsyncIterator[Item]]) -> AsyncGenerator[Item, None]:
    """Yield from all sources as their items come, until every one has ended.

    A source that raises does not stop the others: the first error rises when all have ended. Closing ends all of them.
    """
    queue: asyncio.Queue[Item | _End] = asyncio.Queue()

    async def drain(source: AsyncIterator[Item]) -> None:
        try:
            async for item in source:
                queue.put_nowait(item)
        finally:
            queue.put_nowait(_End())

    tasks = [asyncio.create_task(drain(source)) for source in sources]
    try:
        running = len(tasks)
        while running:
            item = await queue.get()
            if isinstance(item, _End):
                running -= 1
            else:
                yield item
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
