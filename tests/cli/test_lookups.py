from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flux_nodes.core.catalog import MODEL_NAMES, PARAMETERS

if TYPE_CHECKING:
    from flux_nodes.sandbox import Sandbox
    from tests.cli.terminal import Terminal


def settings_file(terminal: Terminal) -> Path:
    return Path(terminal.environment()["FLUX_NODES_HOME"]) / "settings.json"


def without_key(terminal: Terminal) -> Terminal:
    environ = {name: value for name, value in terminal.environ.items() if name != "APIFRAME_API_KEY"}
    return type(terminal)(terminal.folder, environ)


def test_models_shows_every_model_and_what_it_takes_besides(bare: Terminal) -> None:
    rows = [line.split("\t") for line in bare.type("models").out.splitlines()]
    assert [row[0] for row in rows] == list(MODEL_NAMES)
    assert rows[-1][-1] == "--image-prompt-strength --aspect-ratio --raw"


def test_models_shows_every_parameter_with_its_range_its_models_and_its_source(bare: Terminal) -> None:
    rows = [line.split("\t") for line in bare.type("models", "--parameters").out.splitlines()]
    assert len(rows) == len(PARAMETERS)
    (width,) = [row for row in rows if row[0] == "--width"]
    assert width[1:4] == ["a whole number from 256 to 1440", "1024", "every model"]
    assert "flux-imagine page" in width[-1]


def test_the_document_of_models_holds_the_catalog(bare: Terminal) -> None:
    document = bare.type("models", "--json").document
    assert [model["name"] for model in document["models"]] == list(MODEL_NAMES)
    fields = {item["name"]: item for item in document["parameters"]}
    assert set(fields) == {item.name for item in PARAMETERS}
    assert (fields["interval"]["minimum"], fields["interval"]["maximum"]) == (1, 4)
    assert fields["interval"]["models"] == ["flux-pro"]


def test_account_shows_the_credits(terminal: Terminal) -> None:
    ended = terminal.type("account")
    assert ended.code == 0
    assert ended.out.startswith("credits\t1000")
    assert terminal.type("account", "--json").document["credits"] == 1000


def test_login_stores_a_key_that_the_service_knows_for_the_owner_only(terminal: Terminal) -> None:
    keyless = without_key(terminal)
    assert keyless.type("account").code == 2
    ended = keyless.type("login", stdin="sandbox\n")
    assert ended.code == 0
    assert str(settings_file(terminal)) in ended.out
    assert "1000 credits" in ended.out
    assert stat.S_IMODE(settings_file(terminal).stat().st_mode) == 0o600
    assert keyless.type("account").code == 0


def test_login_keeps_the_key_before_when_the_service_does_not_know_the_new_one(terminal: Terminal) -> None:
    keyless = without_key(terminal)
    keyless.type("login", stdin="sandbox")
    ended = keyless.type("login", stdin="sk-wrong-9")
    assert ended.code == 3
    assert "sk-wrong-9" not in ended.out + ended.err
    assert json.loads(settings_file(terminal).read_text())["api_key"] == "sandbox"


def test_login_without_a_check_asks_nobody(terminal: Terminal, sandbox: Sandbox) -> None:
    assert without_key(terminal).type("login", "--no-check", stdin="sk-unknown").code == 0
    assert json.loads(settings_file(terminal).read_text())["api_key"] == "sk-unknown"
    assert sandbox.requests == []


@pytest.mark.parametrize("key", ["", "   ", "two words", "ключ"])
def test_login_refuses_what_is_no_key(bare: Terminal, key: str) -> None:
    assert bare.type("login", "--no-check", stdin=key.encode()).code == 2
    assert not settings_file(bare).exists()


def test_login_says_when_the_environment_goes_before_the_stored_key(terminal: Terminal) -> None:
    assert "APIFRAME_API_KEY" in terminal.type("login", stdin="sandbox").err


def test_doctor_finds_nothing_wrong_where_all_is_well(terminal: Terminal) -> None:
    ended = terminal.type("doctor", "--json")
    assert ended.code == 0
    checks = {entry["check"]: entry for entry in ended.document["checks"]}
    assert ended.document["ok"]
    assert {checks[name]["state"] for name in ("python", "versions", "home", "journal", "key", "service")} == {"ok"}
    assert "APIFRAME_API_KEY" in checks["key"]["finding"]
    assert "1000 credits" in checks["service"]["finding"]


def test_doctor_never_shows_the_key(terminal: Terminal) -> None:
    stranger = type(terminal)(terminal.folder, {**terminal.environ, "APIFRAME_API_KEY": "sk-secret-9"})
    ended = stranger.type("doctor")
    assert ended.code == 3
    assert "sk-secret-9" not in ended.out + ended.err
    assert "Wrong: service" in ended.err


def test_doctor_names_a_missing_key_and_still_looks_at_the_rest(bare: Terminal) -> None:
    ended = bare.type("doctor")
    assert ended.code == 3
    assert "flux-nodes login" in ended.out
    assert "journal\tok" in ended.out


def test_doctor_tells_where_a_stored_key_is(terminal: Terminal) -> None:
    keyless = without_key(terminal)
    keyless.type("login", stdin="sandbox")
    assert str(settings_file(terminal)) in keyless.type("doctor").out


def test_doctor_survives_settings_that_cannot_be_used(bare: Terminal) -> None:
    stranger = type(bare)(bare.folder, {"FLUX_NODES_TIMEOUT": "soon"})
    ended = stranger.type("doctor")
    assert ended.code == 3
    assert "FLUX_NODES_TIMEOUT" in ended.out
    assert "python\tok" in ended.out


def test_doctor_names_a_home_that_cannot_be_used(bare: Terminal, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    stranger = type(bare)(bare.folder, {"FLUX_NODES_HOME": str(tmp_path / "file")})
    ended = stranger.type("doctor")
    assert ended.code == 3
    assert "wrong" in ended.out
    assert str(tmp_path / "file") in ended.out


def test_doctor_is_well_on_the_sandbox_without_any_key(bare: Terminal) -> None:
    assert bare.type("doctor", "--sandbox").code == 0


def test_help_says_that_a_seed_is_random_when_it_is_left_out(bare: Terminal) -> None:
    (words,) = [
        entry for entry in bare.type("generate", "--help").out.split("\n  --") if entry.startswith("seed INTEGER")
    ]
    assert "Chosen at random when it is left out." in " ".join(words.split())
    assert "usual value" not in words
