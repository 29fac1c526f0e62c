"""What a run tells while it goes on, and the error that ends one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..core.errors import FluxNodesError, bounded
from ..nodes.face import Context, Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ..core.generation import Generation
    from .pixel_sources import Sources
    from .workflow import Workflow, WorkflowNode

_MOST_IDS = 20

Folder = Literal["input", "output", "temp"]
"""The folders that files of a workflow are in, as ComfyUI names them."""


@dataclass(frozen=True, kw_only=True)
class SavedFile:
    """A file that a node wrote: where it is, and how ComfyUI tells it (folder, subfolder in it, name)."""

    path: Path
    folder: Folder
    subfolder: str
    filename: str


@dataclass(frozen=True)
class Files(Result):
    """The result of a node that wrote files."""

    files: tuple[SavedFile, ...] = ()


@dataclass(frozen=True)
class GraphContext(Context):
    """What the runner lends a node: as any host, and the workflow that runs, with the node's own id in it.

    `made` are the generations that the values of this run come from, by the ids of the nodes that made them; `sources`
    are those of each picture that it is given.
    """

    workflow: Workflow
    node_id: str
    made: Mapping[str, Sequence[Generation]] = field(default_factory=dict, kw_only=True)
    sources: Sources = field(default=(), kw_only=True)


@dataclass(frozen=True)
class Started:
    """A node began."""

    node: WorkflowNode


@dataclass(frozen=True)
class Progress:
    """The generation that a node waits for has moved."""

    node: WorkflowNode
    generation: Generation


@dataclass(frozen=True)
class Finished:
    """A node ended, with its result.

    When it ran not once but for each value of a list, the result holds all: a list of values for each output, the
    texts joined by newlines, the generations and files one after another.
    """

    node: WorkflowNode
    result: Result


@dataclass(frozen=True)
class Saved:
    """A node wrote a file."""

    node: WorkflowNode
    file: SavedFile


@dataclass(frozen=True)
class Failed:
    """A node failed: the first of its runs that did. Nodes that already run go on; then the run raises NodeFailed."""

    node: WorkflowNode
    error: BaseException


Event: TypeAlias = "Started | Progress | Finished | Saved | Failed"
"""What `run` yields."""


class NodeFailed(FluxNodesError):
    """A node of a running workflow failed: `node` is the first one, `cause` what it raised, `failures` all of them.

    `stored` are the ids of the generations that other nodes, and other runs of these, have made or started: they are
    kept.
    """

    def __init__(self, failures: Sequence[Failed], *, stored: Sequence[str] = ()) -> None:
        self.failures = tuple(failures)
        self.stored = tuple(stored)
        self.node = self.failures[0].node
        self.cause = self.failures[0].error
        lines = bounded([f"{failure.node}: {_words(failure.error)}" for failure in self.failures])
        super().__init__("\n".join((*lines, *_kept(self.stored))))


def _kept(ids: Sequence[str]) -> Iterator[str]:
    """Yield the sentence that names what is kept."""
    if ids:
        more = len(ids) - _MOST_IDS
        named = " ".join(ids[:_MOST_IDS]) + (f" and {more} more" if more > 0 else "")
        yield f"What was generated is kept: {named}. `flux-nodes wait ID` gives it again, free."


def _words(error: BaseException) -> str:
    """Return an error's own sentence; an error of another tree is unreadable without its name."""
    if isinstance(error, FluxNodesError):
        return str(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory for it here: fewer or smaller images take less"
    return f"it failed in a way that was not foreseen, please report it ({type(error).__name__}: {error})"
