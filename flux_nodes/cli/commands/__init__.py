"""The commands, one subject a module. None imports at its head what only running it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .account import account, login
from .confirm import confirm
from .doctor import doctor
from .generate import generate
from .journal import list_, status
from .models import models
from .resume import resume
from .retry import retry
from .servers import mcp, sandbox
from .verify import verify
from .wait import wait
from .workflow import check, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    import click

COMMANDS: Mapping[str, tuple[click.Command, ...]] = {
    "Images": (generate, wait, resume, retry, confirm, status, list_, verify),
    "Workflows": (run, check),
    "Look-ups": (models, account),
    "Setting up": (login, doctor),
    "Servers": (sandbox, mcp),
}
"""Every command, by the section of the help that it stands in."""
