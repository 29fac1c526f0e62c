"""`flux-nodes account` and `flux-nodes login`: who pays, and with which key."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from ...core.errors import InvalidSettings, StorageError
from ...core.money import left
from ..exits import DONE
from ..options import json_option
from ..screen import is_terminal, say, write_json, write_pairs
from ..service import with_service

if TYPE_CHECKING:
    from pathlib import Path

    from ...core.settings import Settings
    from ...core.task import Account


@click.command()
@json_option
@with_service
def account(*, as_json: bool, settings: Settings) -> int:
    """Show the credits that are left."""
    from ..ctrl_c import carry_out

    found = carry_out(_account(settings))
    if as_json:
        write_json(found.model_dump())
    else:
        write_pairs(_facts(found))
    return DONE


async def _account(settings: Settings) -> Account:
    from ...core.generations import Generations

    async with Generations.open(settings, door="terminal") as generations:
        return await generations.account()


def _facts(found: Account) -> list[tuple[str, str]]:
    parts = [
        f"{amount:g} {origin}"
        for amount, origin in ((found.subscription_credits, "subscription"), (found.topup_credits, "top-up"))
        if amount is not None
    ]
    facts = [
        ("credits", f"{found.credits:g}" + (f" ({', '.join(parts)})" if parts else "")),
        ("plan", found.plan),
        ("email", found.email),
        ("images", str(found.total_images)),
        ("next billing", found.next_billing_date or ""),
    ]
    return [(name, value) for name, value in facts if value]


@click.command()
@click.option("--no-check", is_flag=True, help="Store the key without asking the service whether it knows it.")
def login(*, no_check: bool) -> int:
    """Store the API key.

    It goes to the settings file, readable by you only. The key is asked for without showing it; piped in, it is
    read from standard input.
    """
    from ..ctrl_c import carry_out

    settings = _with_asked_key()
    credits_left = None if no_check else carry_out(_account(settings)).credits
    file = _stored(settings)
    readers = "" if os.name == "nt" else ", readable by you only (mode 0600)"
    say(f"The key is stored in {file}{readers}.", to_stdout=True)
    if credits_left is not None:
        say(f"The service knows it: {left(credits_left)}.", to_stdout=True)
    if os.environ.get("APIFRAME_API_KEY"):
        say("APIFRAME_API_KEY is set in this environment and goes before the stored key.")
    return DONE


def _asked_key() -> str:
    if is_terminal(sys.stdin):
        asked: str = click.prompt("APIFRAME API key", hide_input=True, err=True)
        return asked.strip()
    try:
        return sys.stdin.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        kind = type(error).__name__  # no more of it: a UnicodeDecodeError holds what was read
    raise InvalidSettings(f"No key can be read from standard input ({kind}); nothing was stored.")


def _with_asked_key() -> Settings:
    from pydantic import SecretStr

    from ...core.settings import Settings

    key = SecretStr(_asked_key())  # from here on nothing shows it
    if not key:
        raise InvalidSettings("No key was given; nothing was stored.")
    return Settings.load({**os.environ, "APIFRAME_API_KEY": key.get_secret_value()})


def _stored(settings: Settings) -> Path:
    assert settings.api_key is not None  # noqa: S101 - a key was given; this tells the type checker
    try:
        return settings.store_key(settings.api_key)
    except OSError as error:
        raise StorageError(f"The key could not be stored in {settings.home}: {error.strerror}.") from error
