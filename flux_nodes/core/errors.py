"""Every error that Flux Nodes raises on purpose, in one tree by cause.

```
FluxNodesError
├── NothingSent                 before the wire: nothing was sent, nothing was paid
│   ├── InvalidRequest          parameters that the service's page rules out (.faults, all of them)
│   ├── InvalidImage            bytes that are no usable image
│   │   └── TooManyPixels       more pixels than are allowed
│   ├── InvalidSettings         the environment or the settings file
│   │   └── MissingKey          no API key to be found
│   ├── BudgetReached           it would cost more than the day's budget leaves (.spent, .cost, .budget)
│   ├── InvalidWorkflow         a saved workflow that cannot run (.faults, each with its node)
│   ├── UnknownGeneration       no such generation in the journal
│   ├── NotConfirmed            a task id that cannot be this generation's: nothing was changed
│   └── OtherService            a generation of another service than the one that is set (.id, .service, .set_to)
├── ServiceError                the service refused, or could not be reached (.unpaid)
│   ├── ServiceRefused          it answered with an error status (.status, .messages)
│   │   ├── KeyRefused          401
│   │   └── TooManyRequests     429 (.retry_after)
│   ├── ServiceUnreachable      no answer that could be used
│   │   ├── ConnectionRejected  a certificate that is wrong, or a proxy that says no: asking again soon is of no use
│   │   └── ProxyUnreachable    the proxy that is set cannot be connected to; also InvalidSettings
│   └── SubmitUnconfirmed       the answer to a submit was lost: it may have been charged (.generation_id)
├── GenerationFailed            the service gave the generation up (.generation_id, .task_id)
├── PartlyFailed                of several asked for together some came to nothing (.errors, .parts, .stored)
├── ImageUnavailable            generated and paid, but its image could not be had yet (.generation_id)
├── UnreadableImage             stored and paid, and nothing here can open it (.generation_id, .file)
├── StillRunning                the deadline came first (.generation_ids); also a TimeoutError
└── StorageError                the journal or the image store cannot be read or written
```

`str(error)` is the sentence that a person should read: what was wrong, what is allowed, what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .money import UNPAID, price, says_unpaid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self


_SANDBOX = "sandbox"
"""The name that the settings give the pretended service: settings are not loaded for an error's sentence."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with an input: where it stands, what is wrong, and what is allowed there."""

    where: str
    problem: str
    allowed: str = ""

    def __str__(self) -> str:
        allowed = f" Allowed: {self.allowed}." if self.allowed else ""
        return f"{self.where}: {self.problem}.{allowed}"


class FluxNodesError(Exception):
    """Root of the tree."""

    def __init_subclass__(cls, **options: object) -> None:
        """Take the place of a pack out of the name: ComfyUI shows an error to a person with its class and module."""
        super().__init_subclass__(**options)
        # Only there, where ours are modules of the pack's: elsewhere the true name is what pickle finds a class by.
        if ".flux_nodes." in cls.__module__:
            cls.__module__ = "flux_nodes"


class NothingSent(FluxNodesError):
    """Something was wrong before the service was asked: nothing was sent and nothing was paid."""


_LONGEST_LINE = 1_500
_MOST_LINES, _LONGEST_LIST = 20, 3_000


def bounded(lines: Sequence[str]) -> list[str]:
    """Return as many lines as a person reads, each cut to a length, and how many more there are.

    What stands in them may come from a file: ten thousand nodes, or a title of a megabyte.
    """
    kept: list[str] = []
    for line in lines[:_MOST_LINES]:
        if kept and sum(map(len, kept)) + min(len(line), _LONGEST_LINE) > _LONGEST_LIST:
            break
        kept.append(line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…")
    more = len(lines) - len(kept)
    return [*kept, f"and {more:,} more"] if more else kept


class Faulty(NothingSent):
    """An input with one or more faults, all of them named at once."""

    subject = "input"

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        lines = "\n".join(f"  - {line}" for line in bounded([str(fault) for fault in self.faults]))
        super().__init__(f"Nothing was sent, nothing was paid. The {self.subject} cannot be used:\n{lines}")


class InvalidRequest(Faulty):
    """The parameters of a generation break a rule of the service's page."""

    subject = "request"


class InvalidWorkflow(Faulty):
    """A saved workflow cannot run."""

    subject = "workflow"


class InvalidImage(NothingSent):
    """These bytes are no image that can be used."""


class TooManyPixels(InvalidImage):
    """An image of more pixels than are allowed; another copy of it would have no fewer."""


class InvalidSettings(NothingSent):
    """The environment or the settings file says something that cannot be used."""


class MissingKey(InvalidSettings):
    """No API key is set, and the service wants one."""


class BudgetReached(NothingSent):
    """The day's budget does not leave enough credits for this."""

    def __init__(self, *, spent: float, cost: float, budget: float) -> None:
        self.spent, self.cost, self.budget = spent, cost, budget
        super().__init__(
            f"Nothing was sent, nothing was paid: the budget is {price(budget)} a day (UTC), {spent:g} are spent or "
            f"under way today, and this costs {cost:g}. To raise it, set FLUX_NODES_BUDGET (or budget in the settings "
            "file); `flux-nodes list` shows what was spent."
        )


class UnknownGeneration(NothingSent):
    """The journal has no generation under this id."""


class NotConfirmed(NothingSent):
    """A generation cannot be given this task id; nothing was sent and nothing was changed."""


class OtherService(NothingSent):
    """A generation belongs to another service than the one that the settings lead to."""

    def __init__(self, id_: str, *, service: str, set_to: str) -> None:
        self.id, self.service, self.set_to = id_, service, set_to
        super().__init__(
            f"Generation {id_} belongs to {named(service)}, and the service that is set, {named(set_to)}, was not "
            f"asked. Ask again {way_to(service, set_to)}."
        )


def named(service: str) -> str:
    """Name a service in a sentence."""
    return "the sandbox" if service == _SANDBOX else service


def way_to(service: str, set_to: str) -> str:
    """Say how a service is asked instead of the one that is set: "with --sandbox"."""
    if service == _SANDBOX:
        return "with --sandbox"
    address = f"with APIFRAME_BASE_URL={service}"
    return f"without --sandbox and {address}" if set_to == _SANDBOX else address


class ServiceError(FluxNodesError):
    """The service refused, or could not be reached; `unpaid` where it is certain that this cost nothing."""

    unpaid = False

    def without_cost(self) -> Self:
        """Mark it as certain that this cost nothing, and let its sentence say so."""
        self.unpaid = True
        if not says_unpaid(str(self)):
            self.args = (f"{self} {UNPAID}", *self.args[1:])
        return self


class ServiceRefused(ServiceError):
    """The service answered with an error status: `status`, and its own words in `messages` (perhaps none)."""

    def __init__(self, sentence: str, *, status: int, messages: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.messages = tuple(messages)


class KeyRefused(ServiceRefused):
    """The service does not know the API key (401)."""


class TooManyRequests(ServiceRefused):
    """The service asks for fewer requests (429); `retry_after` is its own wish in seconds, if it gave one."""

    def __init__(
        self, sentence: str, *, status: int, messages: Sequence[str] = (), retry_after: float | None = None
    ) -> None:
        super().__init__(sentence, status=status, messages=messages)
        self.retry_after = retry_after


class ServiceUnreachable(ServiceError):
    """The service gave no answer that could be used."""


class ConnectionRejected(ServiceUnreachable):
    """No connection comes about, and asking again soon is of no use: a wrong certificate, or a proxy that refuses."""


class ProxyUnreachable(ServiceUnreachable, InvalidSettings):
    """The proxy that the environment names cannot be connected to: nothing was sent."""


class SubmitUnconfirmed(ServiceError):
    """The answer to a submit was lost: the generation may exist and may have been charged.

    It is never sent again by itself.
    """

    def __init__(self, sentence: str, *, generation_id: str | None = None) -> None:
        super().__init__(sentence)
        self.generation_id = generation_id


class GenerationFailed(FluxNodesError):
    """The service gave this generation up; its own words are in the sentence."""

    def __init__(self, sentence: str, *, generation_id: str, task_id: str | None) -> None:
        super().__init__(sentence)
        self.generation_id = generation_id
        self.task_id = task_id


class PartlyFailed(FluxNodesError):
    """Of several generations asked for together some came to nothing: `errors`, in `parts` by what they are called.

    `stored` are the ids of the others.
    """

    def __init__(self, failures: Mapping[str, FluxNodesError], *, stored: Sequence[str]) -> None:
        self.parts = dict(failures)
        self.errors = tuple(failures.values())
        self.stored = tuple(stored)
        lines = "\n".join(f"  - {part}: {error}" for part, error in failures.items())
        ids = " ".join(self.stored)
        kept = (
            f" The others are not lost: {ids}. Ask again with the same seeds: only what is missing is paid."
            if ids
            else ""
        )
        super().__init__(
            f"{len(failures)} of {len(failures) + len(self.stored)} generations came to nothing.{kept}\n{lines}"
        )


class ImageUnavailable(FluxNodesError):
    """The generation is finished and paid, but its image could not be had; asking again is free.

    `data` are the bytes that came and were not taken for it, where they may be kept all the same; `status` is what the
    image's host answered, where it answered with no image.
    """

    def __init__(
        self,
        sentence: str,
        *,
        generation_id: str | None = None,
        data: bytes | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(sentence)
        self.generation_id = generation_id
        self.data = data
        self.status = status


class UnreadableImage(FluxNodesError):
    """An image is stored and paid, and its pixels are wanted, but nothing here can open its `file`."""

    def __init__(self, why: str, *, generation_id: str, file: Path | None) -> None:
        super().__init__(
            f"The image of generation {generation_id} cannot be opened here ({why}). It is paid and not lost: its "
            f"bytes are kept as they came, in {file}. Another program may open that file."
        )
        self.generation_id = generation_id
        self.file = file


class StillRunning(FluxNodesError, TimeoutError):
    """The deadline came before these generations ended; they go on, and collecting them later is free."""

    def __init__(self, generation_ids: Sequence[str]) -> None:
        self.generation_ids = tuple(generation_ids)
        ids = " ".join(self.generation_ids)
        super().__init__(
            f"Still running when the time allowed ended: {ids}. "
            f"Nothing is lost: collect later, free of charge, with `flux-nodes wait {ids}`."
        )


class StorageError(FluxNodesError):
    """The journal or the image store cannot be read or written."""
