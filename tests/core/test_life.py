"""The life of generations as a whole: whatever happens in whatever order, what was paid is neither lost nor doubled."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from contextlib import AsyncExitStack, ExitStack, aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pydantic import SecretStr

from flux_nodes.core import Generations, ImagineRequest, Settings
from flux_nodes.core.errors import (
    FluxNodesError,
    GenerationFailed,
    ServiceError,
    SubmitUnconfirmed,
)
from flux_nodes.core.webhook import WebhookReceiver
from flux_nodes.sandbox import Fault, Sandbox, serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from flux_nodes.core import Generation

SECRET = "a-secret-of-some-length"
Answer = TypeVar("Answer")

SEEDS = st.sampled_from([None, 1, 1, 2])
FRESH = st.sampled_from([False, False, True])
ANY = st.integers(0, 10**6)
TURNS = st.sampled_from([0, 1, 1, 2, 3, 5, 10, 40])
LOST = [
    Fault(where="submit", kind="lost-after"),
    Fault(where="submit", kind="lost-before"),
    Fault(where="submit", kind="not-json"),
    Fault(where="submit", kind="refuse", status=500),
]
ONWARD = {
    "intent": {"submitted", "running", "finished", "stored", "failed", "refused", "unconfirmed"},
    "unconfirmed": {"submitted", "running", "finished", "stored", "failed"},
    "submitted": {"running", "finished", "stored", "failed"},
    "running": {"finished", "stored", "failed"},
    "finished": {"stored"},
    "stored": set(),
    "failed": set(),
    "refused": set(),
}
"""Where each status may be found to have led, after any number of steps."""


def field(seed: int | None) -> ImagineRequest:
    return ImagineRequest(model="flux-schnell", prompt="a field", width=256, height=256, seed=seed)


class Life(RuleBasedStateMachine):
    """One home, one service, one program at a time; the machine keeps its own books."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._loop = asyncio.new_event_loop()
        self._stack.callback(self._loop.close)
        home = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.sandbox = Sandbox(seconds=0)
        self._stack.callback(self.sandbox.close)
        url = self._stack.enter_context(serving(self.sandbox)).url
        self.settings = Settings.model_validate(
            {"api_key": "sandbox", "base_url": url, "home": home, "first_poll": 0.02, "timeout": 60}
        )
        self._opened = AsyncExitStack()
        self.paid_for: dict[str, str] = {}
        self.status: dict[str, str] = {}
        self.deleted: set[Path] = set()

    @initialize()
    def open(self) -> None:
        door = f"door {len(self.status)}"
        self.generations = self.run(self._opened.enter_async_context(Generations.open(self.settings, door=door)))

    def run(self, work: Awaitable[Answer]) -> Answer:
        async def in_time() -> Answer:
            return await asyncio.wait_for(work, 60)

        return self._loop.run_until_complete(in_time())

    def rows(self) -> list[Generation]:
        return self.run(self.generations.recent(most=None))[::-1]

    def one(self, pick: int) -> Generation:
        rows = self.rows()
        return rows[pick % len(rows)]

    def send(self, work: Callable[[], Awaitable[Generation]]) -> Generation | None:
        """Do what may cost, and write down which generation it was that was paid."""
        rows, tasks = {row.id for row in self.rows()}, len(self.sandbox.tasks)
        try:
            started = self.run(work())
        except (FluxNodesError, asyncio.CancelledError):
            started = None
        self.sandbox.clear()
        new = [row.id for row in self.rows() if row.id not in rows]
        paid = [task.task_id for task in self.sandbox.tasks][tasks:]
        assert len(paid) <= len(new) <= 1
        assert started is None or started.reused is (not new)
        self.paid_for.update(zip(paid, new, strict=False))
        return started

    @rule(seed=SEEDS, fresh=FRESH)
    def start(self, seed: int | None, fresh: bool) -> None:
        rows, before = self.rows(), self.sandbox.charges
        started = self.send(lambda: self.generations.start(field(seed), fresh=fresh))
        same = [row for row in rows if row.seed == seed and seed is not None and not fresh]
        if any(row.status in {"submitted", "running", "finished", "stored"} for row in same):
            assert self.sandbox.charges == before
        elif all(row.status in {"failed", "refused"} for row in same):
            assert started is not None
            assert (started.reused, self.sandbox.charges) == (False, before + 1)

    @rule(seed=SEEDS, fresh=FRESH, fault=st.sampled_from(LOST))
    def lose_the_answer(self, seed: int | None, fresh: bool, fault: Fault) -> None:
        self.sandbox.inject(fault)
        started = self.send(lambda: self.generations.start(field(seed), fresh=fresh))
        assert started is None or started.reused

    @rule(seed=SEEDS, fresh=FRESH, word=st.sampled_from(["fail", "refuse"]))
    def start_what_will_not_come_about(self, seed: int | None, fresh: bool, word: str) -> None:
        bad = Fault(where="submit", kind="fail") if word == "fail" else Fault(where="submit", kind="refuse", status=400)
        self.sandbox.inject(bad)
        self.send(lambda: self.generations.start(field(seed), fresh=fresh))

    @rule(seed=SEEDS, turns=TURNS)
    def start_and_be_cancelled(self, seed: int | None, turns: int) -> None:
        self.sandbox.inject(Fault(where="submit", kind="slow", seconds=0.02))
        self.send(lambda: cancelled(self.generations.start(field(seed)), turns))

    # What a cancellation leaves behind depends on the moment. So no rule has a precondition, which hypothesis wants to
    # find the same in every run; one that has nothing to work on does nothing.

    @rule(pick=ANY)
    def retry(self, pick: int) -> None:
        if not self.status:
            return
        known, before = self.one(pick), self.sandbox.charges
        was_sent_again = any(row.retry_of == known.id and row.status != "refused" for row in self.rows())
        again = self.send(lambda: self.generations.again(known.id))
        if known.status not in {"failed", "refused", "unconfirmed"}:
            assert (again, self.sandbox.charges) == (None, before)
        elif again is None or again.reused:
            assert self.sandbox.charges == before
            assert was_sent_again or any(row.seed == known.seed for row in self.rows() if row.id != known.id)
        else:
            assert not was_sent_again
            assert (again.retry_of, self.sandbox.charges) == (known.id, before + 1)

    @rule(pick=ANY)
    def collect(self, pick: int) -> None:
        if not self.status:
            return
        known = self.one(pick)
        try:
            assert self.run(self.generations.wait(known.id)).status == "stored"
        except GenerationFailed:
            assert self.run(self.generations.get(known.id)).status == "failed"
        except SubmitUnconfirmed:
            assert known.status == "unconfirmed"
        except ServiceError:
            assert known.status == "refused"

    @rule(pick=ANY, turns=TURNS)
    def collect_and_be_cancelled(self, pick: int, turns: int) -> None:
        if not self.status:
            return
        with suppress(FluxNodesError, asyncio.CancelledError):
            self.run(cancelled(self.generations.wait(self.one(pick).id), turns))

    @rule()
    def resume(self) -> None:
        self.run(self._resume())
        assert self.run(self.generations.unfinished()) == []

    @rule(pick=ANY, stranger=st.booleans(), forged=st.booleans())
    def hear_a_webhook(self, pick: int, stranger: bool, forged: bool) -> None:
        if not self.paid_for:
            return
        task_id, id_ = list(self.paid_for.items())[pick % len(self.paid_for)]
        named = "g-nobody" if stranger else id_
        status = self.run(self._hook(named, task_id, "a forged secret" if forged else SECRET))
        assert status == (401 if forged else 404 if stranger else 204)
        assert forged or stranger or self.run(self.generations.get(id_)).task_id == task_id

    @rule(pick=ANY)
    def lose_a_file(self, pick: int) -> None:
        if not self.status:
            return
        file = self.generations.file(self.one(pick))
        if file is not None and file.exists():
            file.unlink()
            self.deleted.add(file)

    @rule()
    def restart(self) -> None:
        self.run(self._opened.aclose())
        self.open()

    @invariant()
    def every_charge_belongs_to_one_generation(self) -> None:
        rows = {row.id: row for row in self.rows()}
        assert self.sandbox.charges == len(self.paid_for) == len(set(self.paid_for.values()))
        for task_id, id_ in self.paid_for.items():
            assert rows[id_].task_id == task_id or (rows[id_].status, rows[id_].task_id) == ("unconfirmed", None)
        told = [row.task_id for row in rows.values() if row.task_id is not None]
        assert len(told) == len(set(told))
        assert set(told) <= set(self.paid_for)

    @invariant()
    def no_generation_is_forgotten_or_goes_back(self) -> None:
        rows = self.rows()
        assert set(self.status) <= {row.id for row in rows}
        for row in rows:
            before = self.status.get(row.id, row.status)
            lost_its_file = before == "stored" and row.status == "finished" and self.deleted
            assert row.status == before or row.status in ONWARD[before] or lost_its_file, (before, row)
            assert row.status != "intent", "nobody is sending it any more"
            self.status[row.id] = row.status

    @invariant()
    def what_is_stored_is_there_byte_for_byte(self) -> None:
        for row in self.rows():
            file = self.generations.file(row)
            assert (row.status == "stored") == (file is not None)
            if file is not None and file.exists():
                assert hashlib.sha256(file.read_bytes()).hexdigest() == row.sha256
            else:
                assert file is None or file in self.deleted

    def teardown(self) -> None:
        try:
            if self.paid_for:
                self.run(self._settle())
        finally:
            self.run(self._opened.aclose())
            self._stack.close()

    async def _settle(self) -> None:
        """Whatever happened: with its webhooks heard, everything paid for is here or has failed."""
        for task_id, id_ in self.paid_for.items():
            await self._hook(id_, task_id, SECRET)
        await self._resume()
        ends = {(await self.generations.get(id_)).status for id_ in self.paid_for.values()}
        assert ends <= {"stored", "failed"}
        before = self.sandbox.charges
        for seed in {row.seed for row in await self.generations.recent(most=None, statuses=["stored"])} - {None}:
            with suppress(SubmitUnconfirmed):
                assert (await self.generations.start(field(seed))).reused
        assert self.sandbox.charges == before

    async def _resume(self) -> None:
        async with aclosing(self.generations.resume()) as moves:
            async for _ in moves:
                continue

    async def _hook(self, id_: str, task_id: str, secret: str) -> int:
        receiver = WebhookReceiver(self.generations, secret=SecretStr(SECRET))
        transport = httpx2.ASGITransport(receiver)
        async with httpx2.AsyncClient(transport=transport, base_url="http://receiver") as http:
            reply = await http.post(
                "/", params={"generation": id_}, headers={"x-webhook-secret": secret}, json={"task_id": task_id}
            )
        await receiver.aclose()
        return int(reply.status_code)


async def cancelled(work: Awaitable[Answer], turns: int) -> Answer:
    """Await work that is cancelled after so many turns of the loop, if it has not ended by then."""
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    task.cancel()
    return await task


TestLife = pytest.mark.timeout(600)(Life.TestCase)
TestLife.settings = settings(
    max_examples=30,
    stateful_step_count=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take minutes of real requests
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
