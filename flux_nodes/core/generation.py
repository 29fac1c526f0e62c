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

SENT_AGAIN: frozenset[Status] = frozenset({"failed", "refused", "unconfirmed"})
"""Statuses of which a generation can be sent again."""

UNFINISHED: tuple[Status, ...] = ("submitted", "running", "finished")
"""Statuses from which following goes on; an intent first has to become one of them."""

SETTLED: frozenset[Status] = frozenset({"stored", "failed", "refused", "unconfirmed"})
"""Statuses that following does not change."""


def claim_on(service: str, fingerprint: str) -> str:
    """Name a picture of a service: whoever asks for the same one finds who holds it already."""
    import hashlib  # OpenSSL loads for those who write journals, not for all that know a generation

    return hashlib.sha256(f"{service}\n{fingerprint}".encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A generation at one moment of its life.

    Times are UTC; `size` (bytes), `width` and `height` (pixels) are those of the stored image; the
    latter two are not known of one that nothing here can open.
    `credits` is what it cost (0 when it was refused), `retry_of` the generation that it repeats, `graph` the digest of
    the graph that asked for it, `owner` the process that sends it (`process.Owner`); `reused` says that asking for it
    found it there already, free of charge. `sha256` is that of the stored image, also after that was lost from the
    disk: the generation is "finished" again then.
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
    owner: str | None = None
    reused: bool = False

    @property
    def settled(self) -> bool:
        """Whether following it any longer would change nothing."""
        return self.status in SETTLED

    @property
    def was_lost(self) -> bool:
        """Whether its image was stored, and then found damaged or missing on the disk."""
        return self.status == "finished" and self.sha256 is not None

    def require_service(self, service: str) -> None:
        """Raise OtherService unless this is the service that it belongs to: any other would not know it."""
        from .service_name import service_name

        if service_name(self.service) != service_name(service):
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
