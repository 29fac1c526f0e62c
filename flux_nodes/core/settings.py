"""Settings: the environment first, then the settings file, then defaults. Read when asked, never on import."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import SplitResult, urlsplit

import httpx2
from platformdirs import user_data_path
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from .client import BASE_URL
from .errors import InvalidSettings
from .service_name import service_name
from .store import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import URL

ENVIRONMENT = {
    "api_key": "APIFRAME_API_KEY",
    "base_url": "APIFRAME_BASE_URL",
    "home": "FLUX_NODES_HOME",
    "journal": "FLUX_NODES_JOURNAL",
    "timeout": "FLUX_NODES_TIMEOUT",
    "webhook_url": "FLUX_NODES_WEBHOOK_URL",
    "webhook_secret": "FLUX_NODES_WEBHOOK_SECRET",
    "budget": "FLUX_NODES_BUDGET",
    "max_image_mib": "FLUX_NODES_MAX_IMAGE_MIB",
    "max_image_megapixels": "FLUX_NODES_MAX_IMAGE_MEGAPIXELS",
    "allowed_hosts": "FLUX_NODES_ALLOWED_HOSTS",
}
"""Which variable of the environment sets which field."""

FILE = "settings.json"
"""The settings file in the home: one JSON object with the fields of Settings."""

PRETENDED = "sandbox"
"""The key that a sandbox takes, and the name of the service that it pretends to be."""

_MOST_BYTES = 2**20
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _web_address(value: str) -> str:
    parts = _parts(value)
    # Told apart by signs and not by what parsers make of them: `https://:word@host` has no user name.
    if parts is None or "@" in parts.netloc or _NEVER_IN_AN_ADDRESS.search(value):
        raise ValueError("is no plain http or https address")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("would send the key unencrypted: http is for this machine (localhost) only, use https")
    return value.rstrip("/")


def _public_address(value: str) -> str:
    if _parts(value) is None:
        raise ValueError("is no http or https address")
    return value


_NEVER_IN_AN_ADDRESS = re.compile(r"[\s\\?#\x00-\x1f\x7f]")
_HOST = re.compile(r"([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?|\[?[0-9a-f:.]+\]?")


def _parts(value: str) -> SplitResult | None:
    """Take an http or https address apart; None for what is none: no error may repeat it, for it may hold a secret."""
    try:
        parts, url = urlsplit(value), httpx2.URL(value)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except (ValueError, httpx2.InvalidURL):
        return None
    return parts if known and _HOST.fullmatch(url.raw_host.decode("ascii", "replace")) else None


def _key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("holds characters that no key has")
    return SecretStr(text)


def _header_text(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isascii() or not text.isprintable() or text != text.strip():
        raise ValueError(
            "cannot be sent as a header: allowed are printable ASCII characters, with no space around them"
        )
    return value


def _host_names(value: object) -> object:
    """Split a text of host names with commas or spaces between."""
    names = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(names, list | frozenset) or not all(isinstance(name, str) for name in names):
        raise ValueError("is no list of host names")
    return frozenset(name.lower().removesuffix(".") for name in names)


class Settings(BaseModel):
    """Everything that can be set.

    `service` names whose tasks a journal row belongs to: the base URL, unless told otherwise (`service_name`).

    `webhook_url` is where the service can reach a WebhookReceiver. `timeout` is how long a door waits for
    generations, in seconds; `budget` the most credits that all doors together spend on a day (UTC);
    `max_image_mib` and `max_image_megapixels` (millions of pixels, at most the 64 that are ever decoded) the
    largest image downloaded. `allowed_hosts` are the names under which a proxy shows a ComfyUI that listens on this
    machine only. `submit_seconds` is how long the request for a picture may take as a whole, beside the time for its
    image prompt, and `read_seconds` how long any other request to the service may.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    api_key: Annotated[SecretStr, AfterValidator(_key)] | None = None
    base_url: Annotated[str, AfterValidator(_web_address)] = BASE_URL
    home: Path = Field(default_factory=lambda: user_data_path("flux-nodes", appauthor=False))
    journal: SecretStr | None = None
    service: str = ""
    timeout: float = Field(default=600.0, gt=0, le=86_400, allow_inf_nan=False)
    webhook_url: Annotated[str, AfterValidator(_public_address)] | None = None
    webhook_secret: Annotated[SecretStr, AfterValidator(_header_text)] | None = Field(default=None, min_length=16)
    budget: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    max_image_mib: int = Field(default=64, ge=1, le=4096)
    max_image_megapixels: int = Field(default=64, ge=1, le=64)
    first_poll: float = Field(default=0.5, gt=0, le=60)
    allowed_hosts: Annotated[frozenset[str], BeforeValidator(_host_names)] = frozenset()
    submit_seconds: float = Field(default=60.0, gt=0, le=200, allow_inf_nan=False)
    read_seconds: float = Field(default=10.0, gt=0, le=600, allow_inf_nan=False)

    @model_validator(mode="after")
    def _webhook_is_whole(self) -> Settings:
        if (self.webhook_url is None) != (self.webhook_secret is None):
            raise ValueError("webhook_url and webhook_secret go together: without a secret anyone could call")
        return self

    @property
    def service_name(self) -> str:
        """Whose tasks these are: the same for every spelling of the base URL."""
        return service_name(self.service or self.base_url)

    @property
    def webhook_host(self) -> str | None:
        """The host of `webhook_url`: what can be shown of an address that may hold secrets of its own."""
        return None if self.webhook_url is None else urlsplit(self.webhook_url).hostname

    @property
    def images(self) -> Path:
        """The folder of the image store."""
        return self.home / "images"

    @property
    def journal_url(self) -> str | URL:
        """The journal's database as a SQLAlchemy URL (it may hold a password: do not show it)."""
        if self.journal is not None:
            return self.journal.get_secret_value()
        from sqlalchemy import URL  # it loads when a journal is opened, not when this module is imported

        # Made of its parts: in a text, "?" and "%" of the home's name would have a meaning.
        return URL.create("sqlite", database=str(self.home / "journal.sqlite3"))

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, *, needs_service: bool = True) -> Settings:
        """Read the environment (this process's unless given) and the settings file. Raises InvalidSettings.

        Where `needs_service` is false, nobody looks at the address of the service, and a wrong one is no error.
        """
        found = _checked(cls, environ, needs_service=needs_service)
        if isinstance(found, Settings):
            return found
        # A report of this error shows the variables of the frame that raises it: the key must not be among them.
        del environ
        raise InvalidSettings(found)

    def pretended(self, url: str) -> Settings:
        """Return the same settings, led to a sandbox at `url`."""
        return self.model_copy(update={"base_url": url, "api_key": SecretStr(PRETENDED), "service": PRETENDED})

    def forget_key(self) -> Path:
        """Take the key out of the settings file and return the file. Raises InvalidSettings, OSError."""
        target = self.home / FILE
        document = _from_file(target)
        if isinstance(document, str):
            raise InvalidSettings(document)
        if document.pop("api_key", None) is not None:
            write_whole(target, json.dumps(document, indent=2).encode(), mode=0o600)
        return target

    def store_key(self, key: str | SecretStr) -> Path:
        """Write the key to the settings file, readable by its owner only, and return the file.

        Raises InvalidSettings, OSError.
        """
        target = self.home / FILE
        wrong = _stored(target, key if isinstance(key, SecretStr) else SecretStr(key))
        del key  # a report of the error would show it
        if wrong is not None:
            raise wrong
        return target


def _stored(target: Path, key: SecretStr) -> InvalidSettings | OSError | None:
    """Store a key; return what kept it from being stored, without the frames that held it."""
    try:
        checked = _key(key).get_secret_value()
    except ValueError as error:
        return InvalidSettings(f"The key {error}; nothing was stored.")
    if not checked:
        return InvalidSettings("The key is empty; nothing was stored.")
    document = _from_file(target)
    if isinstance(document, str):
        return InvalidSettings(document)
    try:
        write_whole(target, json.dumps({**document, "api_key": checked}, indent=2).encode(), mode=0o600)
    except OSError as error:
        error.__context__ = None
        return error.with_traceback(None)
    return None


def _checked(kind: type[Settings], environ: Mapping[str, str] | None, *, needs_service: bool) -> Settings | str:
    """Return settings, or what is wrong with them in words."""
    variables = os.environ if environ is None else environ
    spoken = {name: variables[variable] for name, variable in ENVIRONMENT.items() if variables.get(variable)}
    home = _home(spoken.get("home"))
    if isinstance(home, str):
        return home
    document = _from_file(home / FILE)
    if isinstance(document, str):
        return document
    try:
        given = {**document, **spoken, "home": home}
        if not needs_service:
            given.pop("base_url", None)
        return kind.model_validate(given)
    except ValidationError as error:
        return _in_words(error, home / FILE)


def _home(spoken: str | None) -> Path | str:
    """Return the home, or in words why there is none."""
    try:
        return Path(spoken or user_data_path("flux-nodes", appauthor=False)).expanduser().absolute()
    except RuntimeError:  # Path.expanduser's own
        if spoken:
            return f"FLUX_NODES_HOME ({spoken}) names the home of a user that there is not. Give the whole path."
        return "This user has no home folder: set HOME, or set FLUX_NODES_HOME to a folder of your choice."
    except OSError as error:
        return f"FLUX_NODES_HOME cannot be used ({error.strerror}): give the whole path of a folder."


def _from_file(path: Path) -> dict[str, Any] | str:
    """Return what the settings file says, or what is wrong with it in words."""
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_MOST_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        return f"The settings file {path} cannot be read: {_unread(error)}. Allowed: one JSON object."
    return document if isinstance(document, dict) else f"The settings file {path} holds no JSON object."


def _unread(error: OSError | ValueError | RecursionError) -> str:
    """Tell why the settings file cannot be read, without a word of what is in it: it may hold a key."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno} is no JSON"
    if isinstance(error, NotADirectoryError):
        return "FLUX_NODES_HOME names a file, or leads through one; it takes a folder"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, UnicodeDecodeError):
        return "it is no text in UTF-8"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it holds a number with too many digits"


def _in_words(error: ValidationError, path: Path) -> str:
    lines = []
    for fault in error.errors(include_input=False, include_url=False):
        name = str(fault["loc"][0]) if fault["loc"] else "webhook_url"
        variable = ENVIRONMENT.get(name)
        place = f"{variable} (or {name} in {path})" if variable else f"{name} in {path}"
        lines.append(f"  - {place}: {fault['msg'].removeprefix('Value error, ')}")
    return "Settings that cannot be used:\n" + "\n".join(lines)
