"""Errors in ComfyUI's terms: what the sentences of the core say for a terminal, with the way there is here."""

from __future__ import annotations

from ..core.errors import FluxNodesError, KeyRefused, MissingKey

_KEY = "In ComfyUI: open Settings → Flux Nodes and enter the key there"


def guided(error: BaseException) -> BaseException:
    """Return the error to raise in ComfyUI: it also says what to do there, where there is something to add."""
    if isinstance(error, MissingKey):
        return MissingKey(f"{_KEY}, or switch the sandbox on there: it draws pictures without a key, free. {error}")
    if isinstance(error, KeyRefused):
        return KeyRefused(f"{error} {_KEY}.", status=error.status, messages=error.messages)
    # Its sentence says all; ComfyUI shows the way it took through our code to a person, and in the console.
    return error.with_traceback(None) if isinstance(error, FluxNodesError) else error
