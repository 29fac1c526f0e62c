"""Mutation tests of the core: `python -m tests.mutation retry task journal`.

A mutant is the code with one small change. One that no test notices survives: a test is missing, or the change makes no
difference. Each module is tried with the tests that are about it. Install the dependency group "mutation" first; the
work is done in a copy below `.cache/mutation`. `mutmut show NAME` in that folder shows a mutant.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.hosts import pack

ROOT = Path(__file__).parents[1]
COPY = ROOT / ".cache" / "mutation"

TESTS: dict[str, tuple[str, ...]] = {
    "journal": ("test_journal.py", "test_journal_facts.py"),
    "retry": ("test_retry.py",),
    "task": ("test_task.py",),
}
"""The tests of tests/core that are about a module; of one that is not named, `test_MODULE.py`."""

LEFT_OUT = ("-k", "not where_the_program_runs")
"""Tests that change the working folder, in which mutmut looks for its settings."""

_LINE = re.compile(r"^\s+(?P<name>flux_nodes\.core\.\S+): (?P<fate>.+)$")


def main(modules: list[str]) -> int:
    """Try the mutants of modules one after another, and print the survivors; 1 if there are any."""
    fates = [fate for module in modules for fate in try_mutants(module)]
    for name, fate in fates:
        if fate not in {"killed", "timeout"}:
            print(f"{fate}: {name}")  # noqa: T201  # a report
    counts = Counter(fate for _, fate in fates)
    print(", ".join(f"{count} {fate}" for fate, count in counts.most_common()))  # noqa: T201  # a report
    return int(counts["survived"] > 0)


def try_mutants(module: str) -> list[tuple[str, str]]:
    """Return the mutants of one module, each with its fate."""
    folder = COPY / module
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pack.copy_clone(ROOT, folder)
    settings = folder / "pyproject.toml"
    tests = [f"tests/core/{name}" for name in TESTS.get(module, (f"test_{module}.py",))] + [*LEFT_OUT]
    text = settings.read_text("utf-8")
    only = f'only_mutate = ["flux_nodes/core/{module}.py"]\npytest_add_cli_args_test_selection = {tests}\n'
    settings.write_text(text.replace("[tool.mutmut]\n", f"[tool.mutmut]\n{only}"), "utf-8")
    mutmut = [sys.executable, "-m", "mutmut"]
    if subprocess.run([*mutmut, "run"], cwd=folder, check=False).returncode:
        sys.exit(f"mutmut could not try {module}: see above. Do {' '.join(tests)} pass as they are?")
    listed = subprocess.run(
        [*mutmut, "results", "--all", "true"], cwd=folder, check=True, capture_output=True, text=True
    )
    return [(found["name"], found["fate"]) for line in listed.stdout.splitlines() if (found := _LINE.match(line))]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
