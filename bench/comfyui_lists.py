"""How long lists run in a genuine ComfyUI: the seconds until all of a Prompt List is sent, and until all is there.

    python -m bench.comfyui_lists --lines 400 1000

A Prompt List feeds a FLUX Imagine in a ComfyUI of its own, against the sandbox, whose generations take `--seconds`.
Meanwhile ComfyUI is asked for its queue twice a second: its slowest answer tells how much the list holds up the server.
Needs the hosts of the tests (`python3 -m tests --only hosts`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flux_nodes.sandbox import Sandbox, serving
from tests.hosts import pack, places
from tests.hosts.comfyui import Comfyui
from tests.hosts.running import imagine, node

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAUSE = 0.5
"""Seconds between two looks at ComfyUI."""

_LONGEST = 600.0
"""Seconds after which a list is given up."""


@dataclass(frozen=True)
class Trial:
    """How one list went: seconds until all was sent and until the prompt ended, and what was left out.

    `answer` is ComfyUI's slowest answer meanwhile, `processor` what it worked, both in seconds.
    """

    lines: int
    sent: float | None
    ended: float | None
    accepted: int
    failed: int
    answer: float
    processor: float


def tried(packs: Path, lines: int, seconds: float) -> Trial:
    """Run one list of so many prompts to its end."""
    sandbox = Sandbox(keys={"bench": 2 * lines}, seconds=seconds)
    with _host(packs, sandbox) as host, host.connect() as conversation:
        before, began = host.processor_seconds(), time.monotonic()
        prompts = "\n".join(f"windmill number {at} by the sea" for at in range(lines))
        graph = {"1": node("FluxPromptList", prompts=prompts), "2": imagine(["1", 0])}
        graph["3"] = {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}}
        conversation.queue(graph)
        sent = ended = None
        slowest = 0.0
        while ended is None and time.monotonic() - began < _LONGEST:
            time.sleep(_PAUSE)
            asked = time.monotonic()
            queue = json.loads(host.get("/queue"))
            now = time.monotonic()
            slowest = max(slowest, now - asked)
            if sent is None and len(sandbox.tasks) == lines:
                sent = now - began
            if not queue["queue_running"] and not queue["queue_pending"]:
                ended = now - began
        worked = host.processor_seconds() - before
        failed = json.loads(host.get("/flux-nodes/generations?show=failed&most=200"))["generations"]
        return Trial(lines, sent, ended, len(sandbox.tasks), len(failed), slowest, worked)


@contextmanager
def _host(packs: Path, sandbox: Sandbox) -> Iterator[Comfyui]:
    with serving(sandbox) as server, tempfile.TemporaryDirectory() as base:
        environment = {"APIFRAME_BASE_URL": server.url, "APIFRAME_API_KEY": "bench"}
        host = Comfyui(Path(base), {pack.NAME: packs}, environment)
        try:
            yield host
        finally:
            host.stop()
            sandbox.close()


def print_trial(trial: Trial) -> None:
    """Print one row."""
    times = " | ".join("never" if each is None else f"{each:.1f}" for each in (trial.sent, trial.ended))
    print(
        f"| {trial.lines} | {trial.accepted} | {times} | {trial.failed} | {trial.answer:.2f} | {trial.processor:.1f} |",
        flush=True,
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--lines", type=int, nargs="+", default=[400, 1000], help="prompts of a list (400 and 1000)")
    parser.add_argument("--seconds", type=float, default=5.0, help="that a generation takes (default 5)")
    parser.add_argument("--pack", type=Path, help="another copy of the pack than this work tree")
    given = parser.parse_args()
    if not places.is_installed("comfyui"):
        sys.exit(f"ComfyUI is not installed for this; install it by `{places.COMMAND}`")
    print("| lines | accepted | sent after s | ended after s | failed | slowest answer s | processor s |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        copy = given.pack or Path(folder, pack.NAME)
        if given.pack is None:
            pack.copy_clone(places.ROOT, copy)
        for lines in given.lines:
            print_trial(tried(copy, lines, given.seconds))


if __name__ == "__main__":
    main()
