"""The scripts on the pages run as they stand, without a key as the pages say."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flux_nodes.core.errors import MissingKey
from flux_nodes.sandbox import Sandbox, serving
from tests.cli.terminal import SMALL, Terminal

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def terminal(tmp_path: Path, url: str) -> Terminal:
    """A terminal beside a sandbox."""
    (tmp_path / "work").mkdir()
    return Terminal(tmp_path / "work", {"APIFRAME_BASE_URL": url, "APIFRAME_API_KEY": "sandbox"})


def script(page: str) -> str:
    (found,) = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return str(found)


def run(code: str) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, "script.py", "exec", dont_inherit=True), names)  # noqa: S102 # the page's own script


def test_the_script_of_the_readme_runs_beside_a_sandbox(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(Sandbox(seconds=0)) as sandbox, serving(sandbox) as server:
        monkeypatch.setenv("APIFRAME_BASE_URL", server.url)
        monkeypatch.setenv("APIFRAME_API_KEY", "sandbox")
        run(script("README.md"))
    assert Path(capsys.readouterr().out.splitlines()[-1]).is_file()


def test_the_script_that_serves_its_own_sandbox_runs_without_a_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("APIFRAME_API_KEY", raising=False)
    run(script("docs/python.md"))
    assert Path(capsys.readouterr().out.splitlines()[-1]).is_file()


def test_a_script_without_a_key_is_told_how_a_script_uses_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APIFRAME_API_KEY", raising=False)
    with pytest.raises(MissingKey, match=r"in a script, run `flux-nodes sandbox` and set APIFRAME_BASE_URL"):
        run(script("README.md"))


@pytest.fixture
def backup() -> str:
    """The script that backs the journal up."""
    page = (REPOSITORY / "docs" / "reliability.md").read_text("utf-8")
    (found,) = re.findall(r"^python3 - <<'END'\n(.*?)^END$", page, re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_journal_is_backed_up_from_any_folder_as_often_as_one_likes(
    backup: str, terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    id_ = terminal.type("generate", "a fox", *SMALL, "--json").document["id"]
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        run(backup)
    copies = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(tmp_path.glob("flux-nodes-journal-*")) == sorted(copies)
    assert len(copies) == 2

    (tmp_path / "restored").mkdir()
    copies[0].rename(tmp_path / "restored" / "journal.sqlite3")
    restored = Terminal(tmp_path, {**terminal.environ, "FLUX_NODES_HOME": str(tmp_path / "restored")})
    assert [each["id"] for each in restored.type("list", "--json").document["generations"]] == [id_]
    (collected,) = restored.type("resume", "--json").document["generations"]
    assert Path(collected["original"]).is_file(), "an image that was not backed up is collected again"


def test_without_a_journal_the_backup_says_so_and_makes_nothing(
    backup: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="There is no journal"):
        run(backup)
    assert list(tmp_path.iterdir()) == []
