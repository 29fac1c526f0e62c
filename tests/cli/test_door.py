from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from flux_nodes.cli.door import door

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal

HEAVY = ["pydantic", "httpx2", "numpy", "PIL", "sqlalchemy", "rich", "starlette", "uvicorn", "mcp", "asyncio"]
# Small each, and together a fifth of the start: sockets, and OpenSSL by way of hashlib.
HEAVY += ["socket", "secrets", "tempfile", "_hashlib"]


def loaded_after(code: str, terminal: Terminal) -> set[str]:
    program = f"{code}\nimport sys; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=terminal.environment(), capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def test_importing_the_package_of_the_terminal_loads_nothing_else(bare: Terminal) -> None:
    assert not loaded_after("import flux_nodes.cli", bare) & {*HEAVY, "click"}


def test_help_of_any_command_loads_nothing_heavy(bare: Terminal) -> None:
    typed = "from flux_nodes.cli.door import door\n" + "".join(
        f"try: door.main([*{words!r}, '--help'])\nexcept SystemExit: pass\n"
        for words in [[], *([name] for name in door.commands)]
    )
    assert not loaded_after(typed, bare) & set(HEAVY)


@pytest.mark.parametrize("name", sorted(door.commands))
def test_every_command_explains_itself_and_each_of_its_options(bare: Terminal, name: str) -> None:
    ended = bare.type(name, "--help")
    assert ended.code == 0
    for parameter in door.commands[name].params:
        if parameter.param_type_name == "option":
            assert parameter.opts[-1] in ended.out
            assert getattr(parameter, "help", None)


def test_the_help_names_every_command_with_a_whole_sentence(bare: Terminal) -> None:
    out = bare.type("--help").out
    assert all(f"  {name} " in out for name in door.commands)
    assert out.count("...") == out.count("[ARGS]...")


def test_a_command_that_there_is_not_is_bad_input(bare: Terminal) -> None:
    assert bare.type("genrate").code == 2


def test_the_version_is_told(bare: Terminal) -> None:
    ended = bare.run("--version")
    assert ended.code == 0
    assert ended.out.startswith("flux-nodes, version ")


def test_settings_that_cannot_be_used_are_told_of_in_a_sentence(bare: Terminal) -> None:
    stranger = type(bare)(bare.folder, {"APIFRAME_BASE_URL": "ftp://example.com"})
    ended = stranger.type("account", "--json")
    assert ended.code == 2
    assert ended.document["error"]["type"] == "InvalidSettings"
    assert "APIFRAME_BASE_URL" in ended.err


def test_a_reader_that_goes_away_is_no_error(bare: Terminal) -> None:
    process = bare.start("models", "--parameters")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")


def test_a_stream_that_only_knows_ascii_does_not_end_the_program(terminal: Terminal) -> None:
    terminal.type("generate", "ein Fuchs 狐 im Schnee ×", "--no-wait")
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    rows = terminal.run("list", environ=ascii_only)
    assert rows.code == 0
    assert "\\u72d0" in rows.out
    document = terminal.run("list", "--json", environ=ascii_only)
    assert json.loads(document.out)["generations"][0]["prompt"] == "ein Fuchs 狐 im Schnee ×"


@pytest.mark.skipif(os.name == "nt", reason="Windows gives arguments as text")
def test_a_prompt_that_is_no_text_is_bad_input_and_can_be_told_of(terminal: Terminal) -> None:
    done = subprocess.run(
        [os.fsencode(sys.executable), b"-m", b"flux_nodes", b"generate", b"fox \xff"],
        env=terminal.environment(),
        cwd=terminal.folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"prompt" in done.stderr
