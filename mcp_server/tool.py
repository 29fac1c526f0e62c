"""Makes a tool of the protocol from a body that takes typed arguments and returns an answer.

The one place where a call's arguments are read, an answer is put into its channels, and an error of ours becomes the
words that the assistant reads. Any other error is a defect: the SDK logs it and tells the client nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import CallToolResult, ImageContent, TextContent, ToolAnnotations
from pydantic import BaseModel, ConfigDict

from flux_nodes.core.commands import sandbox_hint
from flux_nodes.core.errors import FluxNodesError
from mcp_server.refusals import in_words
from mcp_server.schema import published

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.server.mcpserver import Context

    from mcp_server.arguments import Readable
    from mcp_server.state import State

Given = TypeVar("Given", bound="Readable")

LOOKS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
"""Hints of a tool that changes nothing and costs nothing."""

CREATES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
"""Hints of a tool that adds something, anew with each call."""

SETTLES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
"""Hints of a tool that writes something down once, and costs nothing."""


class _AsTheyCame(ArgModelBase):
    """Arguments as the client sent them: the SDK's own check would stop at its first layer and hide the rest."""

    model_config = ConfigDict(extra="allow")

    def model_dump_one_level(self) -> dict[str, Any]:
        """Return the one parameter of the function below."""
        return {"raw": dict(self.model_extra or {})}


def tool(
    body: Callable[[Context[State], Given], Awaitable[BaseModel | ImageContent]],
    *,
    title: str,
    description: str,
    arguments: type[Given],
    output: type[BaseModel] | None,
    hints: ToolAnnotations,
) -> Tool:
    """Make a tool, named as its body is. `output` is the published shape of its answers; None for an image."""

    async def call(context: Context[State], raw: dict[str, Any]) -> CallToolResult:
        try:
            return _shown(await body(context, arguments.read(raw)))
        except FluxNodesError as error:
            # Not a ToolError: the SDK would put words of its own before the code.
            words = in_words(error)
            hint = sandbox_hint([words]) if context.request_context.lifespan_context.is_pretended else ""
            return CallToolResult(content=[TextContent(text=f"{words} {hint}".strip())], is_error=True)

    return Tool(
        fn=call,
        name=body.__name__,
        title=title,
        description=description,
        parameters=arguments.published(),
        fn_metadata=FuncMetadata(
            arg_model=_AsTheyCame,
            output_model=output,
            output_schema=None if output is None else published(output),
        ),
        is_async=True,
        context_kwarg="context",
        annotations=hints.model_copy(update={"title": title}),
    )


def _shown(answer: BaseModel | ImageContent) -> CallToolResult:
    """Put facts into both channels, or an image into one: clients drop what stands beside structured content."""
    if isinstance(answer, ImageContent):
        return CallToolResult(content=[answer])
    return CallToolResult(
        content=[TextContent(text=answer.model_dump_json(indent=2, exclude_none=True))],
        structured_content=answer.model_dump(mode="json", exclude_none=True),
    )
