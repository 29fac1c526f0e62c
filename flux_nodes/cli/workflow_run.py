"""Running a saved workflow, and keeping account of what came of it."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..core.errors import FluxNodesError
from .delivery import Delivery

if TYPE_CHECKING:
    from pathlib import Path

    from ..core.generation import Generation
    from ..core.generations import Generations
    from ..core.settings import Settings
    from ..graph import Event, Folders, Registry, Workflow, WorkflowNode
    from .progress import Progress


@dataclass
class Ledger:
    """What a run has made so far.

    Files, words that nodes told, generations with their files in the store, copies of those that were asked for, the
    ids of those that have not ended, and the error that ended it.
    """

    files: list[tuple[Path, WorkflowNode]] = field(default_factory=list)
    texts: list[tuple[str, WorkflowNode]] = field(default_factory=list)
    generations: dict[str, Generation] = field(default_factory=dict)
    stored: dict[str, Path | None] = field(default_factory=dict)
    originals: list[Path] = field(default_factory=list)
    running: dict[str, None] = field(default_factory=dict)
    error: FluxNodesError | None = None

    def note(self, generation: Generation) -> None:
        """Write down how a generation stands, and whether it still runs."""
        self.generations[generation.id] = generation
        if generation.settled:
            self.running.pop(generation.id, None)
        else:
            self.running[generation.id] = None


def registry_for(folders: Folders) -> Registry:
    """Return every node that a workflow may be made of here: ours, and ComfyUI's stock ones in these folders."""
    from ..graph import Registry, stock_nodes
    from ..nodes import NODES

    return Registry((*NODES, *stock_nodes(folders)))


async def run_workflow(
    workflow: Workflow,
    registry: Registry,
    settings: Settings,
    ledger: Ledger,
    shown: Progress,
    *,
    originals: Path | None = None,
) -> None:
    """Run a workflow to its end, writing down in the ledger what comes of it; an error of ours ends up there too.

    The service's own bytes of each image that it brought about are copied to the folder `originals`, where one is
    given.
    """
    from ..core.generations import Generations
    from ..graph import run
    from ..nodes import Context

    async with Generations.open(settings, door="terminal") as generations:
        try:
            async with aclosing(run(workflow, registry, Context(generations=generations))) as events:
                async for event in events:
                    _take(event, ledger, shown)
        except FluxNodesError as error:
            ledger.error = error
        for id_, generation in ledger.generations.items():
            ledger.stored[id_] = generations.file(generation)
        if originals is not None:
            await _copy_originals(generations, ledger, Delivery(folder=originals, original=True))


async def _copy_originals(generations: Generations, ledger: Ledger, delivery: Delivery) -> None:
    from .collect import delivered

    try:
        for generation in ledger.generations.values():
            if generation.status == "stored":
                ledger.originals.append(await delivered(generations, generation, delivery))
    except FluxNodesError as error:
        ledger.error = ledger.error or error


def _take(event: Event, ledger: Ledger, shown: Progress) -> None:
    from ..graph import Files, Finished, Progress, Saved

    if isinstance(event, Progress):
        ledger.note(event.generation)
        shown.show(event.generation, f"{event.node.title} {event.generation.id}")
    elif isinstance(event, Saved):
        ledger.files.append((event.file.path, event.node))
    elif isinstance(event, Finished) and event.result.text and not isinstance(event.result, Files):
        ledger.texts.append((event.result.text, event.node))
