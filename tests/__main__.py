"""Check everything, from a fresh clone, with nothing but Python and git: `python3 -m tests`.

Makes a virtual environment, installs the package, its development tools and the real hosts that some tests
start, then runs every check and stops at the first that fails. Needs the standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import monotonic, time

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv-tests"
OTHER_VENVS = ROOT / ".cache" / "pythons"
OLDEST = (3, 11)

Arguments = Sequence[str]
Version = tuple[int, int]

_PARALLEL = ("-n", str(os.cpu_count() or 1), "--dist", "loadfile", "--no-loadscope-reorder")
"""One worker for each processor. A file's tests stay together, for they share servers; the order is that of
`pytest_collection_modifyitems` in tests/conftest.py, the longest files first, so that no worker ends much later.
"""

_TIME_SENSITIVE = ("tests/docs", "tests/cli/test_lookups.py")
"""The tests whose expectations a date, a midnight or a time zone could reach."""

# time-machine is a plugin of pytest as well, which is surprised to find it in the interpreter already.
_ALREADY_IMPORTED = ("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning")

_DAY = 24 * 60 * 60

_QUIET_PIP = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}


class StepError(Exception):
    """A step did not pass; the message says what failed."""


def main(arguments: Arguments) -> int:
    """Run the steps asked for, and give the exit status."""
    asked, for_pytest = _parse(arguments)
    names = [asked.only] if asked.only else list(STEPS)
    try:
        _run_step("environment", partial(make_environment, VENV, Path(sys.executable)))
        for name in names:
            _run_step(name, partial((STEPS | ON_REQUEST)[name], for_pytest))
    except StepError as failure:
        _say(f"FAILED: {failure}")
        return 1
    return 0


def make_environment(venv: Path, python: Path) -> None:
    """Install the package, in place, and its development tools, unless done since pyproject.toml changed."""
    stamp = venv / "installed"
    recipe = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if _answers(_python_of(venv)) and stamp.exists() and stamp.read_text() == recipe:
        return
    if not _answers(_python_of(venv)):
        _make_venv(venv, python)
    pip = [str(_python_of(venv)), "-m", "pip", "install"]
    _call([*pip, "--upgrade", "pip"], quiet=True)
    _call([*pip, "--editable", ".[mcp,socks]", "--group", "dev"], quiet=True)
    stamp.write_text(recipe)


def install_hosts(_: Arguments) -> None:
    """Install ComfyUI with two frontends, Chromium, the MCP Inspector and PostgreSQL, unless they are there."""
    _tool("-m", "tests.hosts.install")


def check_format(_: Arguments) -> None:
    """Compare the layout of the code with the formatter's."""
    _tool("-m", "ruff", "format", "--check", ".")


def check_lint(_: Arguments) -> None:
    """Lint."""
    _tool("-m", "ruff", "check", ".")


def check_types(_: Arguments) -> None:
    """Check the types strictly."""
    _tool("-m", "mypy")


def check_imports(_: Arguments) -> None:
    """Check who imports whom."""
    _call([str(_python_of(VENV).with_name("lint-imports"))])


def run_tests(for_pytest: Arguments) -> None:
    """Run every test, those with real hosts among them, and name the slowest."""
    _tool("-m", "pytest", *_PARALLEL, "--durations=10", *for_pytest)


def run_under_another_clock(for_pytest: Arguments) -> None:
    """Run the tests that show days and times a month ahead, over midnight, in a time zone half a day away."""
    environment = _other_clock(now=int(time()))
    _say(" ".join(f"{name}={value}" for name, value in environment.items()))
    command = [str(_python_of(VENV)), "-m", "pytest", *_PARALLEL, *_ALREADY_IMPORTED, *_TIME_SENSITIVE, *for_pytest]
    _call(command, environment=environment)


def run_on_other_pythons(for_pytest: Arguments) -> None:
    """Run the tests that need no host on the oldest Python that is supported and on the newest one found."""
    found = find_pythons()
    wanted = {version for version in (OLDEST, max(found, default=OLDEST)) if version in found}
    for version in sorted(wanted - {sys.version_info[:2]}):
        venv = OTHER_VENVS / ".".join(map(str, version))
        make_environment(venv, found[version])
        _call([str(_python_of(venv)), "-m", "pytest", "tests", *_PARALLEL, "-m", "not host", *for_pytest])


def measure_coverage(for_pytest: Arguments) -> None:
    """Run every test, and tell which lines and branches none of them reached."""
    _tool("-m", "pytest", "--cov", "--cov-report=term:skip-covered", *for_pytest)


STEPS: dict[str, Callable[[Arguments], None]] = {
    "format": check_format,
    "lint": check_lint,
    "types": check_types,
    "imports": check_imports,
    "hosts": install_hosts,
    "tests": run_tests,
    "clock": run_under_another_clock,
    "pythons": run_on_other_pythons,
}
"""What `python3 -m tests` does, in this order."""

ON_REQUEST: dict[str, Callable[[Arguments], None]] = {"coverage": measure_coverage}
"""What is run by `--only NAME` alone."""


def find_pythons() -> dict[Version, Path]:
    """Find the Pythons on the PATH and among pyenv's that this package supports, by version."""
    folders = [Path(folder) for folder in os.get_exec_path()]
    folders += sorted(Path.home().glob(".pyenv/versions/*/bin"))
    found: dict[Version, Path] = {}
    for folder in folders:
        for python in folder.glob("python3.*"):
            match = re.fullmatch(r"python3\.(\d+)", python.name)
            version = (3, int(match[1])) if match else (0, 0)
            if version >= OLDEST and version not in found and _answers(python):
                found[version] = python
    return found


def _make_venv(venv: Path, python: Path) -> None:
    if python == Path(sys.executable) and importlib.util.find_spec("ensurepip") is None:
        raise StepError("this Python cannot make virtual environments (on Debian: apt-get install python3-venv)")
    _call([str(python), "-m", "venv", "--clear", str(venv)])


def _python_of(venv: Path) -> Path:
    return venv / "Scripts" / "python.exe" if os.name == "nt" else venv / "bin" / "python"


def _answers(python: Path) -> bool:
    # A shim of a version manager is there, and runnable, for versions that it then refuses to run.
    return (
        shutil.which(python) is not None
        and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    )


def _tool(*arguments: str) -> None:
    _call([str(_python_of(VENV)), *arguments])


def _call(command: Sequence[str], *, quiet: bool = False, environment: Mapping[str, str] | None = None) -> None:
    """Run a command in the repository; what a quiet one prints is shown only when it fails."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **_QUIET_PIP, **(environment or {})},
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        _say((done.stdout or b"").decode(errors="replace"))
        raise StepError(f"exit status {done.returncode} of: {' '.join(command)}")


def _other_clock(*, now: int) -> Mapping[str, str]:
    """Give an environment whose clock is ten seconds before the midnight (UTC) that comes in a month.

    `now` is in seconds since the epoch.
    """
    ahead = 31 * _DAY + _DAY - now % _DAY - 10
    return {"PYTHONPATH": str(ROOT / "tests" / "other_clock"), "TESTS_CLOCK": str(ahead), "TZ": "Pacific/Auckland"}


def _run_step(name: str, step: Callable[[], None]) -> None:
    _say(f"=== {name}")
    start = monotonic()
    try:
        step()
    finally:
        _say(f"=== {name}: {monotonic() - start:.1f} s")


def _parse(arguments: Arguments) -> tuple[argparse.Namespace, Arguments]:
    parser = argparse.ArgumentParser(prog="python3 -m tests", description="Check everything, or one thing.")
    parser.add_argument("--only", choices=[*STEPS, *ON_REQUEST], help="run this one step")
    parser.add_argument("for_pytest", nargs="*", metavar="-- ARGUMENT", help="passed on to pytest")
    asked = parser.parse_args(arguments)
    return asked, asked.for_pytest


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.version_info < OLDEST:
        sys.exit("Python 3.11 or newer is needed: run this with a newer one, as in `python3.12 -m tests`.")
    sys.exit(main(sys.argv[1:]))
