"""Make this repository what its users get: a copy of what a clone would hold."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# ComfyUI names a pack after its folder; this is the name that cloning gives it.
NAME = "flux-nodes"


def copy_clone(source: Path, target: Path) -> None:
    """Copy the files of a work tree that git holds, or would hold after `git add --all`."""
    for name in _names(source):
        file = source / name
        if file.is_file() or file.is_symlink():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target / name, follow_symlinks=False)


def _names(source: Path) -> list[str]:
    command = ["git", "-C", str(source), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [name for name in listing.split("\0") if name]
