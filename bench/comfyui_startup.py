"""What the pack costs at ComfyUI's start: the seconds until a genuine ComfyUI serves, without the pack and with it.

    python -m bench.comfyui_startup --runs 9

The starts are made in pairs, one without and one with, in turns which of them is first, after one pair that is not
counted. One more start tells which modules are imported on the pack's account. Needs the hosts of the tests
(`python3 -m tests --only hosts`).
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.hosts import pack, places
from tests.hosts.comfyui import Comfyui

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_IMPORTED = re.compile(r"^import time:\s*(?P<micros>\d+) \|\s*\d+ \|(?P<indent> +)(?P<name>\S.*)$", re.MULTILINE)
"""A line of Python's `-X importtime`: a module comes after, and two spaces left of, those that it imported."""

_OWN_COUNT = re.compile(rf"([\d.]+) seconds: \S+/{re.escape(pack.NAME)}$", re.MULTILINE)


@dataclass(frozen=True)
class Start:
    """One start: seconds by the clock, seconds of the processor, and what ComfyUI said."""

    clock: float
    processor: float
    said: str


@dataclass(frozen=True)
class Import:
    """A module's first import: what it took by itself, without those that it imported in turn."""

    name: str
    milliseconds: float


def start(packs: Mapping[str, Path], environment: Mapping[str, str] | None = None) -> Start:
    """Start a ComfyUI in an empty folder, look at the time when it serves, and end it."""
    with tempfile.TemporaryDirectory() as base:
        began = time.perf_counter()
        server = Comfyui(Path(base), packs, environment or {})
        clock, processor = time.perf_counter() - began, server.processor_seconds()
        server.stop()
        return Start(clock, processor, server.log.text())


def in_pairs(packs: Mapping[str, Path], runs: int) -> Iterator[tuple[Start, Start]]:
    """Start without and with the packs, in turns which is first; the first pair does not count."""
    for number in range(runs + 1):
        first, second = ({}, packs) if number % 2 else (packs, {})
        pair = start(first), start(second)
        if number:
            yield pair if number % 2 else (pair[1], pair[0])


def on_our_account(said: str) -> Iterator[Import]:
    """Give the imports that a module of the pack made, or that were one."""
    ours_above: list[int] = []
    for found in reversed([*_IMPORTED.finditer(said)]):
        depth = len(found["indent"]) // 2
        ours_above = [above for above in ours_above if above < depth]
        if f"{pack.NAME}." in found["name"]:
            ours_above.append(depth)
        if ours_above:
            yield Import(found["name"], int(found["micros"]) / 1000)


def by_package(imports: Iterable[Import]) -> dict[str, list[float]]:
    """Give the milliseconds of each import by the package that it belongs to."""
    found: dict[str, list[float]] = defaultdict(list)
    for item in imports:
        ours = f"{pack.NAME}." in item.name
        found[pack.NAME if ours else item.name.partition(".")[0]].append(item.milliseconds)
    return found


def print_starts(pairs: Sequence[tuple[Start, Start]]) -> None:
    """Print the seconds of all starts, and what the pack adds to them."""
    print("| seconds | min | median | max |\n|---|---|---|---|")
    for measure in ("clock", "processor"):
        without, with_ = ([getattr(pair[side], measure) for pair in pairs] for side in (0, 1))
        _print_row(f"without the pack, by the {measure}", without)
        _print_row(f"with the pack, by the {measure}", with_)
        _print_row("its share, pair by pair", [after - before for before, after in zip(without, with_, strict=True)])


def print_imports(said: str) -> None:
    """Print which packages are imported on the pack's account, the costliest first."""
    packages = by_package(on_our_account(said))
    print("\n| imported on its account | modules | ms |\n|---|---|---|")
    for name, times in sorted(packages.items(), key=lambda item: -sum(item[1])):
        print(f"| {name} | {len(times)} | {sum(times):.1f} |")
    print(f"| all | {sum(map(len, packages.values()))} | {sum(map(sum, packages.values())):.1f} |")


def _print_row(name: str, values: Sequence[float]) -> None:
    print(f"| {name} | {min(values):.2f} | {statistics.median(values):.2f} | {max(values):.2f} |")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--runs", type=int, default=9, help="pairs of starts that count (default 9)")
    runs = parser.parse_args().runs
    if not places.is_installed("comfyui"):
        sys.exit(f"ComfyUI is not installed for this; install it by `{places.COMMAND}`")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, pack.NAME)
        pack.copy_clone(places.ROOT, copy)
        packs = {pack.NAME: copy}
        pairs = [*in_pairs(packs, runs)]
        print_starts(pairs)
        own = [_OWN_COUNT.findall(with_.said)[0] for _, with_ in pairs]
        print(f"\nComfyUI's own count of the pack's import: {min(own)} to {max(own)} s")
        print_imports(start(packs, {"PYTHONPROFILEIMPORTTIME": "1"}).said)


if __name__ == "__main__":
    main()
