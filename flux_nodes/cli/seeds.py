"""The seeds of a saved workflow that move from run to run: which ones a run takes, and what is said of them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..core.settings import Settings
    from ..graph import Registry, TakenSeed, Workflow


@dataclass(frozen=True)
class Seeded:
    """A workflow with the seeds of one run, and which of them were taken."""

    workflow: Workflow
    taken: tuple[TakenSeed, ...] = ()

    def lines(self) -> Iterator[str]:
        """Yield what to say of each seed."""
        for each in self.taken:
            node_id, name = each.seed.places[0]
            yield f"{self.workflow.nodes[node_id].title}: {name} {each.value}{_why(each)}"

    def documents(self) -> list[dict[str, object]]:
        """Return what `--json` says of each seed."""
        return [
            {
                "node": each.seed.places[0][0],
                "title": self.workflow.nodes[each.seed.places[0][0]].title,
                "input": each.seed.places[0][1],
                "seed": each.value,
                "control": each.seed.control,
                "why": each.why,
            }
            for each in self.taken
        ]


def _why(each: TakenSeed) -> str:
    if each.why == "saved":
        return f", as saved; the next run moves it ({each.seed.control}, unless --keep-seeds)"
    if each.why == "again":
        return " again, for the last run with it did not end well"
    end = ", the end of its range" if each.seed.after(each.value) == each.value else ""
    return f"{end} ({each.seed.control}; --keep-seeds takes the saved {each.seed.saved})"


@contextmanager
def moved_seeds(
    workflow: Workflow, registry: Registry, settings: Settings, file: Path, ended_well: Callable[[], bool]
) -> Iterator[Seeded]:
    """Give a workflow with the seeds of its next run; a run that `ended_well` lets the one after it take others.

    Raises StorageError where it cannot be kept which seed comes next.
    """
    from ..graph import SeedHistory, moving_seeds, with_seeds

    seeds = moving_seeds(workflow, registry)
    if not seeds:
        yield Seeded(workflow)
        return
    history = SeedHistory(settings.home, service=settings.service_name, file=file)
    taken = history.take(seeds)
    well = False
    try:
        changed = {each.seed: each.value for each in taken if each.value != each.seed.saved}
        yield Seeded(with_seeds(workflow, changed, registry), tuple(taken))
        well = ended_well()
    finally:
        history.end(taken, well=well)
