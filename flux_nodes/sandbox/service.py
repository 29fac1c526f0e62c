"""The right answer of each endpoint: accept, report, count."""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from .contract import faults_of_fetch, faults_of_fetch_many, faults_of_imagine
from .lifecycle import MODEL_PACE, SandboxTask, failed_body, stage_at, task_body
from .replies import errors, json_reply
from .webhooks import Courier, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.responses import Response

    from .faults import Fault
    from .ledger import Ledger
    from .quirks import Quirks

_NO_CREDITS = "You have no credits left"
_UNKNOWN_TASK = "Task not found"


_READER = ThreadPoolExecutor(1, thread_name_prefix="flux-sandbox-reader")
"""One thread decodes image prompts, one after another: a large one takes much memory. The painter has its own."""


class Service:
    """What the service does with a request that was let through to it.

    Each answer takes the host that addresses name, the account, the body, and the fault that the request meets.
    """

    def __init__(
        self,
        ledger: Ledger,
        courier: Courier,
        *,
        quirks: Quirks,
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._courier = courier
        self._quirks = quirks
        self._seconds = seconds
        self._clock = clock

    async def imagine(self, host: str, owner: str, body: dict[str, Any], fault: Fault | None) -> Response:
        """Check, charge and accept a generation."""
        if found := await self._faults_of(body):
            return errors(found)
        task = self._new_task(owner, body, fault)
        if (fault and fault.kind == "credits") or not self._ledger.accept(task):
            return self._out_of_credits()
        if url := body.get("webhook_url"):
            secret = body.get("webhook_secret")
            self._courier.subscribe(Subscription(task=task, url=url, secret=secret, base_url=host))
        numeric = fault is not None and fault.kind == "numeric-id"
        return json_reply({"task_id": int(task.task_id) if numeric else task.task_id})

    async def fetch(self, host: str, owner: str, body: dict[str, Any], _: Fault | None) -> Response:
        """Report on one task."""
        if found := faults_of_fetch(body):
            return errors(found)
        report = self._report(host, owner, body["task_id"])
        return self._unknown(body["task_id"]) if report is None else json_reply(report)

    async def fetch_many(self, host: str, owner: str, body: dict[str, Any], _: Fault | None) -> Response:
        """Report on several tasks."""
        if found := faults_of_fetch_many(body):
            return errors(found)
        reports: dict[str, dict[str, object]] = {}
        for task_id in body["task_ids"]:
            report = self._report(host, owner, task_id)
            if report is None and self._quirks.fetch_many_unknown == "reported":
                report = failed_body(task_id, _UNKNOWN_TASK, self._quirks)
            if report is not None:
                reports[task_id] = report
        return json_reply(self._in_shape(reports))

    async def account(self, _: str, owner: str, __: dict[str, Any], ___: Fault | None) -> Response:
        """Tell the account's seven facts."""
        now = self._clock()
        self._settle(now)
        account = self._ledger.account(owner, now)
        return json_reply(
            {
                "email": "sandbox@example.com",
                "credits": account.credits,
                "total_images": account.images,
                "plan": "sandbox",
                "next_billing_date": None,
                "subscription_credits": account.credits,
                "topup_credits": 0,
            }
        )

    async def _faults_of(self, body: Mapping[str, Any]) -> list[str]:
        # Only an image prompt takes long to check.
        if "image_prompt" in body:
            return await asyncio.get_running_loop().run_in_executor(_READER, faults_of_imagine, body, self._quirks)
        return faults_of_imagine(body, self._quirks)

    def _new_task(self, owner: str, body: Mapping[str, Any], fault: Fault | None) -> SandboxTask:
        self._settle(self._clock())
        id_ = uuid.uuid4()
        return SandboxTask(
            task_id=str(id_.int if fault and fault.kind == "numeric-id" else id_),
            owner=owner,
            # the state file holds no secret
            body={name: value for name, value in body.items() if name != "webhook_secret"},
            submitted_at=self._clock(),
            seconds=self._seconds * MODEL_PACE[body["model"]],
            failure=fault.reason if fault and fault.kind == "fail" else None,
            stuck=fault is not None and fault.kind == "stuck",
        )

    def _settle(self, now: float) -> None:
        if self._quirks.failure_refunds:
            self._ledger.refund_failed(now)

    def _out_of_credits(self) -> Response:
        if self._quirks.out_of_credits == "errors":
            return errors([_NO_CREDITS])
        status = 402 if self._quirks.out_of_credits == "payment-required" else 403
        return json_reply({"message": _NO_CREDITS}, status)

    def _report(self, host: str, owner: str, task_id: str) -> dict[str, object] | None:
        task = self._ledger.task(task_id)
        if task is None or task.owner != owner:
            return None
        return task_body(task, stage_at(task, self._clock(), self._quirks), host, self._quirks)

    def _unknown(self, task_id: str) -> Response:
        if self._quirks.unknown_task == "errors":
            return errors([_UNKNOWN_TASK])
        if self._quirks.unknown_task == "not-found":
            return json_reply({"message": _UNKNOWN_TASK}, 404)
        empty = self._quirks.unknown_task == "empty"
        return json_reply({} if empty else failed_body(task_id, _UNKNOWN_TASK, self._quirks))

    def _in_shape(self, reports: dict[str, dict[str, object]]) -> object:
        if self._quirks.fetch_many_order == "reversed":
            reports = dict(reversed(reports.items()))
        if self._quirks.fetch_many_shape == "by-id":
            return reports
        tasks = list(reports.values())
        return {"tasks": tasks} if self._quirks.fetch_many_shape == "tasks" else tasks
