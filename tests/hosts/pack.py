"""Make this repository what its users get: a clone of it, or what the Comfy registry would give them."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# ComfyUI names a pack after its folder; this is the name that cloning gives it, and the registry.
NAME = "flux-nodes"

_WORK_TREE = ("--cached", "--others")
_IGNORED_BY_THE_REGISTRY = ".comfyignore"


def copy_clone(source: Path, target: Path) -> None:
    """Copy the files of a work tree that git holds, or would hold after `git add --all`."""
    for name in _names(source):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, target / name, follow_symlinks=False)


def unpack_registry_zip(source: Path, target: Path) -> None:
    """Put in `target` what an installation from the Comfy registry has.

    The registry's tool, comfy-cli, zips the files that git holds, less those that the patterns of `.comfyignore` match;
    these are patterns as in a `.gitignore`, so git itself is asked (the two differ in what `!` brings back only).
    """
    archive = target.with_suffix(".zip")
    left_out = {*_ignored(source)}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name in _names(source):
            if name not in left_out:
                file.write(source / name, name)
    with zipfile.ZipFile(archive) as file:
        file.extractall(target)


def _names(source: Path) -> list[str]:
    # What is deleted and not yet committed is still listed.
    return [name for name in _listed(source, "--exclude-standard") if (source / name).is_file()]


def _ignored(source: Path) -> list[str]:
    patterns = source / _IGNORED_BY_THE_REGISTRY
    return _listed(source, "--ignored", f"--exclude-from={patterns}") if patterns.exists() else []


def _listed(source: Path, *options: str) -> list[str]:
    command = ["git", "-C", str(source), "ls-files", "-z", *_WORK_TREE, *options]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [name for name in listing.split("\0") if name]
