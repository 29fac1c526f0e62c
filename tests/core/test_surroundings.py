"""Homes, variables and folders as people have them: what is wrong is one sentence, and nothing is shared or shown."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flux_nodes.core import Generations, ImagineRequest, Settings
from flux_nodes.core.errors import InvalidSettings, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURE = ImagineRequest(model="flux-schnell", prompt="a fox", width=256, height=256, seed=1)
NOBODY = 65_534

only_posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other rights and other names for homes")


@pytest.mark.parametrize(
    "value",
    [
        "https://:hidden@example.com",
        "https://hidden@example.com",
        "https://me:hidden@example.com",
        "https://@example.com/hidden",
        "https://me:hid℀den@example.com",
        "https://127.0.0.1:abc",
        "https://127.0.0.1:99999",
        "https://127.0.0.1:0",
        "https://[::1",
        "https://exa mple.com",
        "https://example.com\\@hidden",
        "https://hidden%40example.com",
        "https://example..com",
        "https://" + "a" * 64 + ".com",
        "https:hidden@example.com",
        "//hidden@example.com",
        "https://example.com?",
        "https://example.com#",
        "https://",
        "https://?hidden",
        "nonsense",
    ],
)
def test_a_base_url_that_cannot_be_used_is_refused_unprinted(tmp_path: Path, value: str) -> None:
    with pytest.raises(InvalidSettings, match="APIFRAME_BASE_URL") as caught:
        Settings.load({"FLUX_NODES_HOME": str(tmp_path), "APIFRAME_BASE_URL": value})
    assert "hid" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    ["https://api.example.com", "https://api.example.com:8443/v1/", "https://[2001:db8::1]:8443", "http://[::1]:9"],
)
def test_a_plain_base_url_is_taken(tmp_path: Path, value: str) -> None:
    assert Settings.load({"FLUX_NODES_HOME": str(tmp_path), "APIFRAME_BASE_URL": value}).base_url


@pytest.mark.parametrize("value", ["https://[::1", "https://h:abc/", "https://me:hid℀den@example.com", "https://h:0"])
def test_a_webhook_address_that_cannot_be_used_is_refused_unprinted(tmp_path: Path, value: str) -> None:
    secret = {"FLUX_NODES_WEBHOOK_SECRET": "0123456789abcdef"}
    with pytest.raises(InvalidSettings, match="FLUX_NODES_WEBHOOK_URL") as caught:
        Settings.load({"FLUX_NODES_HOME": str(tmp_path), "FLUX_NODES_WEBHOOK_URL": value, **secret})
    assert "hid" not in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"timeout": ' + "[" * 100_000, "[" * 100_000 + "]" * 100_000, "\x00"])
def test_a_settings_file_of_any_depth_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(InvalidSettings, match=r"settings\.json"):
        Settings.load({"FLUX_NODES_HOME": str(tmp_path)})


@only_posix
def test_a_home_of_a_user_that_there_is_not_is_named() -> None:
    with pytest.raises(InvalidSettings, match="FLUX_NODES_HOME"):
        Settings.load({"FLUX_NODES_HOME": "~nobody-here/x"})


@only_posix
def test_a_user_without_a_name_and_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987_654)
    with pytest.raises(InvalidSettings, match="set FLUX_NODES_HOME"):
        Settings.load({})


@only_posix
def test_a_home_beside_a_working_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert Settings.load({"FLUX_NODES_HOME": str(tmp_path)}).home == tmp_path
    with pytest.raises(InvalidSettings, match="FLUX_NODES_HOME"):
        Settings.load({"FLUX_NODES_HOME": "here"})


@pytest.mark.parametrize(
    "name",
    [
        "w?one",
        "w#one",
        "w%20one",
        "w%3Fone",
        "w one",
        "wöne",
        "w;one&two=3",
        "file:one",
        ":memory:",
        "w@1:2",
        "w'\"one",
    ],
)
async def test_a_journal_is_in_its_home_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    if os.name == "nt" and set(name) & set('?:"'):
        pytest.skip("no name for a folder there")
    home = tmp_path / name
    async with Generations.open(Settings.load({"FLUX_NODES_HOME": str(home)}), door="test") as generations:
        assert await generations.recent() == []
    assert (home / "journal.sqlite3").is_file()
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208 - an async test may not walk a Path


@contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """Take the right to write away from everybody, root as well."""
    places = [folder, *folder.rglob("*")]
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)
        for place in places:
            place.chmod(0o755 if place.is_dir() else 0o644)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, which pytest's own is not."""
    made = Path(tempfile.mkdtemp(prefix="flux-nodes-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@only_posix
@pytest.mark.parametrize("name", ["home", "h?ome 100%"])
async def test_what_is_stored_can_be_looked_up_and_read_in_a_home_that_cannot_be_written(
    settings: Settings, open_folder: Path, name: str
) -> None:
    there = settings.model_copy(update={"home": open_folder / name})
    async with Generations.open(there, door="test") as generations:
        known = await generations.wait((await generations.start(PICTURE)).id)
    with without_rights(there.home):
        async with Generations.open(there, door="test") as generations:
            assert [each.id for each in await generations.recent()] == [known.id]
            assert (await generations.refresh(known.id)).status == "stored"
            assert await generations.data(await generations.wait(known.id))
            with pytest.raises(
                StorageError, match=r"(readonly|cannot be written).* Nothing was sent, nothing was paid\.$"
            ):
                await generations.start(PICTURE, fresh=True)
    assert sorted(each.name for each in there.home.iterdir() if each.is_file()) == ["journal.sqlite3"]


@only_posix
async def test_a_home_that_cannot_be_made_is_one_sentence(open_folder: Path) -> None:
    with without_rights(open_folder), pytest.raises(StorageError, match="cannot be made"):
        async with Generations.open(Settings.load({"FLUX_NODES_HOME": str(open_folder / "home")}), door="test"):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="made of what Linux has")
async def test_a_home_where_nothing_can_be_is_one_sentence() -> None:
    for home in ("/proc/none/here", "/dev/null", "/dev/null/here"):
        with pytest.raises((StorageError, InvalidSettings)):
            async with Generations.open(Settings.load({"FLUX_NODES_HOME": home}), door="test"):
                pass


@only_posix
def test_a_server_of_an_assistant_starts_without_a_home_and_in_a_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mcp_server.server import _working_folder

    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987_654)
    assert _working_folder() == (gone,)
    gone.rmdir()
    assert _working_folder() == ()
