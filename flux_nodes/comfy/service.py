"""Which service ComfyUI speaks to: the one that is set up, or the sandbox while its switch is on.

The switch is ComfyUI's own, kept beside the settings: the terminal and the assistant never look at it.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import json
import os
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ..core.settings import Settings

Key = Literal["environment", "stored", "missing"]
"""Where the API key of the service that is set up comes from."""

FILE = "comfyui.json"
"""The file of the switch in the home: one JSON object, `{"sandbox": true}`."""

_MOST_BYTES = 2**16
_REQUIREMENTS = Path(__file__).parents[2] / "requirements.txt"

_MEND = "Turn the sandbox on or off in ComfyUI's settings (Flux Nodes), or delete the file."

_served: dict[Path, str] = {}
_turn = threading.Lock()


async def settings() -> Settings:
    """Return the settings that nodes run by: while the switch is on, they lead to the sandbox, which is served here.

    It is served once in this process, from a thread of its own, until the process ends; its state is kept in the home.
    Callable from any event loop. Raises InvalidSettings, StorageError.
    """
    return await asyncio.to_thread(_settings, serve=True)


async def settings_to_look() -> Settings:
    """Return the same settings for looking into the journal only: no sandbox is served, its address leads nowhere."""
    return await asyncio.to_thread(_settings, serve=False)


def mark() -> str:
    """Mark the service that nodes run by: what was made by another is not its result. Blocks for a moment.

    ComfyUI writes it into images, so it is a digest: an address may be nobody else's business.
    """
    from ..core.errors import FluxNodesError

    try:
        name = _settings(serve=False).service_name
    except FluxNodesError as error:
        name = str(error)  # the node itself says so when it runs
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def set_up() -> Settings:
    """Read the settings as they are without the switch. Blocks. Raises InvalidSettings."""
    from ..core.settings import Settings  # pydantic and the HTTP client load when they are asked for, not at start-up

    return Settings.load()


def key_of(settings: Settings) -> Key:
    """Tell where the key of settings that are set up comes from."""
    from ..core.settings import ENVIRONMENT

    if os.environ.get(ENVIRONMENT["api_key"]):
        return "environment"
    return "missing" if settings.api_key is None else "stored"


def is_switched_on(home: Path) -> bool:
    """Tell how the switch stands. Blocks. Raises InvalidSettings when its file cannot be read as one."""
    from ..core.errors import InvalidSettings

    switch = _document(home).get("sandbox", False)
    if isinstance(switch, bool):
        return switch
    # Neither guess is right: the one would pay, the other would draw what nobody asked for.
    raise InvalidSettings(f"{home / FILE} does not say whether the sandbox is on. {_MEND}")


def switch(home: Path, *, on: bool) -> None:
    """Turn the switch; on, only once the sandbox is up. Blocks. Raises InvalidSettings, StorageError, OSError."""
    from ..core.errors import InvalidSettings
    from ..core.store import write_whole

    if on:
        _address(home)
    try:
        document = _document(home)
    except InvalidSettings:
        document = {}  # turning the switch is how a broken file is mended
    write_whole(home / FILE, json.dumps({**document, "sandbox": on}, indent=2).encode())


def _settings(*, serve: bool) -> Settings:
    from ..core.settings import Settings

    found = Settings.load(needs_service=False)  # the sandbox does without the service's address
    if not is_switched_on(found.home):
        return set_up()
    return found.pretended(_address(found.home) if serve else found.base_url)


def _document(home: Path) -> dict[str, Any]:
    from ..core.errors import InvalidSettings

    file = home / FILE
    try:
        with file.open("rb") as opened:
            document = json.loads(opened.read(_MOST_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidSettings(f"{file} cannot be read ({type(error).__name__}). {_MEND}") from error
    if not isinstance(document, dict):
        raise InvalidSettings(f"{file} holds no JSON object. {_MEND}")
    return document


def _address(home: Path) -> str:
    """Return the sandbox's address; serve it first where nobody has."""
    with _turn:
        if home not in _served:
            _served[home] = _serve(home)
        return _served[home]


def _serve(home: Path) -> str:
    import sqlite3

    from ..core.errors import InvalidSettings, StorageError

    served = ExitStack()
    try:
        from ..sandbox import keeping

        url = served.enter_context(keeping(home))
    except ModuleNotFoundError as error:
        raise InvalidSettings(
            f"The sandbox needs the package {error.name}, which ComfyUI's Python lacks. Install it and restart "
            f'ComfyUI: "{sys.executable}" -m pip install -r "{_REQUIREMENTS}"'
        ) from error
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"The sandbox cannot keep its state in {home} ({error}). Set FLUX_NODES_HOME.") from error
    atexit.register(served.close)
    return url
