"""Kill the program at random moments, again and again, and count: nothing paid twice, nothing paid lost.

    python -m bench.chaos --kills 200

Several workers make the same list of pictures through one journal. Each is killed (SIGKILL) at a random moment and
started again, until there were enough kills; then they may finish. A receiver of webhooks lives on, as a server of a
team would. What stays unconfirmed at the end is settled as a person would: the service is looked at, what it has is
confirmed, and what it never got is sent again. Then the books are compared: the sandbox's charges with the pictures,
its images with the files. None of that depends on the speed of the machine. Where the killed left their generations is
counted too: a trial that never hits a step says nothing of it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import uvicorn
from pydantic import SecretStr

from flux_nodes.core import Generations, ImagineRequest, Settings
from flux_nodes.core.errors import ImageUnavailable, ServiceUnreachable, StorageError, SubmitUnconfirmed
from flux_nodes.core.webhook import WebhookReceiver
from flux_nodes.sandbox import Fault, Sandbox, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from flux_nodes.core import Generation
    from flux_nodes.core.generation import Status

AT_ONCE = 4
"""How many pictures a worker makes at the same time: with more, all would be made before the kills are."""

_AT_WORK = 0.8
"""The share of kills that wait for a worker to have begun; the others may hit it while it starts."""

UNDER_WAY: tuple[Status, ...] = ("intent", "submitted", "running", "finished")
"""Where a generation can be when its worker is killed; an image that is being downloaded is finished."""

PATIENCE = 600.0
"""How many seconds anything may take on a machine that is very busy: then the trial has failed."""

_TRIES = 5
"""How often a worker asks for a picture while the machine is too busy to get it."""

SECRET = "the-secret-of-the-chaos-trial"  # noqa: S105 - it guards a sandbox on this machine


@dataclass(frozen=True, kw_only=True)
class Books:
    """What was counted at the end."""

    pictures: int
    kills: int
    kills_in_work: int
    seconds: float
    charges: int
    intents: int
    unconfirmed: int
    sent_again: int
    stored: int
    same_bytes: int
    duplicates: int
    left: Mapping[str, int] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        """Whether each picture was paid exactly once and is here, byte for byte."""
        whole = self.charges == self.stored == self.same_bytes == self.pictures
        return whole and self.duplicates == 0 and self.intents == self.pictures + self.sent_again


def picture(seed: int) -> ImagineRequest:
    """Return the request of one picture of the list."""
    return ImagineRequest(model="flux-schnell", prompt="a field of chaos", width=256, height=256, seed=seed)


async def work(settings: Settings, *, door: str, pictures: int) -> None:
    """Make every picture of the list that is not made yet: what a worker does until it is killed."""
    async with Generations.open(settings, door=door) as generations:
        print("ready", flush=True)
        made = {row.seed for row in await generations.recent(most=None, statuses=["stored"])}
        seeds = [seed for seed in range(pictures) if seed not in made]
        random.shuffle(seeds)
        turns = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(_make(generations, seed, turns) for seed in seeds))


async def _make(generations: Generations, seed: int, turns: asyncio.Semaphore) -> None:
    with suppress(SubmitUnconfirmed):  # a person settles it
        async with turns:
            for left in reversed(range(_TRIES)):
                try:
                    started = await generations.start(picture(seed))
                    await generations.wait(started.id, seconds=PATIENCE)
                except (ImageUnavailable, ServiceUnreachable, StorageError):  # no answer, no lock, in time
                    if not left:
                        raise
                else:
                    return


def _settings(url: str, home: Path) -> Settings:
    return Settings.model_validate(
        {"api_key": "sandbox", "base_url": url, "home": home, "first_poll": 0.05, "service": "chaos"}
    )


def _hooked(settings: Settings, hook: str) -> Settings:
    return settings.model_copy(update={"webhook_url": hook, "webhook_secret": SecretStr(SECRET)})


@asynccontextmanager
async def receiving(settings: Settings) -> AsyncIterator[Generations]:
    """Serve a receiver of webhooks, and give generations whose webhooks arrive there."""
    listener = socket.create_server(("127.0.0.1", 0))
    hooked = _hooked(settings, f"http://127.0.0.1:{listener.getsockname()[1]}/")
    async with Generations.open(hooked, door="receiver") as generations:
        receiver = WebhookReceiver(generations, secret=SecretStr(SECRET))
        server = uvicorn.Server(uvicorn.Config(receiver, lifespan="off", log_config=None, log_level=None, ws="none"))
        serving_it = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield generations
        finally:
            server.should_exit = True
            await serving_it
            await receiver.aclose()


class _Worker:
    """One worker process, started again each time that it was killed."""

    def __init__(self, door: str, arguments: list[str], chance: random.Random) -> None:
        self._door = door
        self._command = [sys.executable, "-m", "bench.chaos", "--work", door, *arguments]
        self._chance = chance
        self.kills = self.kills_in_work = 0
        self.left: set[tuple[str, str]] = set()

    async def be_killed(self, times: int, generations: Generations) -> None:
        """Run it and kill it at a random moment, this many times; note where that left what it had started.

        Most are killed some time after they have begun to work, however long they took to get there.
        """
        while self.kills < times:
            process = await asyncio.create_subprocess_exec(*self._command, stdout=subprocess.PIPE)
            assert process.stdout is not None
            await process.stdout.readline()
            if self._chance.random() < _AT_WORK:
                await self._at_work(generations, process)
            await asyncio.sleep(self._chance.random() ** 2)
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            end = await process.wait()
            if end not in {0, -signal.SIGKILL}:
                raise RuntimeError(f"a worker ended by itself, with exit code {end}")
            if end == -signal.SIGKILL:
                self.kills += 1
                left = await self._under_way(generations)
                self.kills_in_work += bool(left)
                self.left |= left
        await self.finish()

    async def _at_work(self, generations: Generations, process: asyncio.subprocess.Process) -> None:
        """Wait until it has something under way that it had not before, or has ended."""
        before = await self._under_way(generations)
        async with asyncio.timeout(PATIENCE):
            while process.returncode is None and await self._under_way(generations) <= before:  # noqa: ASYNC110 - a journal has no event
                await asyncio.sleep(0.02)

    async def _under_way(self, generations: Generations) -> set[tuple[str, str]]:
        rows = await generations.recent(most=None, statuses=UNDER_WAY)
        return {(row.id, row.status) for row in rows if row.door == self._door}

    async def finish(self) -> None:
        """Run it to its end."""
        process = await asyncio.create_subprocess_exec(*self._command, stdout=subprocess.DEVNULL)
        if await process.wait() != 0:
            raise RuntimeError("a worker that nobody killed did not end well")


async def trial(*, kills: int, pictures: int, workers: int, seed: int, home: Path) -> Books:
    """Run the trial and return the books."""
    began = time.monotonic()
    chance = random.Random(seed)  # noqa: S311 - a trial that can be repeated, no secret
    sandbox = Sandbox(seconds=1.0, state=home / "sandbox.sqlite3")
    sandbox.inject(Fault(where="submit", kind="slow", seconds=0.05, times=None))
    with serving(sandbox) as server:
        async with receiving(_settings(server.url, home)) as generations:
            arguments = [server.url, str(generations.settings.webhook_url), str(home), str(pictures)]
            crowd = [_Worker(f"worker {number}", arguments, chance) for number in range(workers)]
            await asyncio.gather(*(each.be_killed(-(-kills // workers), generations) for each in crowd))
            unconfirmed, sent_again = await _settle(generations, sandbox)
            return await _count(
                generations,
                sandbox,
                crowd,
                pictures=pictures,
                began=began,
                unconfirmed=unconfirmed,
                sent_again=sent_again,
            )


async def _settle(generations: Generations, sandbox: Sandbox) -> tuple[int, int]:
    """Do what a person would with the unconfirmed: confirm what the service has, and send again what it never got."""
    await _collect(generations)
    left = await generations.recent(most=None, statuses=["unconfirmed"])
    paid = {task.body["seed"]: task.task_id for task in sandbox.tasks}
    lost = [each for each in left if each.seed not in paid]
    for each in left:
        if each.seed in paid:  # its webhook is on its way, or was given up
            await generations.confirm_task(each.id, paid[each.seed])
    for each in lost:
        await generations.again(each.id)
    await _collect(generations)
    return len(left), len(lost)


async def _collect(generations: Generations) -> None:
    """Collect everything unfinished, again where the machine was too busy for it."""
    for _ in range(_TRIES):
        with suppress(ImageUnavailable, ServiceUnreachable):
            async with aclosing(generations.resume(seconds=PATIENCE)) as moves:
                async for _moved in moves:
                    continue
            return


async def _count(
    generations: Generations,
    sandbox: Sandbox,
    crowd: list[_Worker],
    *,
    pictures: int,
    began: float,
    unconfirmed: int,
    sent_again: int,
) -> Books:
    rows = await generations.recent(most=None)
    stored = [row for row in rows if row.status == "stored"]
    async with httpx2.AsyncClient() as http:
        same = [await _same_bytes(http, generations, row) for row in stored]
    return Books(
        pictures=pictures,
        kills=sum(each.kills for each in crowd),
        kills_in_work=sum(each.kills_in_work for each in crowd),
        seconds=round(time.monotonic() - began, 1),
        charges=sandbox.charges,
        intents=sum(row.status != "refused" for row in rows),  # what was refused was neither paid nor lost
        unconfirmed=unconfirmed,
        sent_again=sent_again,
        stored=len({row.seed for row in stored}),
        same_bytes=sum(same),
        duplicates=len(sandbox.tasks) - len({task.body["seed"] for task in sandbox.tasks}),
        left=Counter(status for each in crowd for _, status in each.left),
    )


async def _same_bytes(http: httpx2.AsyncClient, generations: Generations, row: Generation) -> bool:
    """Tell whether the file on the disk is what the service serves under the image's address."""
    served = (await http.get(str(row.image_url))).content
    kept = await generations.data(row)
    return kept == served and hashlib.sha256(kept).hexdigest() == row.sha256


def main() -> int:
    """Run from the command line; the exit code is 1 when the books do not balance."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pictures", type=int, default=None, help="default: twice the kills")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--work", nargs=5, metavar=("DOOR", "URL", "HOOK", "HOME", "PICTURES"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        door, url, hook, home, pictures = given.work
        asyncio.run(work(_hooked(_settings(url, Path(home)), hook), door=door, pictures=int(pictures)))
        return 0
    # A killed worker's half of a request is what this is about, and no news.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    pictures = given.pictures or 2 * given.kills
    with tempfile.TemporaryDirectory(prefix="flux-nodes-chaos-") as folder:
        books = asyncio.run(
            trial(kills=given.kills, pictures=pictures, workers=given.workers, seed=given.seed, home=Path(folder))
        )
    _tell(given.seed, books)
    return 0 if books.balanced else 1


def _tell(seed: int, books: Books) -> None:
    counts = {name: value for name, value in vars(books).items() if name != "left"}
    left = ", ".join(f"{status} {books.left.get(status, 0)}" for status in UNDER_WAY)
    lines = [f"seed {seed}", *(f"{name} {value}" for name, value in counts.items()), f"left by the killed: {left}"]
    print(*lines, "balanced" if books.balanced else "NOT BALANCED", sep="\n")


if __name__ == "__main__":
    sys.exit(main())
