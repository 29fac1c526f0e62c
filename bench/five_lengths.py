"""Five generations of different lengths in one ComfyUI graph take as long as the longest of them, not as their sum.

    python -m bench.five_lengths --runs 3

A genuine ComfyUI with this pack, and the sandbox over real HTTP, whose five models differ in pace. Each is run in a
graph of its own, then all five in one. Needs the hosts of the tests (`python3 -m tests --only hosts`).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flux_nodes.nodes import NODES
from flux_nodes.sandbox import Sandbox, serving
from tests.hosts import pack, places
from tests.hosts.comfyui import Comfyui

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MODELS = ("flux-schnell", "flux-dev", "flux-pro", "flux-pro-1.1", "flux-pro-1.1-ultra")

_SEEDS = count(1)
"""No picture is asked for twice: the second time it would be reused, for free and at once."""


@contextmanager
def comfyui(seconds: float) -> Iterator[Comfyui]:
    """Start a ComfyUI with this pack beside a service that takes these seconds, times a model's pace, for a picture."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Sandbox(seconds=seconds)) as sandbox,
        serving(sandbox) as service,
    ):
        copy = Path(folder, pack.NAME)
        pack.copy_clone(places.ROOT, copy)
        environment = {"APIFRAME_BASE_URL": service.url, "APIFRAME_API_KEY": "sandbox"}
        server = Comfyui(Path(folder, "base"), {pack.NAME: copy}, environment)
        try:
            yield server
        finally:
            server.stop()


def graph(models: Sequence[str]) -> dict[str, Any]:
    """Draw one FLUX Imagine and its preview for each model, in API format."""
    (imagine,) = (node for node in NODES if node.id == "FluxImagine")
    defaults = {item.name: item.default for item in imagine.inputs if item.is_widget and not item.optional}
    drawn: dict[str, Any] = {}
    for model in models:
        inputs = {**defaults, "model": model, "prompt": "five lengths", "seed": next(_SEEDS), "width": 256}
        drawn[model] = {"class_type": imagine.id, "inputs": {**inputs, "height": 256, "aspect_ratio": "1:1"}}
        drawn[f"{model} seen"] = {"class_type": "PreviewImage", "inputs": {"images": [model, 0]}}
    return drawn


def seconds_of(server: Comfyui, models: Sequence[str]) -> float:
    """Run a graph with one generation of each model. Raises RuntimeError if it does not end with all the images."""
    prompt = graph(models)
    began = time.perf_counter()
    outcome = server.submit(prompt, within=600)
    taken = time.perf_counter() - began
    if outcome.ended != "success" or not outcome.outputs.keys() >= {f"{model} seen" for model in models}:
        raise RuntimeError(f"the graph ended with {outcome.ended}: {outcome.error}")
    return taken


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="how often each graph is run (default 3)")
    parser.add_argument("--seconds", type=float, default=6, help="what a generation of pace 1 takes (default 6)")
    given = parser.parse_args()
    if not places.is_installed("comfyui"):
        sys.exit(f"ComfyUI is not installed for this; install it by `{places.COMMAND}`")
    with comfyui(given.seconds) as server:
        alone = {model: [seconds_of(server, [model]) for _ in range(given.runs)] for model in MODELS}
        together = [seconds_of(server, MODELS) for _ in range(given.runs)]
    _report(alone, together)


def _report(alone: dict[str, list[float]], together: list[float]) -> None:
    print("| graph | min | median | max |\n|---|---|---|---|")
    for name, times in {**alone, "all five in one graph": together}.items():
        print(f"| {name} | {min(times):.2f} s | {statistics.median(times):.2f} s | {max(times):.2f} s |")
    medians = [statistics.median(times) for times in alone.values()]
    whole = statistics.median(together)
    print(f"\nlongest {max(medians):.2f} s, sum {sum(medians):.2f} s, together {whole:.2f} s", end=" ")
    print(f"({whole / max(medians):.2f} of the longest, {whole / sum(medians):.2f} of the sum)")


if __name__ == "__main__":
    main()
