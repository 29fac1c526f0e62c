"""The node that makes a list of prompts: what it is linked to runs once for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .face import Context, Input, Node, Output, Result, Step
from .imagine import CATEGORY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from ..core.errors import Fault

_CLINGING = tuple(",.;:!?)")
"""What follows a word without a space."""


async def prompt_list(
    _context: Context | None, *, prompts: str, before: str = "", after: str = ""
) -> AsyncGenerator[Step, None]:
    """Make a list of the lines of `prompts`, each between `before` and `after`. Raises InvalidRequest for no line."""
    wanted = _lines(prompts)
    faults = _faults({"prompts": prompts})
    if faults:
        from ..core.errors import InvalidRequest

        raise InvalidRequest(faults)
    made = [_joined(before.strip(), line, after.strip()) for line in wanted]
    yield Result((made, len(made)), text="1 prompt" if len(made) == 1 else f"{len(made)} prompts")


def _lines(prompts: str) -> list[str]:
    lines = (line.strip() for line in prompts.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _faults(values: Mapping[str, Any]) -> Sequence[Fault]:
    """Find out before anything is paid that there is no prompt."""
    from ..core.errors import Fault

    if "prompts" not in values or _lines(values["prompts"]):
        return ()
    return [Fault("prompts", "there is no prompt in it", "one prompt a line; # begins a remark")]


def _joined(*parts: str) -> str:
    text = ""
    for part in parts:
        text += part if not text or part.startswith(_CLINGING) else f" {part}".rstrip()
    return text


PROMPT_LIST = Node(
    id="FluxPromptList",
    label="Prompt List",
    category=CATEGORY,
    description="Makes a list of prompts, one a line. What it is linked to runs once for each of them.",
    inputs=(
        Input(
            name="prompts",
            type="STRING",
            label="Prompts",
            tooltip="One prompt a line. Empty lines, and lines that begin with #, are left out.",
            default="",
            multiline=True,
        ),
        Input(
            name="before",
            type="STRING",
            label="Before",
            tooltip="Words in front of every prompt, such as: a watercolour of",
            default="",
            optional=True,
        ),
        Input(
            name="after",
            type="STRING",
            label="After",
            tooltip="Words behind every prompt, such as: , soft morning light",
            default="",
            optional=True,
        ),
    ),
    outputs=(
        Output(
            name="prompt",
            type="STRING",
            label="Prompts",
            tooltip="The prompts as a list: link it to a prompt, or to the labels of a Contact Sheet.",
            is_list=True,
        ),
        Output(name="count", type="INT", label="Count", tooltip="How many prompts there are."),
    ),
    run=prompt_list,
    needs_generations=False,
    check=_faults,
    search=("prompts", "batch", "queue", "lines", "multiple prompts", "list", "text", "wildcard", "flux"),
)
