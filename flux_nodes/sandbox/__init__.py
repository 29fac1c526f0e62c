"""The service, pretended: its own contract, deterministic pictures, faults on demand.

It shares no code with the core: a wrong field name would otherwise pass on both sides.

    from flux_nodes.sandbox import Sandbox, serving

    with serving(Sandbox()) as server:
        ...  # any HTTP client, in any language, may speak to server.url with the key "sandbox"
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import Sandbox
    from .fault_text import parse_fault
    from .faults import Fault, FaultError
    from .kept import keeping
    from .quirks import Quirks
    from .serve import RunningServer, serve_forever, serving

__all__ = [
    "Fault",
    "FaultError",
    "Quirks",
    "RunningServer",
    "Sandbox",
    "keeping",
    "parse_fault",
    "serve_forever",
    "serving",
]

_HOME = {
    "Fault": "faults",
    "FaultError": "faults",
    "Quirks": "quirks",
    "RunningServer": "serve",
    "Sandbox": "app",
    "keeping": "kept",
    "parse_fault": "fault_text",
    "serve_forever": "serve",
    "serving": "serve",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
