"""Kill the program at random moments, again and again, and count: nothing paid twice, nothing paid lost.

    python -m bench.chaos --kills 200

Several workers make the same list of pictures through one journal. Each is killed (SIGKILL) at a random moment and
started again, until there were enough kills; then they may finish. A receiver of webhooks lives on, as a server of a
team would. What stays unconfirmed at the end is settled as a person would: the service is looked at, and what it never
got is sent again. Then the books are compared: the sandbox's charges with the pictures, its images with the files.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import uvicorn
from pydantic import SecretStr

from flux_nodes.core import Generations, ImagineRequest, Settings
from flux_nodes.core.errors import SubmitUnconfirmed
from flux_nodes.core.webhook import WebhookReceiver
from flux_nodes.sandbox import Fault, Sandbox, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from flux_nodes.core import Generation

SECRET = "the-secret-of-the-chaos-trial"  # noqa: S105 - it guards a sandbox on this machine


@dataclass(frozen=True, kw_only=True)
class Books:
    """What was counted at the end."""

    pictures: int
    kills: int
    seconds: float
    charges: int
    intents: int
    unconfirmed: int
    sent_again: int
    stored: int
    same_bytes: int
    duplicates: int

    @property
    def balanced(self) -> bool:
        """Whether each picture was paid exactly once and is here, byte for byte."""
        whole = self.charges == self.stored == self.same_bytes == self.pictures
        return whole and self.duplicates == 0 and self.intents == self.pictures + self.sent_again


def picture(seed: int) -> ImagineRequest:
    """Return the request of one picture of the list."""
    return ImagineRequest(model="flux-schnell", prompt="a field of chaos", width=256, height=256, seed=seed)


async def work(settings: Settings, pictures: int) -> None:
    """Make every picture of the list that is not made yet: what a worker does until it is killed."""
    async with Generations.open(settings, door=f"worker {settings.service}") as generations:
        print("ready", flush=True)  # noqa: T201 - the parent waits for it
        seeds = list(range(pictures))
        random.shuffle(seeds)
        await asyncio.gather(*(_make(generations, seed) for seed in seeds))


async def _make(generations: Generations, seed: int) -> None:
    try:
        started = await generations.start(picture(seed))
        await generations.wait(started.id)
    except SubmitUnconfirmed:
        return  # a person settles it


def _settings(url: str, hook: str, home: Path) -> Settings:
    return Settings.model_validate(
        {
            "api_key": "sandbox",
            "base_url": url,
            "home": home,
            "first_poll": 0.05,
            "service": "chaos",
            "webhook_url": hook,
            "webhook_secret": SECRET,
        }
    )


@asynccontextmanager
async def _receiving(settings: Settings, listener: socket.socket) -> AsyncIterator[Generations]:
    async with Generations.open(settings, door="receiver") as generations:
        receiver = WebhookReceiver(generations, secret=SecretStr(SECRET))
        server = uvicorn.Server(uvicorn.Config(receiver, lifespan="off", log_level="error", ws="none"))
        serving_it = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield generations
        finally:
            server.should_exit = True
            await serving_it
            await receiver.aclose()


class _Worker:
    """One worker process, started again each time that it was killed."""

    def __init__(self, arguments: list[str], chance: random.Random) -> None:
        self._command = [sys.executable, "-m", "bench.chaos", "--work", *arguments]
        self._chance = chance
        self.kills = 0

    async def be_killed(self, times: int) -> None:
        """Run it and kill it at a random moment, this many times."""
        while self.kills < times:
            process = await asyncio.create_subprocess_exec(*self._command, stdout=subprocess.PIPE)
            assert process.stdout is not None  # noqa: S101 - it was asked for in the line before
            await process.stdout.readline()
            await asyncio.sleep(self._chance.random() ** 2)
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
                self.kills += await process.wait() == -signal.SIGKILL
        await self.finish()

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
    listener = socket.create_server(("127.0.0.1", 0))
    hook = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with serving(sandbox) as server:
        settings = _settings(server.url, hook, home)
        arguments = [server.url, hook, str(home), str(pictures)]
        crowd = [_Worker(arguments, chance) for _ in range(workers)]
        async with _receiving(settings, listener) as generations:
            await asyncio.gather(*(each.be_killed(-(-kills // workers)) for each in crowd))
            unconfirmed, sent_again = await _settle(generations, sandbox)
            return await _count(
                generations,
                sandbox,
                pictures=pictures,
                kills=sum(each.kills for each in crowd),
                began=began,
                unconfirmed=unconfirmed,
                sent_again=sent_again,
            )


async def _settle(generations: Generations, sandbox: Sandbox) -> tuple[int, int]:
    """Do what a person would with the unconfirmed: wait for webhooks, then send again what the service never got."""
    async for _ in generations.resume(seconds=60):
        pass
    left = await generations.recent(most=None, statuses=["unconfirmed"])
    paid = {(task.body["seed"]) for task in sandbox.tasks}
    lost = [each for each in left if each.seed not in paid]
    for each in lost:
        await generations.wait((await generations.again(each.id)).id, seconds=60)
    return len(left), len(lost)


async def _count(
    generations: Generations,
    sandbox: Sandbox,
    *,
    pictures: int,
    kills: int,
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
        kills=kills,
        seconds=round(time.monotonic() - began, 1),
        charges=sandbox.charges,
        intents=len(rows),
        unconfirmed=unconfirmed,
        sent_again=sent_again,
        stored=len({row.seed for row in stored}),
        same_bytes=sum(same),
        duplicates=len(sandbox.tasks) - len({task.body["seed"] for task in sandbox.tasks}),
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
    parser.add_argument("--work", nargs=4, metavar=("URL", "HOOK", "HOME", "PICTURES"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        url, hook, home, pictures = given.work
        asyncio.run(work(_settings(url, hook, Path(home)), int(pictures)))
        return 0
    pictures = given.pictures or 2 * given.kills
    with tempfile.TemporaryDirectory(prefix="flux-nodes-chaos-") as folder:
        books = asyncio.run(
            trial(kills=given.kills, pictures=pictures, workers=given.workers, seed=given.seed, home=Path(folder))
        )
    print(f"seed {given.seed}", *(f"{name} {value}" for name, value in vars(books).items()), sep="\n")  # noqa: T201
    print("balanced" if books.balanced else "NOT BALANCED")  # noqa: T201 - this is what the command is for
    return 0 if books.balanced else 1


if __name__ == "__main__":
    sys.exit(main())
