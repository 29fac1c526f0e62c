"""ComfyUI-style graphs without ComfyUI: read, check, change, convert and run saved workflows.

Its public names are these; each is loaded when it is first used, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .checking import check, require
    from .costing import Cost, cost
    from .events import Event, Failed, Files, Finished, NodeFailed, Progress, Saved, SavedFile, Started
    from .link import Link
    from .places import Folders
    from .provenance import file_name, picture
    from .read import read_workflow
    from .registry import Registry
    from .running import run
    from .seed_control import MovingSeed, moving_seeds, with_seeds
    from .seed_history import SeedHistory, TakenSeed
    from .setting import Setting
    from .stock import stock_nodes
    from .workflow import Workflow, WorkflowNode

__all__ = [
    "Cost",
    "Event",
    "Failed",
    "Files",
    "Finished",
    "Folders",
    "Link",
    "MovingSeed",
    "NodeFailed",
    "Progress",
    "Registry",
    "Saved",
    "SavedFile",
    "SeedHistory",
    "Setting",
    "Started",
    "TakenSeed",
    "Workflow",
    "WorkflowNode",
    "check",
    "cost",
    "file_name",
    "moving_seeds",
    "picture",
    "read_workflow",
    "require",
    "run",
    "stock_nodes",
    "with_seeds",
]

_HOMES = {
    "Cost": "costing",
    "Event": "events",
    "Failed": "events",
    "Files": "events",
    "Finished": "events",
    "Folders": "places",
    "Link": "link",
    "MovingSeed": "seed_control",
    "NodeFailed": "events",
    "Progress": "events",
    "Registry": "registry",
    "Saved": "events",
    "SavedFile": "events",
    "SeedHistory": "seed_history",
    "Setting": "setting",
    "Started": "events",
    "TakenSeed": "seed_history",
    "Workflow": "workflow",
    "WorkflowNode": "workflow",
    "check": "checking",
    "cost": "costing",
    "file_name": "provenance",
    "moving_seeds": "seed_control",
    "picture": "provenance",
    "read_workflow": "read",
    "require": "checking",
    "run": "running",
    "stock_nodes": "stock",
    "with_seeds": "seed_control",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
