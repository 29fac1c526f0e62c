"""The scripts on the pages run as they stand, without a key as the pages say."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flux_nodes.core.errors import MissingKey
from flux_nodes.sandbox import Sandbox, serving

REPOSITORY = Path(__file__).parents[2]


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
