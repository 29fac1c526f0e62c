"""docs/cli.md says what is so: every command and option is on it, and every command on it does what it shows."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from flux_nodes.cli.door import door
from flux_nodes.core.settings import ENVIRONMENT
from tests.cli.terminal import Terminal, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "cli.md").read_text("utf-8")


@dataclass(frozen=True)
class Shown:
    """A command on the page, the exit code that it states, and what it shows."""

    command: str
    code: int
    lines: list[str]


def shown() -> Iterator[Shown]:
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
        for at, part in enumerate(parts):
            command, *lines = part.rstrip("\n").split("\n")
            stated = parts[at + 1].split("\n") if at + 1 < len(parts) else [""]
            if command != "echo $?":
                yield Shown(command, int(stated[1]) if stated[0] == "echo $?" else 0, lines)


def section(name: str) -> str:
    found = re.search(rf"^## {name}$(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found, f"there is no section on {name}"
    return found[1]


@pytest.mark.parametrize("name", sorted(door.commands))
def test_every_command_has_a_section_that_names_each_of_its_options(name: str) -> None:
    words = section(name)
    for parameter in door.commands[name].params:
        for spelled in (*parameter.opts, *parameter.secondary_opts):
            if spelled.startswith("-"):
                assert re.search(rf"`{spelled}[` ]", words), f"{spelled} is not told of"


def test_every_variable_of_the_environment_is_told_of() -> None:
    assert all(f"`{variable}`" in section("Environment") for variable in ENVIRONMENT.values())


def test_the_page_has_commands_to_run() -> None:
    assert len(list(shown())) > 15


def test_every_variable_that_a_command_uses_is_defined_on_the_page() -> None:
    used = {name for entry in shown() for name in re.findall(r"\$(\w+)", entry.command)}
    assert "REPOSITORY" in used
    assert {name for name in used if not re.search(rf"\b{name}=", PAGE)} == set()


def same(lines: list[str], terminal: Terminal) -> list[str]:
    """Return lines without what differs from run to run and from machine to machine."""
    text = "\n".join(line.rstrip() for line in lines if line.strip())
    for folder, name in ((terminal.environ["FLUX_NODES_HOME"], "HOME"), (str(terminal.folder), "HERE")):
        text = text.replace(folder, name)
    text = text.replace("/home/you/.local/share/flux-nodes", "HOME").replace("/home/you/pictures", "HERE")
    for pattern, name in (
        (r"g-[2-9a-z]{9}\b", "g-ID"),
        (r"(?m)^(.*g-ID) .*\d+%.*$", r"\1 BAR"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "TASK"),
        (r"[0-9a-f]{64}", "DIGEST"),
        (r"images/[0-9a-f]{2}/", "images/XX/"),
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d\.\d+\+00:00)?", "TIME"),
        (r"\d{4}-\d\d-\d\d\b", "DAY"),
        (r"\d+\.\d+(\.\w+)+( on .*)?", "VERSION"),
        (r"(?m)^versions +ok(.*\n +)*.*$", "VERSIONS"),
        (r'"size": \d+', "SIZE"),
    ):
        text = re.sub(pattern, name, text)
    return list(one_day(text.split("\n")))


def one_day(lines: list[str]) -> Iterator[str]:
    """Yield lines with the spending of the days that the page's commands took as that of one: a midnight may pass."""
    spent = r"Spent on DAY at (\S+): (\d+) credits? \((\w+) \2\)"
    for found, run in groupby(
        lines, key=lambda line: match.group(1, 3) if (match := re.fullmatch(spent, line)) else None
    ):
        if found is None:
            yield from run
        else:
            place, by = found
            total = sum(int(match[2]) for line in run if (match := re.fullmatch(spent, line)))
            yield f"Spent on DAY at {place}: {total} credits ({by} {total})"


def left_standing(appeared: str) -> list[str]:
    """Return the lines that a person sees in the end: a bar is drawn over its own earlier frames."""
    lines = [plain(line.split("\r")[-1]) for line in appeared.replace("\r\n", "\n").split("\n")]
    kept: list[str] = []
    for line in lines:
        bar = re.match(r"(.*g-[2-9a-z]{9} )[━╸╺ ]+\d", line)
        if bar:
            kept = [earlier for earlier in kept if not earlier.startswith(bar[1])]
        kept.append(line)
    return kept


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose name is no longer than those on the page, so that lines break at the same places."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.timeout(600)  # some dozens of processes, one after the other
@pytest.mark.skipif(os.name == "nt", reason="the page is written for a POSIX shell")
def test_every_command_on_the_page_does_what_it_shows(short_path: Path) -> None:
    here, programs = short_path / "pictures", short_path / "programs"
    here.mkdir()
    programs.mkdir()
    (programs / "flux-nodes").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m flux_nodes "$@"\n')
    (programs / "flux-nodes").chmod(0o755)
    environ = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "FLUX_NODES_HOME": str(short_path / "home"),
        "REPOSITORY": str(REPOSITORY),
        "LANG": "C.UTF-8",
    }
    for entry in shown():
        terminal = Terminal(here, environ)
        assigned = re.match(r"(\w+)=\$\(", entry.command)
        told = f'; echo "${assigned[1]}"' if assigned else ""
        ended = terminal.see(["bash", "-o", "pipefail", "-c", entry.command + told])
        assert ended.code == entry.code, (entry.command, ended.out)
        if assigned:
            environ[assigned[1]] = plain(ended.out).strip()
        else:
            assert same(left_standing(ended.out), terminal) == same(entry.lines, terminal), entry.command
