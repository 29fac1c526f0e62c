"""How long our parts take to load, and what is on board then: nobody should feel us before they use us.

    python -m bench.startup

Prints a Markdown table: the median of several whole processes, less an interpreter that does nothing.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

PARTS = {
    "import flux_nodes.core": ["-c", "import flux_nodes.core"],
    "ComfyUI's door (flux_nodes.comfy and nodes)": ["-c", "import flux_nodes.comfy, flux_nodes.nodes"],
    "a request, checked": [
        "-c",
        "from flux_nodes.core import ImagineRequest; ImagineRequest(model='flux-dev', prompt='x')",
    ],
    "flux-nodes --help": ["-m", "flux_nodes", "--help"],
    "flux-nodes models": ["-m", "flux_nodes", "models"],
    "flux-nodes list": ["-m", "flux_nodes", "list"],
    "import mcp_server.server": ["-c", "import mcp_server.server"],
}


def seconds(arguments: list[str], runs: int) -> float:
    """Return the median time of a Python process with these arguments, after one that is not counted."""
    times = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    nothing = seconds(["-c", "pass"], runs)
    print("| part | ms |\n|---|---|")
    print(f"| (Python itself) | {nothing * 1000:.0f} |")
    for name, arguments in PARTS.items():
        print(f"| {name} | {(seconds(arguments, runs) - nothing) * 1000:.0f} |")


if __name__ == "__main__":
    main()
