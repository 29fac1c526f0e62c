"""What the tests read from a tool's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.types import TextContent

if TYPE_CHECKING:
    from mcp.types import CallToolResult


def text(result: CallToolResult) -> str:
    """The one text of an answer."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def facts(result: CallToolResult) -> dict[str, Any]:
    """The structured content of an answer that is no error."""
    assert not result.is_error, text(result)
    found = result.structured_content
    assert isinstance(found, dict)
    return found


def refusal(result: CallToolResult, code: str) -> str:
    """The words of an answer that must be an error of this code."""
    words = text(result)
    assert result.is_error
    assert result.structured_content is None
    assert words.startswith(f"[{code}] ")
    return words
