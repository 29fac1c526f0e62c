"""What the page leaves open about the service, one switch each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints


class QuirkError(ValueError):
    """A quirk was given a value that it cannot have."""


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """Switch each contested point of the wire contract.

    The defaults are what the page shows, else what recorded replies show, else the stricter choice
    (apiframe wire notes, sections 3 to 10).

    Raises:
        QuirkError: A switch was given a value outside its closed set.
    """

    authorization: Literal["either", "raw", "bearer"] = "either"
    """Which form of the Authorization header is taken: the bare key, `Bearer key`, or both."""

    finished_has_status: bool = True
    """A finished task also says `"status": "finished"`; the page's own sample does not."""

    percentage: Literal["int", "text", "absent"] = "int"
    """How progress is written: `40`, `"40"`, or not at all."""

    percentage_before_processing: bool = False
    """Pending and starting tasks carry a percentage too (0)."""

    percentage_on_finished: bool = False
    """Finished tasks carry a percentage too (100)."""

    retrying: bool = False
    """The walk passes through `retrying` and back to `pending` before it starts."""

    unknown_task: Literal["errors", "not-found", "empty", "failed"] = "errors"
    """Reply for an unknown task id: 400 with errors, 404, 200 with `{}`, or a task that failed."""

    fetch_many_order: Literal["asked", "reversed"] = "asked"
    """Tasks come in the order of the ids, or the other way round."""

    fetch_many_unknown: Literal["omitted", "reported"] = "omitted"
    """Unknown ids are left out, or reported as failed tasks."""

    fetch_many_shape: Literal["tasks", "list", "by-id"] = "tasks"
    """`{"tasks": […]}` as documented, a bare list, or an object keyed by task id."""

    foreign_parameters: Literal["ignored", "refused"] = "ignored"
    """A parameter that is "only for" another model is dropped, or refused."""

    unknown_parameters: Literal["ignored", "refused"] = "refused"
    """A field that the page does not name is dropped, or refused (the stricter: it finds typing errors)."""

    multiples_of_32: bool = False
    """Width and height must be multiples of 32, as upstream demands."""

    upstream_ranges: bool = False
    """Steps must be 1 to 50 and guidance 1.5 to 5, as upstream demands."""

    failed_body: Literal["message", "error", "errors"] = "message"
    """Where a failed task tells why: `message`, `error`, or `errors[].msg`."""

    image_field: Literal["image_url", "image_urls"] = "image_url"
    """A finished task names its image as one string, or as a list."""

    original_image_url: Literal["same", "different", "absent"] = "same"
    """Whether `original_image_url` equals the image's address, differs from it, or is not sent."""

    data_uri: Literal["refused", "accepted"] = "refused"
    """Whether `image_prompt` may begin with `data:image/…;base64,`."""

    prompt_limit: int | None = None
    """The longest prompt taken, in characters; None is no limit."""

    image_type: Literal["png", "jpeg", "webp"] = "png"
    """The file type of images, and the ending of their addresses."""

    failure_refunds: bool = False
    """A task that failed gives its credit back."""

    out_of_credits: Literal["errors", "payment-required", "forbidden"] = "errors"
    """Reply when no credit is left: 400 with errors, 402 or 403 with a message. All three are invented."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):
            _check(field.name, getattr(self, field.name), get_args(hints[field.name]))


def _check(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if name == "prompt_limit":
        fine = value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0)
        choices = "None or a positive number of characters"
    elif allowed:
        fine = value in allowed
        choices = ", ".join(map(repr, allowed))
    else:
        fine = isinstance(value, bool)
        choices = "True or False"
    if not fine:
        msg = f"The quirk {name} cannot be {value!r}. Give one of: {choices}."
        raise QuirkError(msg)
