"""One generation as the journal knows it: the durable thing that every door starts, follows and collects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .errors import OtherService

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Status = Literal["intent", "submitted", "running", "finished", "stored", "failed", "refused", "unconfirmed"]
"""Where a generation is in its life.

intent: written down, not sent yet · submitted: the service gave a task id · running: the service tells progress ·
finished: the image is ready at the service · stored: the image is here · failed: the service gave up · refused: the
service did not take it, nothing was paid · unconfirmed: the answer to the submit was lost, it may have been charged.
"""

SETTLED: frozenset[Status] = frozenset({"stored", "failed", "refused", "unconfirmed"})
"""Statuses that following does not change."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A generation at one moment of its life.

    Times are UTC; `size` (bytes), `width` and `height` (pixels) are those of the stored image; the
    latter two are not known of one that nothing here can open.
    `credits` is what it cost (0 when it was refused), `retry_of` the generation that it repeats, `graph` the digest of
    the graph that asked for it; `reused` says that asking for it found it there already, free of charge.
    """

    id: str
    door: str
    service: str
    fingerprint: str
    request: Mapping[str, object]
    status: Status
    created_at: datetime
    updated_at: datetime
    task_id: str | None = None
    percentage: int | None = None
    message: str | None = None
    image_url: str | None = None
    sha256: str | None = None
    media_type: str | None = None
    size: int | None = None
    width: int | None = None
    height: int | None = None
    credits: float | None = None
    retry_of: str | None = None
    graph: str | None = None
    reused: bool = False

    @property
    def settled(self) -> bool:
        """Whether following it any longer would change nothing."""
        return self.status in SETTLED

    def require_service(self, service: str) -> None:
        """Raise OtherService unless this is the service that it belongs to: any other would not know it."""
        if self.service != service:
            raise OtherService(self.id, service=self.service, set_to=service)

    @property
    def pixels(self) -> str | None:
        """The size of the stored image in words: "1024×768"; None where it is not known."""
        return f"{self.width}×{self.height}" if self.width and self.height else None

    @property
    def is_unopened(self) -> bool:
        """Whether its image is stored and could not be opened when it came."""
        return self.status == "stored" and self.media_type is not None and self.width is None

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.request["model"])

    @property
    def prompt(self) -> str:
        """The prompt that was asked for."""
        return str(self.request["prompt"])

    @property
    def seed(self) -> int | None:
        """The seed that was asked for; None when the choice was left to the service."""
        seed = self.request.get("seed")
        return seed if isinstance(seed, int) else None
