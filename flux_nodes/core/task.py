"""What the service says of a generation, parsed once and liberally.

The page shows two shapes of one object; recorded replies show more (numbers as text, no status on success, one
address or a list of them, error words under several names). Whatever says enough is understood. Source: flux-imagine
page, Response; apiframe wire notes, sections 3 to 5.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, ValidationError

from .errors import ServiceUnreachable
from .reply import storable, usable_task_id

State = Literal["running", "finished", "failed"]

_FINISHED = frozenset({"", "finished", "completed", "success", "succeeded"})
_FAILED = frozenset({"failed", "error"})
_MOST_WORDS = 10
_LONGEST_WORDS = 500
"""The most characters of one message of the service that are kept and shown."""


def _percentage(value: object) -> int | None:
    """Read 40, 40.0, "40" or "40 %" as 40, kept within 0..100; anything else says nothing."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(str(value).strip().rstrip("%"))
    except ValueError:
        return None
    return None if math.isnan(number) else round(min(max(number, 0.0), 100.0))


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    found = value if isinstance(value, list) else [value]
    return [text for text in map(_text, found) if text]


class _Reply(BaseModel):
    """The object of `/fetch` with every spelling that was seen; unknown keys are passed over."""

    model_config = ConfigDict(extra="ignore")

    task_id: Annotated[str, BeforeValidator(usable_task_id)] = ""
    status: Annotated[str, BeforeValidator(lambda value: _text(value).lower())] = ""
    percentage: Annotated[int | None, BeforeValidator(_percentage)] = None
    image_url: Annotated[str, BeforeValidator(_text)] = ""
    image_urls: Annotated[list[str], BeforeValidator(_texts)] = Field(default_factory=list)
    original_image_url: Annotated[str, BeforeValidator(_text)] = ""


class Task(BaseModel):
    """A task as the service last told of it: `percentage` is 0..100, `status` the service's own word (or "")."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    state: State
    status: str = ""
    percentage: int | None = None
    image_url: str | None = None
    messages: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the service will do no more for it."""
        return self.state != "running"

    @classmethod
    def parse(cls, reply: object, *, task_id: str = "") -> Task:
        """Read a task object; `task_id` stands in where the reply names none.

        Raises ServiceUnreachable when it is no object at all.
        """
        if not isinstance(reply, dict):
            raise ServiceUnreachable("The service answered with something that is no task object.")
        try:
            read = _Reply.model_validate(reply)
        except ValidationError as error:
            raise ServiceUnreachable("The service answered with a task object that cannot be read.") from error
        url = next(iter([url for url in (read.image_url, *read.image_urls) if url]), "")
        return cls(
            task_id=read.task_id or task_id,
            state=_state(read.status, url),
            status=read.status,
            percentage=read.percentage,
            image_url=url or read.original_image_url or None,
            messages=error_words(reply),
        )


def _state(status: str, url: str) -> State:
    if status in _FAILED:
        return "failed"
    return "finished" if url and status in _FINISHED else "running"


def error_words(reply: Any) -> tuple[str, ...]:
    """Return the service's own words of what went wrong, none of them long.

    From `errors[].msg`, then `message`, then `error`, then `detail`; each may be a text, an object with a `msg` or a
    `message`, or a list of those.
    """
    if not isinstance(reply, dict):
        return ()
    for name in ("errors", "message", "error", "detail"):
        if found := _words(reply.get(name)):
            return tuple(storable(words, most=_LONGEST_WORDS) for words in found[:_MOST_WORDS])
    return ()


def _words(value: object) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    return _texts([entry.get("msg") or entry.get("message") if isinstance(entry, dict) else entry for entry in entries])


class Account(BaseModel):
    """The account behind a key. Source: apiframe wire notes, section 2, GET /account."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    email: str
    credits: FiniteFloat
    total_images: int
    plan: str
    next_billing_date: str | None = None
    subscription_credits: FiniteFloat | None = None
    topup_credits: FiniteFloat | None = None
