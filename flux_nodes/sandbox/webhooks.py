"""Webhooks: the task's body, posted to the user's address on every change of status."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .lifecycle import SandboxTask, milestones, stage_of, task_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2

    from .faults import Fault, FaultBook
    from .quirks import Quirks
    from .replies import Sleep

_ATTEMPTS = 4
_FIRST_PAUSE = 0.2
_TIMEOUT = 10.0


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """Where one task's webhooks go, and the host that its image addresses name."""

    task: SandboxTask
    url: str
    secret: str | None
    base_url: str


class Courier:
    """Posts webhooks in the background of the event loop that accepted the task."""

    def __init__(self, quirks: Quirks, faults: FaultBook, sleep: Sleep) -> None:
        self._quirks = quirks
        self._faults = faults
        self._sleep = sleep
        self._rounds: set[asyncio.Task[None]] = set()
        self.delivered = 0
        self.undelivered = 0

    def subscribe(self, subscription: Subscription) -> None:
        """Begin a task's round of webhooks."""
        round_ = asyncio.get_running_loop().create_task(self._round(subscription))
        self._rounds.add(round_)
        round_.add_done_callback(self._rounds.discard)

    async def stop(self) -> None:
        """End the rounds of this event loop, delivered or not."""
        loop = asyncio.get_running_loop()
        mine = [each for each in self._rounds if each.get_loop() is loop]
        for each in mine:
            each.cancel()
        await asyncio.gather(*mine, return_exceptions=True)

    async def _round(self, subscription: Subscription) -> None:
        import httpx2

        task = subscription.task
        # reading the system's certificates takes longer than a whole round on plain http
        secure = subscription.url.startswith("https:")
        waited = 0.0
        async with httpx2.AsyncClient(timeout=_TIMEOUT, trust_env=False, verify=secure) as client:
            for done in milestones(task, self._quirks):
                await self._sleep(done * task.seconds - waited)
                waited = done * task.seconds
                body = task_body(task, stage_of(task, done, self._quirks), subscription.base_url, self._quirks)
                await self._tell(client, subscription, body)

    async def _tell(self, client: httpx2.AsyncClient, subscription: Subscription, body: Mapping[str, object]) -> None:
        fault = self._faults.take("webhook", [subscription.task.prompt])
        if fault is not None and fault.kind == "lost-before":
            self.undelivered += 1
            return
        for _ in range(2 if fault is not None and fault.kind == "twice" else 1):
            if await self._deliver(client, subscription, body, fault):
                self.delivered += 1
            else:
                self.undelivered += 1

    async def _deliver(
        self,
        client: httpx2.AsyncClient,
        subscription: Subscription,
        body: Mapping[str, object],
        fault: Fault | None,
    ) -> bool:
        for attempt in range(_ATTEMPTS):
            if attempt:
                await self._sleep(_FIRST_PAUSE * 2 ** (attempt - 1))
            if await _post(client, subscription, body, fault):
                return True
        return False


async def _post(
    client: httpx2.AsyncClient, subscription: Subscription, body: Mapping[str, object], fault: Fault | None
) -> bool:
    import httpx2

    kind = fault.kind if fault is not None else None
    secret = "forged" if kind == "forged" else subscription.secret
    headers = {"x-webhook-secret": secret} if secret is not None else {}
    try:
        if kind == "not-json":
            reply = await client.post(subscription.url, content=b'{"task_id": "64cd', headers=headers)
        else:
            reply = await client.post(subscription.url, json=body, headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return False
    return reply.is_success
