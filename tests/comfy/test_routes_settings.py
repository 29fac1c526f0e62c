from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flux_nodes import __version__
from flux_nodes.comfy import service
from flux_nodes.core import Generations, ImagineRequest, Settings
from flux_nodes.core.settings import FILE
from flux_nodes.sandbox import Fault, Sandbox, serving
from tests.comfy.asking import ask, told

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "canary-7f3a9c-of-a-key"


@pytest.fixture
def file() -> Path:
    return Path(os.environ["FLUX_NODES_HOME"]) / FILE


def said(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def say(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


async def test_the_state_tells_what_is_there_when_nothing_is_set() -> None:
    state = await told("GET", "/flux-nodes/state")
    assert state == {
        "version": __version__,
        "key": "missing",
        "sandbox": False,
        "service": Settings.load().base_url,
        "unfinished": 0,
    }


async def test_a_key_is_stored_for_its_owner_only_and_no_answer_holds_it(file: Path) -> None:
    answers = [
        await ask("POST", "/flux-nodes/key", {"key": f"  {KEY} "}),
        await ask("GET", "/flux-nodes/state"),
        await ask("POST", "/flux-nodes/key", {"key": f"{KEY} {KEY}"}),
    ]
    assert [answer.status for answer in answers] == [200, 200, 400]
    assert json.loads(answers[0].body)["key"] == "stored"
    assert all(KEY not in repr(answer) and KEY[:8] not in answer.body.decode() for answer in answers)
    stored = Settings.load().api_key
    assert stored is not None
    assert stored.get_secret_value() == KEY
    assert os.name == "nt" or mode(file) == 0o600


async def test_a_stored_key_is_forgotten_and_the_other_settings_stay(file: Path) -> None:
    say(file, json.dumps({"budget": 5, "api_key": KEY}))
    assert (await told("DELETE", "/flux-nodes/key"))["key"] == "missing"
    assert json.loads(said(file) or "") == {"budget": 5}


async def test_a_key_of_the_environment_goes_first_and_says_so(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APIFRAME_API_KEY", "of-the-environment")
    assert (await told("GET", "/flux-nodes/state"))["key"] == "environment"
    refusal = await told("POST", "/flux-nodes/key", {"key": KEY}, status=409)
    assert "APIFRAME_API_KEY" in refusal["error"]
    assert said(file) is None


@pytest.mark.parametrize("key", ["", "   ", "two words", "ключ", "line\nline", "a tab\tin it"])
async def test_what_is_no_key_is_refused_and_nothing_is_stored(file: Path, key: str) -> None:
    refusal = await told("POST", "/flux-nodes/key", {"key": key}, status=400)
    assert "nothing was stored" in refusal["error"]
    assert said(file) is None


async def test_a_settings_file_that_cannot_be_read_is_named_and_left_as_it_is(file: Path) -> None:
    say(file, "{")
    for method, path, body in (
        ("GET", "/flux-nodes/state", None),
        ("POST", "/flux-nodes/key", {"key": KEY}),
        ("DELETE", "/flux-nodes/key", None),
        ("POST", "/flux-nodes/sandbox", {"on": True}),
    ):
        assert FILE in (await told(method, path, body, status=400))["error"]
    assert said(file) == "{"


async def test_a_disk_that_cannot_be_written_is_an_error_in_words(file: Path) -> None:
    say(file.parent, "a file where the folder should be")
    refusal = await told("POST", "/flux-nodes/key", {"key": KEY}, status=400)
    assert refusal["error"]
    assert KEY not in refusal["error"]


@pytest.fixture
def service_of_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A service that knows the key."""
    made = Sandbox(keys={KEY: 981}, seconds=0)
    with serving(made) as server:
        monkeypatch.setenv("APIFRAME_BASE_URL", server.url)
        yield made
    made.close()


@pytest.mark.usefixtures("service_of_key")
@pytest.mark.parametrize("switched", [False, True], ids=["service", "sandbox on"])
async def test_the_account_behind_a_stored_key_is_told_whatever_the_switch_says(switched: bool) -> None:
    await told("POST", "/flux-nodes/key", {"key": KEY})
    await told("POST", "/flux-nodes/sandbox", {"on": switched})
    account = await told("GET", "/flux-nodes/account")
    await told("POST", "/flux-nodes/sandbox", {"on": False})
    assert sorted(account) == ["credits", "plan"]
    assert account["credits"] == 981


@pytest.mark.usefixtures("service_of_key")
async def test_a_key_that_the_service_does_not_know_is_told_from_all_other_trouble_and_stays_stored() -> None:
    wrong = f"{KEY}-mistyped"
    await told("POST", "/flux-nodes/key", {"key": wrong})
    refusal = await told("GET", "/flux-nodes/account", status=409)
    assert "does not know the API key" in refusal["error"]
    assert KEY not in refusal["error"]
    assert (await told("GET", "/flux-nodes/state"))["key"] == "stored"


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (Fault(where="account", kind="not-json"), 504, "no usable answer"),
        (Fault(where="account", kind="refuse", status=403, body=f"{KEY} may not ask"), 502, "403"),
    ],
    ids=["no answer", "another refusal"],
)
async def test_a_service_that_tells_nothing_of_the_account_says_nothing_against_the_key(
    service_of_key: Sandbox, fault: Fault, status: int, words: str
) -> None:
    service_of_key.inject(fault)
    await told("POST", "/flux-nodes/key", {"key": KEY})
    refusal = await told("GET", "/flux-nodes/account", status=status)
    assert words in refusal["error"]
    assert KEY not in refusal["error"]


async def test_without_a_key_there_is_no_account_to_tell_of() -> None:
    assert "No API key is set" in (await told("GET", "/flux-nodes/account", status=400))["error"]


async def test_the_switch_changes_the_service_in_use_and_what_is_unfinished_there(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APIFRAME_BASE_URL", url)
    monkeypatch.setenv("APIFRAME_API_KEY", "sandbox")
    async with Generations.open(Settings.load(), door="test") as generations:
        await generations.start(ImagineRequest(model="flux-dev", prompt="a field"))
    assert (await told("GET", "/flux-nodes/state"))["unfinished"] == 1
    on = await told("POST", "/flux-nodes/sandbox", {"on": True})
    assert (on["sandbox"], on["service"], on["unfinished"]) == (True, "sandbox", 0)
    assert (await service.settings()).service_name == "sandbox"
    off = await told("POST", "/flux-nodes/sandbox", {"on": False})
    assert (off["sandbox"], off["service"], off["unfinished"]) == (False, url, 1)


async def test_state_is_told_even_where_the_sandbox_could_not_be_served(file: Path) -> None:
    """So that the switch can be turned back."""
    say(file.with_name(service.FILE), '{"sandbox": true}')
    assert (await told("GET", "/flux-nodes/state"))["sandbox"] is True
