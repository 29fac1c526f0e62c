from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from flux_nodes.comfy import service
from flux_nodes.core.errors import InvalidSettings
from flux_nodes.core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def home() -> Path:
    return Path(os.environ["FLUX_NODES_HOME"])


@pytest.fixture
def switched_on(home: Path) -> Iterator[Path]:
    service.switch(home, on=True)
    yield home
    service.switch(home, on=False)


def write(home: Path, text: str) -> None:
    home.mkdir()
    (home / service.FILE).write_text(text, "latin-1")


async def test_without_the_switch_nodes_run_by_the_settings_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APIFRAME_API_KEY", "a-key")
    assert await service.settings() == Settings.load() == await service.settings_to_look()


async def test_with_the_switch_nodes_run_against_the_sandbox_without_any_key(switched_on: Path) -> None:
    found = await service.settings()
    assert found.service_name == "sandbox"
    assert found.home == switched_on
    answer = httpx2.get(f"{found.base_url}/account", headers={"Authorization": "sandbox"})
    assert answer.status_code == 200


@pytest.mark.usefixtures("switched_on")
async def test_the_switch_is_nothing_to_the_terminal_and_the_assistant() -> None:
    assert Settings.load().service_name != "sandbox"


def test_every_thread_and_every_loop_is_led_to_one_sandbox(home: Path) -> None:
    write(home, '{"sandbox": true}')
    with ThreadPoolExecutor(8) as crowd:
        found = list(crowd.map(lambda _: asyncio.run(service.settings()).base_url, range(16)))
    assert len(set(found)) == 1


@pytest.mark.usefixtures("switched_on")
async def test_who_only_looks_is_led_to_the_same_service_and_needs_no_sandbox_to_run() -> None:
    found = await service.settings_to_look()
    assert found.service_name == "sandbox"
    assert found.base_url == Settings.load().base_url


@pytest.mark.parametrize("broken", ["{", "[]", '{"sandbox": "yes"}', "[" * 10_000, "\xff"])
async def test_a_switch_that_cannot_be_read_stops_everything_rather_than_pay_by_mistake(
    home: Path, broken: str
) -> None:
    write(home, broken)
    with pytest.raises(InvalidSettings, match=r"comfyui\.json"):
        await service.settings()
    service.switch(home, on=False)
    assert (await service.settings()).service_name != "sandbox"


def test_turning_the_switch_keeps_what_else_the_file_says(home: Path) -> None:
    write(home, '{"sandbox": true, "later": 1}')
    service.switch(home, on=False)
    assert json.loads((home / service.FILE).read_text()) == {"sandbox": False, "later": 1}


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)


SWITCH = """
import pathlib, os, sys
from flux_nodes.comfy import service
home = pathlib.Path(os.environ["FLUX_NODES_HOME"])
"""


@pytest.mark.parametrize("missing", ["uvicorn", "starlette"])
def test_what_the_sandbox_lacks_is_named_with_the_command_that_installs_it(home: Path, missing: str) -> None:
    ended = run(f"{SWITCH}sys.modules[{missing!r}] = None\nservice.switch(home, on=True)")
    last = ended.stderr.splitlines()[-1]
    assert "InvalidSettings" in last
    assert missing in last
    assert "pip install -r" in last
    assert Path(last.rpartition("-r ")[2].strip('"')).is_file()
    assert not (home / service.FILE).exists()


def test_the_sandbox_ends_with_the_process(home: Path) -> None:
    ended = run(f"{SWITCH}service.switch(home, on=True)\nprint('up')")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "up\n", "")
    assert service.is_switched_on(home)
