"""The seeds of a saved workflow that move from run to run: which ones a run takes, and what is said of them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
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


_STILL = {"kept": ", as saved (--keep-seeds)", "set": " (--set)"}


def _why(each: TakenSeed) -> str:
    if each.why in _STILL:
        return _STILL[each.why]
    if each.why == "saved":
        return f", as saved; the next run moves it ({each.seed.control}, unless --keep-seeds)"
    if each.why == "again":
        return " again, for the last run with it did not end well"
    end = ", the end of its range" if each.seed.after(each.value) == each.value else ""
    return f"{end} ({each.seed.control}; --keep-seeds takes the saved {each.seed.saved})"


def still_seeds(workflow: Workflow, saved: Workflow, registry: Registry, *, keep: bool) -> list[TakenSeed]:
    """Return the seeds that move by what the file says, and do not in this run: those that were set, or all to keep."""
    from ..graph import TakenSeed, moving_seeds

    found = []
    for seed in moving_seeds(saved, registry):
        node_id, name = seed.places[0]
        value = workflow.nodes[node_id].inputs[name]
        was_set = not any(place in workflow.controls for place in seed.places)
        if isinstance(value, int) and (was_set or keep):
            found.append(TakenSeed(seed, value, "set" if was_set else "kept"))
    return found


@contextmanager
def moved_seeds(
    workflow: Workflow,
    registry: Registry,
    settings: Settings,
    file: Path,
    ended_well: Callable[[], bool],
    *,
    still: Sequence[TakenSeed] = (),
) -> Iterator[Seeded]:
    """Give a workflow with the seeds of its next run; a run that `ended_well` lets the one after it take others.

    `still` are seeds that do not move in this run, to be told with the others. Raises StorageError where it cannot be
    kept which seed comes next.
    """
    from ..graph import SeedHistory, moving_seeds, with_seeds

    seeds = moving_seeds(workflow, registry)
    if not seeds:
        yield Seeded(workflow, tuple(still))
        return
    history = SeedHistory(settings.home, service=settings.service_name, file=file)
    taken = history.take(seeds)
    well = False
    try:
        changed = {each.seed: each.value for each in taken if each.value != each.seed.saved}
        yield Seeded(with_seeds(workflow, changed, registry), (*still, *taken))
        well = ended_well()
    finally:
        history.end(taken, well=well)
