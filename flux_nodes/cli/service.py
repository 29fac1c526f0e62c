"""Which service a command speaks to: the one that is set up, or the sandbox, served here for as long as it runs."""

from __future__ import annotations

import functools
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..core.settings import Settings

sandbox_option = click.option(
    "--sandbox", is_flag=True, help="Use the service pretended on this machine: no key, no cost, marked pictures."
)


def with_service(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command `--sandbox`, and the settings of the service that is meant as its argument `settings`."""

    @sandbox_option
    @functools.wraps(command)
    def run(*, sandbox: bool, **options: Any) -> int:
        with service(sandbox=sandbox) as settings:
            return command(settings=settings, **options)

    return run


@contextmanager
def service(*, sandbox: bool, asks: bool = True) -> Iterator[Settings]:
    """Give the settings of the service that is meant; a command that `asks` nothing of it needs no address.

    Raises InvalidSettings, StorageError.
    """
    from ..core.settings import Settings  # pydantic loads when a command needs settings, not before

    settings = Settings.load(needs_service=asks and not sandbox)
    if not sandbox:
        yield settings
        return
    with _served(settings.home) as url:
        yield settings.pretended(url)


@contextmanager
def _served(home: Path) -> Iterator[str]:
    import sqlite3

    from ..sandbox import keeping

    with ExitStack() as served:
        try:
            url = served.enter_context(keeping(home))
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"The sandbox cannot keep its state in {home} ({error}). Set FLUX_NODES_HOME."
            ) from error
        yield url
