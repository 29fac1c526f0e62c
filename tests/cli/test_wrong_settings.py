"""Settings that are wrong: one sentence with the exit code 2, for the commands that need them and for no other."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import LONGEST, SMALL, Terminal

OF_THE_NETWORK = {
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "HTTPS_PROXY": "127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:abc",
    "SSL_CERT_FILE": "/none.pem",
    "SSL_CERT_DIR": "/none",
    "APIFRAME_BASE_URL": "https://127.0.0.1:abc",
}


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no folder that somebody works in")
def test_a_working_folder_that_is_gone_is_told_as_such_before_anything_is_paid(terminal: Terminal) -> None:
    graph = Path(__file__).parents[2] / "workflows" / "text_to_image.json"
    code = (
        "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); "
        f"from flux_nodes.cli import main; sys.argv[1:] = ['run', {str(graph)!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],  # an installed command does not look for modules where it stands
        cwd=terminal.folder,
        env=terminal.environment(),
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode == 2
    assert "is in the folder ., which is not there any more" in done.stderr


@pytest.fixture(autouse=True)
def no_certificates_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", OF_THE_NETWORK)
def test_a_wrong_setting_of_the_network_ends_what_needs_it_and_nothing_else(folder: Path, name: str) -> None:
    wrong = Terminal(folder, {name: OF_THE_NETWORK[name], "APIFRAME_API_KEY": "a-key"})
    for command in (["generate", "fox", "--seed", "1"], ["account"]):
        ended = wrong.type(*command)
        assert (ended.code, ended.out, ended.err.count("Error:")) == (2, "", 1)
        assert name in ended.err
    doctor = wrong.type("doctor", "--json")
    assert any(check["state"] == "wrong" and name in check["finding"] for check in doctor.document["checks"])
    assert wrong.type("generate", "fox", *SMALL, "--sandbox").code == 0
    assert wrong.type("list").code == 0
    assert wrong.type("models").code == 0


@pytest.mark.parametrize("value", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "http://nobody..invalid", "a b"])
@pytest.mark.parametrize("environ", [{}, {"APIFRAME_API_KEY": "a-key"}], ids=["without a key", "with a key"])
def test_doctor_finds_a_proxy_that_is_not_there(folder: Path, value: str, environ: dict[str, str]) -> None:
    doctor = Terminal(folder, {"HTTPS_PROXY": value, **environ}).type("doctor", "--json")
    (proxy,) = [check for check in doctor.document["checks"] if check["check"] == "proxy"]
    assert (doctor.code, proxy["state"]) == (3, "wrong")
    assert "HTTPS_PROXY" in proxy["finding"]


def test_doctor_finds_a_proxy_that_takes_connections_and_hides_its_password(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = f"127.0.0.1:{listening.getsockname()[1]}"
        doctor = Terminal(folder, {"HTTPS_PROXY": f"http://user:canary@{place}"}).type("doctor")
    assert f"proxy\tok\thttp://{place}, from HTTPS_PROXY, takes connections" in doctor.out
    assert "canary" not in doctor.out + doctor.err


@pytest.mark.skipif(os.name == "nt", reason="homes have other names there")
def test_a_home_that_cannot_be_is_one_sentence_for_what_needs_it(folder: Path) -> None:
    wrong = Terminal(folder, {"FLUX_NODES_HOME": "~nobody-here/x"})
    for command in (["list"], ["generate", "fox", "--sandbox"], ["status", "g-1"]):
        ended = wrong.type(*command)
        assert (ended.code, ended.out, ended.err.count("Error:")) == (2, "", 1)
        assert "FLUX_NODES_HOME" in ended.err
    assert wrong.type("models").code == 0


def test_a_settings_file_of_any_depth_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "settings.json").write_text("[" * 100_000)
    for command in (["list"], ["generate", "fox", "--sandbox"], ["account"]):
        ended = Terminal(folder).type(*command)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        assert "settings.json" in ended.err


@pytest.mark.parametrize("command", [["account"], ["list"], ["doctor"], ["generate", "fox"], ["status", "g-1"]])
def test_a_secret_in_the_base_url_is_never_printed(folder: Path, command: list[str]) -> None:
    wrong = Terminal(folder, {"APIFRAME_BASE_URL": "https://:canary@example.com", "APIFRAME_API_KEY": "a-key"})
    ended = wrong.type(*command)
    assert "canary" not in ended.out + ended.err
    assert ended.code == {"list": 0, "doctor": 3}.get(command[0], 2)
