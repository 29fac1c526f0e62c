"""The shared core: submit and fetch, and all that one generation needs. Knows no host and no door.

Its public names are these; each is loaded when it is first used, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import ApiframeClient
    from .generation import Generation
    from .generations import Generations
    from .request import ImagineRequest
    from .settings import Settings
    from .task import Account, Task

__all__ = ["Account", "ApiframeClient", "Generation", "Generations", "ImagineRequest", "Settings", "Task"]

_HOMES = {
    "Account": "task",
    "ApiframeClient": "client",
    "Generation": "generation",
    "Generations": "generations",
    "ImagineRequest": "request",
    "Settings": "settings",
    "Task": "task",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
