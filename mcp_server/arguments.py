"""The arguments of tools: what is published of them, and how a call's are read, with every fault named at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flux_nodes.core.errors import Fault, InvalidRequest
from flux_nodes.core.generation import Status  # noqa: TC001 - pydantic reads the annotation when it runs
from mcp_server import schema

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

MOST_WAIT = 50
"""The longest bounded wait, in seconds. Many clients give a call up after sixty."""


class Readable(Protocol):
    """What a tool's arguments can do."""

    @classmethod
    def published(cls) -> dict[str, Any]:
        """Return the JSON Schema of the arguments."""

    @classmethod
    def read(cls, raw: Mapping[str, object]) -> Self:
        """Read a call's arguments. Raises InvalidRequest."""


class Arguments(BaseModel):
    """Arguments that are declared as fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def published(cls) -> dict[str, Any]:
        """Return the JSON Schema of the arguments."""
        return schema.published(cls)

    @classmethod
    def read(cls, raw: Mapping[str, object]) -> Self:
        """Read a call's arguments. Raises InvalidRequest."""
        try:
            return cls.model_validate({name: value for name, value in raw.items() if value is not None})
        except ValidationError as error:
            raise InvalidRequest([_fault(one) for one in error.errors(include_url=False)]) from None


def _fault(error: Any) -> Fault:
    return Fault(".".join(str(part) for part in error["loc"]), str(error["msg"]))


GenerationId = Annotated[
    str, Field(min_length=1, max_length=255, description="A generation_id (or the service's task id).")
]


class NoArguments(Arguments):
    """Nothing to say."""


class GetArguments(Arguments):
    """Arguments of get_generation."""

    generation_id: GenerationId
    wait_seconds: float = Field(
        default=0,
        ge=0,
        le=MOST_WAIT,
        description="How long to wait for the image, in seconds; 0 only looks. Waiting is free.",
    )


class ConfirmArguments(Arguments):
    """Arguments of confirm_generation."""

    generation_id: GenerationId
    task_id: str = Field(min_length=1, max_length=300, description="The service's own id of it, as the user found it.")


class ViewArguments(Arguments):
    """Arguments of view_image."""

    generation_id: GenerationId
    max_size: int = Field(default=1024, ge=64, le=1568, description="The longer side of what is shown, in pixels.")


class ListArguments(Arguments):
    """Arguments of list_generations."""

    most: int = Field(default=10, ge=1, le=100, description="How many at most.")
    status: Status | None = Field(default=None, description="Only those that stand so.")
