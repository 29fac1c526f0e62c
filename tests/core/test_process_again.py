"""A program that replaces itself keeps its number and its start: what it was sending before is lost all the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., dict[str, Any]]

ROOT = Path(__file__).parents[2]
POSIX = pytest.mark.skipif(os.name != "posix", reason="elsewhere os.execv starts another process")

BEGINNING = """
import asyncio, json, os, sys
from flux_nodes.core import Generations, ImagineRequest, Settings

REQUEST = ImagineRequest(model="flux-dev", prompt="a field", seed=1)

def tell(**facts):
    print(json.dumps({"pid": os.getpid(), **facts}))

async def before():
    async with Generations.open(Settings.load(), door="test") as generations:
        return (await generations.intend(REQUEST)).id

async def after(id_):
    async with Generations.open(Settings.load(), door="test") as generations:
        await generations.unfinished()
        return (await generations.get(id_)).status
"""

REPLACED = """
if sys.argv[1] == "before":
    id_ = asyncio.run(before())
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[2], "after", id_, str(os.getpid())])
tell(before=int(sys.argv[3]), status=asyncio.run(after(sys.argv[2])))
"""

TWO_COPIES = """
from second_copy.core import Generations as Others, Settings as OtherSettings

async def look(id_):
    async with Others.open(OtherSettings.load(), door="test") as generations:
        await generations.unfinished()
        return (await generations.get(id_)).status

tell(status=asyncio.run(look(asyncio.run(before()))))
"""

AS_OLDER_VERSIONS_WROTE_IT = """
import socket, sqlite3
id_ = asyncio.run(before())
journal = sqlite3.connect(sys.argv[1])
journal.execute("UPDATE generations SET owner = ?", (f"{socket.gethostname()}:{os.getpid()}",))
journal.commit()
tell(status=asyncio.run(after(id_)))
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def in_a_process(program: str, *arguments: str) -> dict[str, Any]:
        places = os.pathsep.join([str(ROOT), str(tmp_path)])
        environment = {**os.environ, "PYTHONPATH": places, "APIFRAME_API_KEY": "sandbox"}
        command = [sys.executable, "-W", "error", "-c", BEGINNING + program, *arguments]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr
        told: dict[str, Any] = json.loads(ended.stdout)
        return told

    return in_a_process


@POSIX
def test_what_a_program_was_sending_is_lost_at_once_when_it_replaces_itself(run: Run) -> None:
    told = run(REPLACED, "before", BEGINNING + REPLACED)
    assert told["pid"] == told["before"]
    assert told["status"] == "unconfirmed"


def test_what_another_copy_of_the_code_in_the_same_program_is_sending_is_not_lost(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "second_copy"
    shutil.copytree(ROOT / "flux_nodes" / "core", copy / "core", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "flux_nodes" / "__init__.py", copy)
    assert run(TWO_COPIES)["status"] == "intent"


def test_what_an_older_version_wrote_is_judged_by_its_process_alone(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "home" / "journal.sqlite3"
    assert run(AS_OLDER_VERSIONS_WROTE_IT, str(file))["status"] == "intent"
