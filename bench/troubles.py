"""Asking for one picture while this machine makes trouble: its clock, its disk, its journal.

Each `ask…` makes one generation and returns "image", or the error's class and sentence as "Class: sentence".
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr
from sqlalchemy.engine import make_url

from bench.chaos import receiving
from flux_nodes.core import Generations, ImagineRequest, Settings
from flux_nodes.core.errors import FluxNodesError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Attempt = Callable[[Settings], Awaitable[str]]
Lock = Callable[[], AbstractAsyncContextManager[None]]

PICTURE = ImagineRequest(model="flux-schnell", prompt="a field in all weathers", width=256, height=256, seed=7)
SLOW = ImagineRequest(model="flux-schnell", prompt="a slow river", width=256, height=256, seed=7)
"""Another picture, for a fault that is to meet this one alone."""

_LARGE = ImagineRequest(model="flux-schnell", prompt="a field in all weathers", width=1024, height=1024, seed=7)
_MOST_BYTES = 512 * 1024
"""Room for the journal, and less than the large picture takes."""

_REPOSITORY = Path(__file__).parents[1]
_LOCK = (
    "import sqlite3, sys; journal = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)\n"
    "print('ready', flush=True); sys.stdin.readline()\n"
    "journal.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read()"
)


async def ask(settings: Settings, picture: ImagineRequest = PICTURE) -> str:
    """Ask for a picture and wait for it."""

    async def asked() -> None:
        async with Generations.open(settings, door="trial") as generations:
            await _made(generations, picture)

    return await _said(asked())


async def ask_with_webhooks(settings: Settings) -> str:
    """Ask where a receiver of webhooks stands by, and give that the time to hear of what was lost."""
    async with receiving(settings) as generations:
        said = await _said(_made(generations, PICTURE))
        await asyncio.wait_for(_until_stored(generations), 60)
    return said


async def ask_with_a_jumping_clock(settings: Settings) -> str:
    """Ask, and let the wall clock jump a day forward, a day back and home again during the wait.

    Raises RuntimeError if the jumps moved the clock that the waiting goes by: then the trial would prove nothing.
    """
    import time_machine  # a development tool

    clock = asyncio.get_running_loop().time
    async with Generations.open(settings, door="trial") as generations:
        started = await generations.start(PICTURE)
        waiting = asyncio.create_task(_said(generations.wait(started.id)))
        began, today = clock(), datetime.now(UTC)
        for days in (1, -1):
            with time_machine.travel(today + timedelta(days=days)):
                await asyncio.wait([waiting], timeout=0.1)
                if abs((datetime.now(UTC) - today).days) != 1 or not 0 <= clock() - began < 60:
                    raise RuntimeError("the wall clock alone should have jumped")
        return await waiting


async def ask_on_a_full_disk(settings: Settings) -> str:
    """Ask in a process whose files may grow no larger than the journal needs: the image does not fit."""
    return await _output("-m", "bench.troubles", settings.base_url, str(settings.home))


async def ask_with_a_damaged_store(settings: Settings) -> str:
    """Ask, overwrite a part of the stored image, and ask for the same picture again.

    Raises RuntimeError if the image is not stored: then there would be nothing to damage.
    """
    async with Generations.open(settings, door="trial") as generations:
        file = generations.file(await generations.wait((await generations.start(PICTURE)).id))
        if file is None:
            raise RuntimeError("the image should have been stored")
        await asyncio.to_thread(_overwrite, file)
        return await _said(_made(generations, PICTURE))


def _overwrite(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(200)
        opened.write(bytes(30))


async def ask_behind_a_lock(settings: Settings) -> str:
    """Ask while another process holds the journal's lock for a second."""
    async with Generations.open(settings, door="trial") as generations:
        async with _locker(settings) as lock, lock():
            asking = asyncio.create_task(_said(_made(generations, PICTURE)))
            await asyncio.wait([asking], timeout=1)
        return await asking


async def ask_behind_a_lasting_lock(settings: Settings) -> str:
    """Ask while another process holds the journal's lock until this has given up."""
    async with Generations.open(settings, door="trial") as generations, _locker(settings) as lock, lock():
        return await _said(_made(generations, PICTURE))


async def be_locked_when_the_answer_comes(settings: Settings) -> str:
    """Ask, and let another process take the journal's lock between the request and its answer."""
    async with Generations.open(settings, door="trial") as generations, _locker(settings) as lock:
        asking = asyncio.create_task(_said(_made(generations, PICTURE)))
        while not await generations.recent():  # noqa: ASYNC110 - a journal has no event to wait for
            await asyncio.sleep(0.01)
        async with lock():
            return await asking


async def ask_in_a_read_only_journal(settings: Settings) -> str:
    """Ask where the journal is there and may only be read."""
    async with Generations.open(settings, door="trial"):
        pass
    url = f"sqlite:///file:{_journal_file(settings)}?mode=ro&uri=true"
    return await ask(Settings.model_validate({**dict(settings), "journal": url}))


async def ask_behind_a_refusing_proxy(settings: Settings) -> str:
    """Ask where the environment names a proxy that wants a password which nobody has."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    proxy = await asyncio.start_server(refuse, "127.0.0.1", 0)
    before = dict(os.environ)
    os.environ["HTTPS_PROXY"] = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    try:
        # This machine is never reached through a proxy; a service elsewhere is, whose name the proxy would look up.
        return await ask(settings.model_copy(update={"base_url": "https://api.example.com"}))
    finally:
        os.environ.clear()
        os.environ.update(before)
        proxy.close()


async def ask_beside_a_dripping_poll(settings: Settings) -> str:
    """Ask while the polls for another generation of this process drip, and that one is waited for as well."""
    async with Generations.open(settings, door="trial") as generations:
        slow = await generations.start(SLOW)
        waiting = asyncio.create_task(_said(generations.wait(slow.id)))
        said = await _said(asyncio.wait_for(_made(generations, PICTURE), settings.read_seconds))
        if waiting.done():
            raise RuntimeError("the other generation should have been waited for meanwhile")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    return said


async def _made(generations: Generations, picture: ImagineRequest) -> None:
    await generations.wait((await generations.start(picture)).id)


async def _said(work: Awaitable[object]) -> str:
    try:
        await work
    except FluxNodesError as error:
        return f"{type(error).__name__}: {error}"
    return "image"


async def _until_stored(generations: Generations) -> None:
    while not await generations.recent(statuses=["stored"]):  # noqa: ASYNC110 - a journal has no event to wait for
        await asyncio.sleep(0.01)


def _journal_file(settings: Settings) -> str:
    return str(make_url(settings.journal_url).database)


@asynccontextmanager
async def _locker(settings: Settings) -> AsyncIterator[Lock]:
    """Start another process that stands by to hold the journal's lock: when it is needed, a start would take long."""
    command = (sys.executable, "-c", _LOCK, _journal_file(settings))
    holder = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    to, of = holder.stdin, holder.stdout
    assert to is not None
    assert of is not None
    await of.readline()

    @asynccontextmanager
    async def lock() -> AsyncIterator[None]:
        to.write(b"\n")
        await of.readline()
        try:
            yield
        finally:
            to.close()
            await holder.wait()

    try:
        yield lock
    finally:
        to.close()
        await holder.wait()


async def _output(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=_REPOSITORY, stdout=subprocess.PIPE)
    said, _ = await process.communicate()
    return said.decode().strip()


def main() -> None:
    """Ask in this process, whose files may not grow large."""
    import resource  # not on Windows, where no other part of the trials is missing

    parser = argparse.ArgumentParser(description=(main.__doc__ or "").strip())
    parser.add_argument("url")
    parser.add_argument("home", type=Path)
    given = parser.parse_args()
    settings = Settings(api_key=SecretStr("sandbox"), base_url=given.url, home=given.home, first_poll=0.02)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_BYTES, _MOST_BYTES))
    print(asyncio.run(ask(settings, _LARGE)))


if __name__ == "__main__":
    main()
