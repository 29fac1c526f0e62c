"""What a journal of a hundred thousand generations costs whoever looks into it or writes to it.

    python -m bench.journal --rows 100000 --against ../flux-nodes-before

Each side is a process of its own that fills a new journal by its checkout's own tables, and times its steps. Without
`--against` there is this checkout alone. `--postgresql` takes a server of its own in place of SQLite (as the tests do).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flux_nodes.core.generation import Status
    from flux_nodes.core.journal import Intent, Journal

    Times = dict[str, list[float]]

ROOT = Path(__file__).parents[1]
SERVICE = "https://api.example"
WORDS = "a windmill by the sea in soft morning light with long shadows and quiet water, watercolour, highly detailed"
UNFINISHED: tuple[Status, ...] = ("submitted", "running", "finished")
FAILED: tuple[Status, ...] = ("failed", "refused", "unconfirmed")
_SEEDS = count(10**6)
_AT_ONCE = 5000


def rows(most: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of a year's use: one in fifty failed, the others stored; prompts of 80 words."""
    chance = random.Random(1)  # noqa: S311 - prompts, no secrets
    began = datetime.now(UTC) - timedelta(days=400)
    for number in range(most):
        ended = "stored" if number % 50 else "failed"
        moment = (began + timedelta(days=400) * number / most).isoformat(timespec="microseconds")
        request = {"prompt": " ".join(chance.choices(WORDS.split(), k=80)), "model": "flux-dev", "seed": number}
        yield {
            "id": f"g-{number:09d}",
            "door": "comfyui",
            "service": SERVICE,
            "fingerprint": f"{number:064x}",
            "request": json.dumps(request),
            "status": ended,
            "created_at": moment,
            "updated_at": moment,
            "task_id": f"t-{number:08d}-0000-4000-8000-000000000000",
            "image_url": f"https://images.example/{number}.png",
            "sha256": f"{number:064x}",
            "credits": 1.0,
            "claim": f"{number:064x}" if ended == "stored" else None,
        }


def fill(url: str, most: int) -> None:
    """Write these rows into a new journal."""
    from sqlalchemy import create_engine, insert, text

    from flux_nodes.core.journal import Journal
    from flux_nodes.core.schema import GENERATIONS

    Journal(url).close()
    engine = create_engine(url)
    written = rows(most)
    while part := list(islice(written, _AT_ONCE)):
        with engine.begin() as connection:
            connection.execute(insert(GENERATIONS), part)
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(text("ANALYZE"))  # as it does by itself within a minute
    engine.dispose()


def steps(journal: Journal) -> dict[str, Callable[[], object]]:
    """Name what is timed."""
    return {
        "the sidebar's state": lambda: (
            journal.settle_abandoned(),
            journal.recent(most=None, statuses=UNFINISHED, service=SERVICE),
            journal.recent(most=100, statuses=["stored"], service=SERVICE),
        ),
        "the newest 51": lambda: journal.recent(most=51),
        "the newest 51 that failed": lambda: journal.recent(most=51, statuses=FAILED),
        "the newest 51 under way": lambda: journal.recent(most=51, statuses=["intent", *UNFINISHED]),
        "the newest 51 that are settled": lambda: journal.recent(most=51, statuses=["stored", *FAILED]),
        "search, a common word": lambda: journal.recent(most=51, words="windmill"),
        "search, a word that is nowhere": lambda: journal.recent(most=51, words="zebra"),
        "search, one with letters written twice": lambda: journal.recent(most=51, words="pink"),
        "search, in Chinese": lambda: journal.recent(most=51, words="月夜"),
        "search, nothing to go by": lambda: journal.recent(most=51, words="éé"),
        "who holds a picture": lambda: journal.holder(intent()),
        "writing down an intent": lambda: journal.intend(intent()),
        "writing down one within a budget": lambda: journal.intend(intent(budget=1e9)),
    }


def intent(*, budget: float | None = None) -> Intent:
    """Ask for a picture that nobody has asked for."""
    from flux_nodes.core.journal import Intent
    from flux_nodes.core.request import ImagineRequest

    request = ImagineRequest(prompt="new", model="flux-dev", seed=next(_SEEDS))
    return Intent(request=request, door="terminal", service=SERVICE, credits=1.0, budget=budget)


def measure(url: str, most: int, runs: int) -> Times:
    """Fill a journal and return the milliseconds of each run of each step."""
    from flux_nodes.core.journal import Journal

    fill(url, most)
    journal = Journal(url)
    times = {name: [_milliseconds(step) for _ in range(runs)] for name, step in steps(journal).items()}
    journal.close()
    return times


def _milliseconds(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return (time.perf_counter() - began) * 1000


def side(checkout: Path, url: str, given: argparse.Namespace) -> Times:
    """Measure a checkout, in a process that finds its packages there."""
    command = [sys.executable, __file__, "--measure", url, "--rows", str(given.rows), "--runs", str(given.runs)]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - ours
    times: Times = json.loads(ended.stdout)
    return times


@contextmanager
def databases(*, postgresql: bool) -> Iterator[Iterator[str]]:
    """Give URLs of new databases, which are thrown away at the end."""
    if not postgresql:
        with tempfile.TemporaryDirectory() as folder:
            yield (f"sqlite:///{folder}/{number}.sqlite3" for number in count())
        return
    from tests.hosts import places
    from tests.hosts.postgresql import Postgresql

    programs = places.postgresql() or sys.exit("PostgreSQL is not installed")
    server = Postgresql(programs)
    try:
        yield (server.url(server.new_database()) for _ in count())
    finally:
        server.stop()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=7, help="how often each step is timed (default 7)")
    parser.add_argument("--against", type=Path, help="another checkout, to be measured first")
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--measure", metavar="URL", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, given.rows, given.runs)))
        return
    checkouts = {"before": given.against.resolve()} if given.against else {}
    with databases(postgresql=given.postgresql) as urls:
        sides = {name: side(path, next(urls), given) for name, path in {**checkouts, "now": ROOT}.items()}
    _report(sides)


def _report(sides: dict[str, Times]) -> None:
    print(f"| milliseconds, median | {' | '.join(sides)} |\n|---|{'---|' * len(sides)}")
    for step in sides["now"]:
        print(f"| {step} | {' | '.join(f'{statistics.median(times[step]):.1f}' for times in sides.values())} |")


if __name__ == "__main__":
    main()
