from __future__ import annotations

import json
import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from flux_nodes.core import Settings
from flux_nodes.core.errors import InvalidSettings

if TYPE_CHECKING:
    from pathlib import Path


def test_without_anything_set_the_service_itself_is_meant_and_there_is_no_key(tmp_path: Path) -> None:
    settings = Settings.load({"FLUX_NODES_HOME": str(tmp_path)})
    assert settings.api_key is None
    assert settings.base_url == "https://api.apiframe.pro"
    assert settings.service_name == "https://api.apiframe.pro"
    assert str(settings.journal_url) == f"sqlite:///{tmp_path / 'journal.sqlite3'}"


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"api_key": "from-file", "timeout": 5}))
    spoken = {"FLUX_NODES_HOME": str(tmp_path), "APIFRAME_API_KEY": " from-env\n"}
    settings = Settings.load(spoken)
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "from-env"
    assert settings.timeout == 5


def test_a_stored_key_is_found_again_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    spoken = {"FLUX_NODES_HOME": str(tmp_path)}
    (tmp_path / "settings.json").write_text('{"timeout": 5}')
    file = Settings.load(spoken).store_key("a-key")
    again = Settings.load(spoken)
    assert again.api_key is not None
    assert (again.api_key.get_secret_value(), again.timeout) == ("a-key", 5)
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("key", ["", "  ", "two words", "schlüssel", "a\nb"])
def test_what_cannot_be_a_key_is_not_stored(tmp_path: Path, key: str) -> None:
    with pytest.raises(InvalidSettings, match="nothing was stored"):
        Settings.load({"FLUX_NODES_HOME": str(tmp_path)}).store_key(key)
    assert not (tmp_path / "settings.json").exists()


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    settings = Settings.load({"FLUX_NODES_HOME": str(tmp_path), "APIFRAME_API_KEY": "canary-key"})
    assert "canary" not in f"{settings!r}{settings}{settings.model_dump()}{settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("APIFRAME_BASE_URL", "http://api.example.com", "https"),
        ("APIFRAME_BASE_URL", "ftp://api.example.com", "http"),
        ("APIFRAME_BASE_URL", "https://user:pw@api.example.com", "address"),
        ("APIFRAME_API_KEY", "two words", "APIFRAME_API_KEY"),
        ("FLUX_NODES_TIMEOUT", "soon", "FLUX_NODES_TIMEOUT"),
        ("FLUX_NODES_TIMEOUT", "0", "FLUX_NODES_TIMEOUT"),
        ("FLUX_NODES_MAX_IMAGE_MIB", "0", "FLUX_NODES_MAX_IMAGE_MIB"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_without_its_value(
    tmp_path: Path, name: str, value: str, word: str
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.load({"FLUX_NODES_HOME": str(tmp_path), name: value})
    assert name in str(caught.value)
    assert word in str(caught.value)
    assert "two words" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"api_kee": "x"}', '"key"'])
def test_a_settings_file_that_cannot_be_used_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(InvalidSettings, match=r"settings\.json"):
        Settings.load({"FLUX_NODES_HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{,}", "line 1, column 2 is no JSON"),
        (b'{"budget": "\xff"}', "it is no text in UTF-8"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"budget": ' + b"9" * 5_000 + b"}", "it holds a number with too many digits"),
    ],
)
def test_a_settings_file_that_cannot_be_read_says_why_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "settings.json"
    file.write_bytes(content)
    with pytest.raises(InvalidSettings) as caught:
        Settings.load({"FLUX_NODES_HOME": str(tmp_path)})
    assert str(caught.value) == f"The settings file {file} cannot be read: {words}. Allowed: one JSON object."


@pytest.mark.skipif(os.name == "nt", reason="Windows calls it a file that there is not")
def test_a_home_that_is_a_file_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(InvalidSettings, match="FLUX_NODES_HOME names a file, or leads through one; it takes a folder"):
        Settings.load({"FLUX_NODES_HOME": str(tmp_path / "home")})


def test_plain_http_is_allowed_to_this_machine(tmp_path: Path) -> None:
    spoken = {"FLUX_NODES_HOME": str(tmp_path), "APIFRAME_BASE_URL": "http://127.0.0.1:8188/"}
    assert Settings.load(spoken).base_url == "http://127.0.0.1:8188"


def test_a_key_is_forgotten_and_the_rest_of_the_file_stays(tmp_path: Path) -> None:
    spoken = {"FLUX_NODES_HOME": str(tmp_path)}
    Settings.load(spoken).forget_key()
    assert not (tmp_path / "settings.json").exists()
    (tmp_path / "settings.json").write_text('{"timeout": 5}')
    Settings.load(spoken).store_key("canary-key")
    file = Settings.load(spoken).forget_key()
    assert "canary" not in file.read_text()
    assert (Settings.load(spoken).api_key, Settings.load(spoken).timeout) == (None, 5)


def test_settings_led_to_a_sandbox_keep_everything_else(tmp_path: Path) -> None:
    loaded = Settings.load({"FLUX_NODES_HOME": str(tmp_path), "APIFRAME_API_KEY": "canary-key"})
    pretended = loaded.pretended("http://127.0.0.1:9")
    assert (pretended.base_url, pretended.service_name, pretended.home) == ("http://127.0.0.1:9", "sandbox", tmp_path)
    assert pretended.api_key is not None
    assert "canary" not in pretended.api_key.get_secret_value()
