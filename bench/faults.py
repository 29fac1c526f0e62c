"""Take one generation through every fault, and show what its caller got.

    python -m bench.faults

Each line is a trial of its own: a sandbox over real HTTP, an empty home, one generation that meets the fault, and what
became of it. After that the fault is lifted and everything unfinished is collected. A trial declares what is promised;
a line that is not as promised ends in an exit code of 1.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import httpx2

from bench.troubles import (
    SLOW,
    Attempt,
    ask,
    ask_behind_a_lasting_lock,
    ask_behind_a_lock,
    ask_behind_a_refusing_proxy,
    ask_beside_a_dripping_poll,
    ask_in_a_read_only_journal,
    ask_on_a_full_disk,
    ask_with_a_damaged_store,
    ask_with_a_jumping_clock,
    ask_with_webhooks,
    be_locked_when_the_answer_comes,
)
from flux_nodes.core import Generations, Settings
from flux_nodes.sandbox import Fault, Quirks, Sandbox, serving

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import Message, Receive, Scope, Send

    from flux_nodes.core import Generation

Kept = Literal["yes", "yes, unconfirmed", "in the error", "nothing was sent", "no"]
Home = Literal["at once", "later, free", "no", "other bytes"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a trial.

    `got`: "image", or the class of the error. `paid`: the tasks that the service charged for, all in all. `kept`: the
    journal has the generation, with its task id wherever the service told one. `home`: when the image came, byte for
    byte.
    """

    got: str
    paid: int
    kept: Kept
    home: Home


RIDDEN_OUT = Outcome(got="image", paid=1, kept="yes", home="at once")
COLLECTED = Outcome(got="ImageUnavailable", paid=1, kept="yes", home="later, free")
UNCONFIRMED = Outcome(got="SubmitUnconfirmed", paid=1, kept="yes, unconfirmed", home="no")
ID_IN_ERROR = Outcome(got="SubmitUnconfirmed", paid=1, kept="in the error", home="no")
NOTHING_SENT = Outcome(got="StorageError", paid=0, kept="nothing was sent", home="no")


class AnswersBadly(Sandbox):
    """A service that accepts and charges, and then says 500: the worst that a 500 can mean."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI asks."""

        async def spoiled(message: Message) -> None:
            start = message["type"] == "http.response.start"
            await send({**message, "status": 500} if start else message)

        await super().__call__(scope, receive, spoiled if scope.get("path") == "/flux-imagine" else send)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One fault, and what is promised of it."""

    name: str
    promise: Outcome
    faults: tuple[Fault, ...] = ()
    quirks: Quirks = field(default_factory=Quirks)
    service: type[Sandbox] = Sandbox
    seconds: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    attempt: Attempt = ask


def _poll(kind: Any, **values: Any) -> tuple[Fault, ...]:
    return (Fault(where="fetch", kind=kind, **values),)


def _image(kind: Any, *, times: int | None = 1, **values: Any) -> tuple[Fault, ...]:
    return (Fault(where="image", kind=kind, times=times, **values),)


def _submit(kind: Any) -> tuple[Fault, ...]:
    return (Fault(where="submit", kind=kind),)


_SOON = {"submit_seconds": 2, "read_seconds": 2}
"""Clocks of whole requests that end sooner than the usual ones: 60 seconds for a submit, 10 for a poll."""

_LOST = (Fault(where="submit", kind="lost-after"),)
_UNKNOWN = '{"errors": [{"msg": "Task not found"}]}'

OF_THE_PEERS = (
    Trial(name="submit reply lost", faults=_LOST, promise=UNCONFIRMED),
    Trial(name="submit 500, and accepted all the same", service=AnswersBadly, promise=UNCONFIRMED),
    Trial(
        name="submit 429 (Retry-After 1)",
        faults=(Fault(where="submit", kind="refuse", status=429, retry_after=1),),
        promise=RIDDEN_OUT,
    ),
    Trial(name="poll 503 twice", faults=_poll("refuse", status=503, times=2), promise=RIDDEN_OUT),
    Trial(name="poll 429 twice", faults=_poll("refuse", status=429, times=2), promise=RIDDEN_OUT),
)
"""The five faults that other clients were tried with."""

TRIALS = (
    *OF_THE_PEERS,
    Trial(
        name="submit reply lost, webhooks on",
        faults=_LOST,
        attempt=ask_with_webhooks,
        promise=Outcome(got="SubmitUnconfirmed", paid=1, kept="yes", home="later, free"),
    ),
    Trial(name="poll HTML", faults=_poll("html", status=200), promise=RIDDEN_OUT),
    Trial(name="poll empty", faults=_poll("empty"), promise=RIDDEN_OUT),
    Trial(name="percentage as text", quirks=Quirks(percentage="text"), seconds=1, promise=RIDDEN_OUT),
    Trial(name="no status on finish", quirks=Quirks(finished_has_status=False), promise=RIDDEN_OUT),
    Trial(
        name="failed task",
        faults=(Fault(where="submit", kind="fail"),),
        promise=Outcome(got="GenerationFailed", paid=1, kept="yes", home="no"),
    ),
    Trial(
        name="unknown task",
        faults=_poll("refuse", status=400, body=_UNKNOWN, times=None),
        promise=Outcome(got="ServiceRefused", paid=1, kept="yes", home="later, free"),
    ),
    Trial(name="image truncated once", faults=_image("truncated"), promise=RIDDEN_OUT),
    Trial(name="image 404, then there", faults=_image("missing"), promise=RIDDEN_OUT),
    Trial(
        name="image 10 times too large, as it declares",
        faults=_image("huge", size=10 * 2**20, times=None),
        settings={"max_image_mib": 1},
        promise=COLLECTED,
    ),
    Trial(
        name="image 10 times too large, undeclared",
        faults=_image("endless", size=10 * 2**20, times=None),
        settings={"max_image_mib": 1},
        promise=COLLECTED,
    ),
    Trial(
        name="image redirected to a private address",
        faults=_image("redirect", location="https://10.1.2.3/image.png", times=None),
        promise=COLLECTED,
    ),
    Trial(name="reset in mid-download", faults=_image("reset"), promise=RIDDEN_OUT),
    Trial(name="clock a day forward and back", seconds=1, attempt=ask_with_a_jumping_clock, promise=RIDDEN_OUT),
    Trial(
        name="disk full as the image is written",
        attempt=ask_on_a_full_disk,
        promise=Outcome(got="StorageError", paid=1, kept="yes", home="later, free"),
    ),
    Trial(name="damaged store", attempt=ask_with_a_damaged_store, promise=RIDDEN_OUT),
    Trial(name="journal locked for a second", attempt=ask_behind_a_lock, promise=RIDDEN_OUT),
    Trial(
        name="journal locked for longer than the wait",
        attempt=ask_behind_a_lasting_lock,
        settings={"journal": "sqlite:///{home}/journal.sqlite3?timeout=0.5"},
        promise=NOTHING_SENT,
    ),
    Trial(
        name="journal locked for longer, as the answer comes",
        faults=(Fault(where="submit", kind="slow", seconds=1),),
        attempt=be_locked_when_the_answer_comes,
        settings={"journal": "sqlite:///{home}/journal.sqlite3?timeout=0.5"},
        promise=Outcome(got="StorageError", paid=1, kept="in the error", home="no"),
    ),
    Trial(
        name="journal locked for longer, as a 500 comes",
        service=AnswersBadly,
        faults=(Fault(where="submit", kind="slow", seconds=1),),
        attempt=be_locked_when_the_answer_comes,
        settings={"journal": "sqlite:///{home}/journal.sqlite3?timeout=0.5"},
        promise=UNCONFIRMED,
    ),
    Trial(name="journal read-only", attempt=ask_in_a_read_only_journal, promise=NOTHING_SENT),
    Trial(
        name="refusing proxy (407)",
        attempt=ask_behind_a_refusing_proxy,
        promise=Outcome(got="ConnectionRejected", paid=0, kept="nothing was sent", home="no"),
    ),
    Trial(name="submit reply drips for ever", faults=_submit("drip"), settings=_SOON, promise=UNCONFIRMED),
    Trial(name="submit: `100 Continue` for ever", faults=_submit("continue"), settings=_SOON, promise=UNCONFIRMED),
    Trial(name="submit reply cut after the task id", faults=_submit("unended"), promise=RIDDEN_OUT),
    Trial(name="task id with half an emoji and NUL", faults=_submit("half-emoji"), promise=ID_IN_ERROR),
    Trial(name="task id of a million characters", faults=_submit("long-id"), promise=ID_IN_ERROR),
    Trial(name="task id that is a number", faults=_submit("numeric-id"), promise=RIDDEN_OUT),
    Trial(name="replies nested 600 deep", faults=(*_submit("deep"), *_poll("deep", times=None)), promise=RIDDEN_OUT),
    Trial(
        name="failed task, half an emoji and NUL in its message",
        faults=(*_submit("fail"), *_poll("half-emoji", times=None)),
        promise=Outcome(got="GenerationFailed", paid=1, kept="yes", home="no"),
    ),
    Trial(name="poll drips for ever, once", faults=_poll("drip"), settings=_SOON, promise=RIDDEN_OUT),
    Trial(
        name="poll drips for ever, beside another generation",
        faults=_poll("drip", match=SLOW.prompt, times=None),
        attempt=ask_beside_a_dripping_poll,
        promise=Outcome(got="image", paid=2, kept="yes", home="at once"),
    ),
    Trial(
        name="image drips for longer than the wait",
        faults=_image("drip", times=None),
        settings={"timeout": 2},
        promise=Outcome(got="StillRunning", paid=1, kept="yes", home="later, free"),
    ),
)


async def run(trial: Trial, home: Path) -> Outcome:
    """Take a generation through one trial, in an empty home."""
    # The sandbox has its own clock: a jump of ours must not bring its tasks to their end.
    sandbox = trial.service(seconds=trial.seconds, quirks=trial.quirks, faults=trial.faults, clock=time.monotonic)
    with serving(sandbox) as server:
        settings = _settings(server.url, home, trial.settings)
        said = await trial.attempt(settings)
        sandbox.clear()
        async with Generations.open(settings, door="later") as generations:
            async with aclosing(generations.resume(seconds=60)) as moves:
                async for _ in moves:
                    continue
            rows = await generations.recent(most=None)
            home_at = await _home(generations, rows, "at once" if said == "image" else "later, free")
        told = [task.task_id for task in sandbox.tasks]
        outcome = Outcome(got=said.partition(":")[0], paid=sandbox.charges, kept=_kept(rows, told, said), home=home_at)
    sandbox.close()
    return outcome


def _settings(url: str, home: Path, others: Mapping[str, Any]) -> Settings:
    given = {name: value.format(home=home) if isinstance(value, str) else value for name, value in others.items()}
    basis = {"api_key": "sandbox", "base_url": url, "home": home, "first_poll": 0.02, "timeout": 60}
    return Settings.model_validate({**basis, **given})


def _kept(rows: Sequence[Generation], told: Sequence[str], said: str) -> Kept:
    if not told and all(row.status == "refused" for row in rows):
        return "nothing was sent"
    if {row.task_id for row in rows} == set(told) and len(rows) == len(told):
        return "yes"
    if told and all(task_id in said for task_id in told):
        return "in the error"
    # An intent whose program has ended becomes unconfirmed.
    return "yes, unconfirmed" if [row.status for row in rows] in (["unconfirmed"], ["intent"]) else "no"


async def _home(generations: Generations, rows: Sequence[Generation], when: Home) -> Home:
    stored = [row for row in rows if row.status == "stored"]
    async with httpx2.AsyncClient() as http:
        for row in stored:
            if (await http.get(str(row.image_url))).content != await generations.data(row):
                return "other bytes"
    return when if stored else "no"


async def _table(trials: Sequence[Trial]) -> bool:
    """Print the table, a line as soon as it is known, and the row for the peers' table; tell whether all is well."""
    _say("| fault | what the caller got | paid tasks | id kept | image home |\n|---|---|---|---|---|")
    cells, well = [], True
    for trial in trials:
        with tempfile.TemporaryDirectory(prefix="flux-nodes-faults-") as folder:
            began = time.monotonic()
            outcome = await run(trial, Path(folder))
            seconds = time.monotonic() - began
        fault = "" if outcome == trial.promise else f" **promised: {trial.promise}**"
        well = well and not fault
        _say(line(trial, outcome) + fault)
        if trial in OF_THE_PEERS:
            cells.append(_cell(outcome, seconds))
    _say("\nThe first five as a row of the table of other clients:\n")
    _say("| client | submit reply lost | submit 500 | submit 429 (Retry-After 1) | poll 503 ×2 | poll 429 ×2 |")
    _say("|---|---|---|---|---|---|\n| Flux Nodes | " + " | ".join(cells) + " |")
    return well


def line(trial: Trial, outcome: Outcome) -> str:
    """Return a line of the table."""
    return f"| {trial.name} | {outcome.got} | {outcome.paid} | {outcome.kept} | {outcome.home} |"


def _cell(outcome: Outcome, seconds: float) -> str:
    if outcome.got == "image":
        return f"ok ({seconds:.1f} s in all)" if outcome.paid == 1 else f"**{outcome.paid} tasks**"
    return f"clear error, {outcome.paid}, kept as {outcome.kept.removeprefix('yes, ')}"


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    """Run from the command line; the exit code is 1 when a line is not as promised."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0]).parse_args()
    # The sandbox goes on sending for a moment where an image was refused, and asyncio tells of each piece.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    return 0 if asyncio.run(_table(TRIALS)) else 1


if __name__ == "__main__":
    sys.exit(main())
