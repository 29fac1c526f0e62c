"""One task's walk from staged to its end, computed from the clock: nothing has to run in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .quirks import Quirks

Status = Literal["staged", "pending", "retrying", "starting", "processing", "finished", "failed"]
"""The service's own words, without `retry` (apiframe wire notes, section 4)."""

MODEL_PACE: Mapping[str, float] = {
    "flux-schnell": 0.4,
    "flux-dev": 0.9,
    "flux-pro": 1.0,
    "flux-pro-1.1": 0.8,
    "flux-pro-1.1-ultra": 1.3,
}
"""How long each model's walk is against the asked seconds: schnell is the quick one, ultra the slow one."""

_PROCESSING_FROM = 0.24
_EARLY: tuple[tuple[float, Status], ...] = ((0.0, "staged"), (0.08, "pending"), (0.16, "starting"))
_EARLY_WITH_RETRY: tuple[tuple[float, Status], ...] = (
    (0.0, "staged"),
    (0.05, "pending"),
    (0.10, "retrying"),
    (0.15, "pending"),
    (0.20, "starting"),
)
_STUCK_AT = 0.9


@dataclass(frozen=True, kw_only=True)
class SandboxTask:
    """One accepted generation.

    `seconds` is the whole walk's length; `failure` is why it will fail, `stuck` that it never ends.
    """

    task_id: str
    owner: str
    body: Mapping[str, Any]
    submitted_at: float
    seconds: float
    failure: str | None = None
    stuck: bool = False

    @property
    def prompt(self) -> str:
        """The prompt as it was sent."""
        return str(self.body["prompt"])

    @property
    def file_stem(self) -> str:
        """The image's file name without its ending."""
        return self.task_id.replace("-", "")


@dataclass(frozen=True)
class Stage:
    """Where a task stands: its status, and the progress in percent (0 to 100)."""

    status: Status
    percentage: int


def stage_at(task: SandboxTask, now: float, quirks: Quirks) -> Stage:
    """Return where the task stands at a time (seconds, on the clock that stamped it)."""
    elapsed = max(0.0, now - task.submitted_at)
    done = elapsed / task.seconds if task.seconds > 0 else 1.0
    return stage_of(task, min(done, _STUCK_AT) if task.stuck else done, quirks)


def stage_of(task: SandboxTask, done: float, quirks: Quirks) -> Stage:
    """Return where the task stands when this share of its walk is done (1 is the end)."""
    if done >= 1:
        return Stage("failed" if task.failure else "finished", 100)
    if done >= _PROCESSING_FROM:
        return Stage("processing", int(100 * (done - _PROCESSING_FROM) / (1 - _PROCESSING_FROM)))
    early = _EARLY_WITH_RETRY if quirks.retrying else _EARLY
    return Stage(next(status for start, status in reversed(early) if done >= start), 0)


def milestones(task: SandboxTask, quirks: Quirks) -> list[float]:
    """Return the shares of the walk at which a webhook tells the status: each change, and the middle of processing."""
    if task.seconds <= 0:
        return [1.0] if not task.stuck else [_STUCK_AT]
    early = _EARLY_WITH_RETRY if quirks.retrying else _EARLY
    points = [start for start, _ in early] + [_PROCESSING_FROM, 0.62]
    return points if task.stuck else [*points, 1.0]


def task_body(task: SandboxTask, stage: Stage, base_url: str, quirks: Quirks) -> dict[str, object]:
    """Write the task as `/fetch` replies and webhooks carry it (apiframe wire notes, section 3)."""
    if stage.status == "staged":
        return {"task_id": task.task_id, "status": "staged"}
    if stage.status == "failed":
        return failed_body(task.task_id, task.failure or "", quirks)
    body: dict[str, object] = {"task_id": task.task_id, "task_type": "flux-imagine"}
    if stage.status == "finished":
        return {**body, **_finished(task, base_url, quirks)}
    body["status"] = stage.status
    if stage.status == "processing" or quirks.percentage_before_processing:
        body.update(_percentage(stage, quirks))
    return body


def failed_body(task_id: str, reason: str, quirks: Quirks) -> dict[str, object]:
    """Write a task that failed."""
    why = [{"msg": reason}] if quirks.failed_body == "errors" else reason
    start = {"task_id": task_id, "task_type": "flux-imagine", "status": "failed", "actions": []}
    return {**start, quirks.failed_body: why}


def image_ending(quirks: Quirks) -> str:
    """Return the ending of image addresses."""
    return "jpg" if quirks.image_type == "jpeg" else quirks.image_type


def _percentage(stage: Stage, quirks: Quirks) -> dict[str, object]:
    if quirks.percentage == "absent":
        return {}
    return {"percentage": str(stage.percentage) if quirks.percentage == "text" else stage.percentage}


def _finished(task: SandboxTask, base_url: str, quirks: Quirks) -> dict[str, object]:
    address = f"{base_url}/images/{task.file_stem}.{image_ending(quirks)}"
    body: dict[str, object] = {"status": "finished"} if quirks.finished_has_status else {}
    if quirks.percentage_on_finished:
        body.update(_percentage(Stage("finished", 100), quirks))
    if quirks.original_image_url != "absent":
        other = f"{base_url}/images/{task.file_stem}-original.{image_ending(quirks)}"
        body["original_image_url"] = address if quirks.original_image_url == "same" else other
    body[quirks.image_field] = [address] if quirks.image_field == "image_urls" else address
    return body
