"""The service over HTTP: submit, fetch, fetch_many, account.

Source: flux-imagine page; apiframe wire notes, section 2.
"""

from __future__ import annotations

import json
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

import httpx2
from pydantic import ValidationError

from .errors import (
    ConnectionRejected,
    KeyRefused,
    MissingKey,
    NothingSent,
    ProxyUnreachable,
    ServiceRefused,
    ServiceUnreachable,
    SubmitUnconfirmed,
    TooManyRequests,
)
from .money import LOOK
from .network import NEVER_CONNECTED, CannotConnect, NetworkTransport, ProxyNotFound
from .reply import read_reply, read_task_id, redact, storable, usable_task_id
from .retry import (
    CHARGES,
    DEADLINE,
    MOST_BYTES,
    SECONDS,
    STOP,
    BrokenReply,
    Policy,
    RetryTransport,
    in_words,
    retry_after,
)
from .task import Account, Task, error_words

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from pydantic import SecretStr

    from .request import ImagineRequest

BASE_URL = "https://api.apiframe.pro"
MOST_IDS = 20
"""How many ids one `/fetch-many` takes; it wants two at least."""

_ACCOUNT_SECONDS = 10.0
"""A look at the account is for a person who waits for it: no use in trying for a minute."""

_SLOWEST_UPLOAD = 64 * 1024
"""Bytes a second: a submit with an image prompt gets the time that this takes, on top of its own."""

_LONGEST_UPLOAD = 240.0
"""Seconds; with this, no submit lasts as long as its intent is taken to be under way (`process.LONGEST_SEND`)."""

# Waiting for a free connection ends before the clock of a submit does: then it is certain that nothing was sent.
_TIMEOUT = httpx2.Timeout(60.0, connect=10.0, pool=30.0)

_LONGEST_WHY = 500
_SHOWN_OF_AN_ID = 100
_SHOWN_OF_AN_ANSWER = 200


class ApiframeClient:
    """A client of the service; use it as an async context manager.

    The key goes to `base_url` alone and is never shown. `submit_seconds` is how long one try of a submit may take as a
    whole, `read_seconds` how long any other: one that is silent is given up, and where that is free, asked anew.
    """

    def __init__(
        self,
        *,
        key: SecretStr | None,
        base_url: str = BASE_URL,
        transport: httpx2.AsyncBaseTransport | None = None,
        policy: Policy | None = None,
        submit_seconds: float = 60.0,
        read_seconds: float = 10.0,
    ) -> None:
        self._key = key
        self._network = NetworkTransport()
        self._submit_seconds = submit_seconds
        self._read_seconds = read_seconds
        # An explicit transport and no redirects: a key must not follow an answer to another host.
        self._http = httpx2.AsyncClient(
            base_url=base_url,
            transport=RetryTransport(transport or self._network, policy=policy),
            timeout=_TIMEOUT,
            headers={"Accept": "application/json", "User-Agent": "flux-nodes"},
            follow_redirects=False,
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    def require_key(self) -> None:
        """Raise MissingKey when there is none: before anything is written down that could not be sent."""
        if not self._key:
            raise MissingKey(
                "No API key is set. Set APIFRAME_API_KEY, or store it with `flux-nodes login`; "
                "to try everything without one, use the sandbox: `--sandbox` at the terminal; in a script, run "
                "`flux-nodes sandbox` and set APIFRAME_BASE_URL and APIFRAME_API_KEY as it says."
            )

    def require_network(self) -> None:
        """Raise InvalidSettings when a proxy or certificates are set that cannot be used, likewise."""
        self._network.require(self._http.base_url)

    async def submit(self, request: ImagineRequest, *, stop: asyncio.Event | None = None) -> str:
        """Send a request and return its task id. This is what costs, and it is accepted once.

        Once `stop` is set, it is not tried again where that would have been free.

        Raises:
            MissingKey: no key; nothing was sent.
            ServiceRefused: the service said no; nothing was paid.
            ServiceUnreachable: no connection came about; nothing was paid.
            SubmitUnconfirmed: it was sent, and no usable answer came: it may have been charged.
        """
        try:
            return _task_id(await self._submitted(self._submission(request, stop)))
        except ServiceRefused as error:
            error.without_cost()
            raise

    async def _submitted(self, sent: httpx2.Request) -> Any:
        """Return the answer to a submit. Raises what `submit` raises."""
        try:
            return await self._request(sent)
        except ServiceUnreachable as error:
            if isinstance(error.__cause__, NEVER_CONNECTED):
                error.without_cost()
                raise
            raise _unconfirmed(str(error)) from error
        except (NothingSent, ServiceRefused):
            raise
        except Exception as error:
            # A bug of ours, or no memory left: whatever it was, the request may have been taken.
            raise _unconfirmed(f"The answer could not be read ({type(error).__name__}).") from error

    def _submission(self, request: ImagineRequest, stop: asyncio.Event | None) -> httpx2.Request:
        try:
            made = self._http.build_request("POST", "/flux-imagine", json=request.wire())
        except Exception as error:
            raise ServiceUnreachable(
                f"The request could not be written ({type(error).__name__}). Nothing was sent, nothing was paid."
            ) from error
        made.extensions |= {CHARGES: True, STOP: stop, SECONDS: self._submit_seconds + _upload_seconds(made)}
        return made

    async def fetch(self, task_id: str, *, once: bool = False) -> Task:
        """Ask for the state of one task, or only `once`, for a caller that asks again by itself.

        Raises ServiceRefused or ServiceUnreachable.
        """
        return Task.parse(await self._read("/fetch", {"task_id": task_id}, once=once), task_id=task_id)

    async def fetch_many(self, task_ids: Sequence[str], *, once: bool = False) -> list[Task]:
        """Ask for any number of tasks, twenty ids a request; those the service passes over are missing from the answer.

        `once` as in `fetch`. Raises ServiceRefused or ServiceUnreachable.
        """
        ids = list(dict.fromkeys(task_ids))
        found: list[Task] = []
        for start in range(0, len(ids), MOST_IDS):
            found += await self._some(ids[start : start + MOST_IDS], once=once)
        return found

    async def _read(self, path: str, body: Mapping[str, Any], *, once: bool) -> Any:
        extensions = {SECONDS: self._read_seconds} | ({DEADLINE: 0.0} if once else {})
        request = self._http.build_request("POST", path, json=body, extensions=extensions)
        return _no_refusal(await self._request(request))

    async def _some(self, ids: list[str], *, once: bool) -> list[Task]:
        if len(ids) == 1:
            return [await self.fetch(ids[0], once=once)]
        reply = await self._read("/fetch-many", {"task_ids": ids}, once=once)
        return [Task.parse(entry) for entry in _entries(reply) if isinstance(entry, dict) and entry.get("task_id")]

    async def account(self) -> Account:
        """Return the account behind the key, with its credits. Raises ServiceRefused or ServiceUnreachable."""
        try:
            return Account.model_validate(
                await self._request(
                    self._http.build_request(
                        "GET", "/account", extensions={DEADLINE: _ACCOUNT_SECONDS, SECONDS: self._read_seconds}
                    )
                )
            )
        except ValidationError as error:
            raise ServiceUnreachable("The service answered with something that is no account.") from error

    async def _request(self, request: httpx2.Request) -> Any:
        """Send one request and return its JSON. Raises ServiceRefused, ServiceUnreachable, MissingKey."""
        self.require_key()
        response, reply = await self._answer(request)
        if response.is_success and reply is not None:
            return reply
        self._refused(response, reply)
        return None

    async def _answer(self, request: httpx2.Request) -> tuple[httpx2.Response, Any]:
        """Return an answer and its JSON, made safe. No frame that raises holds the key or raw bytes."""
        try:
            async with aclosing(
                await self._http.send(request, stream=True, auth=_Authorization(self._key))
            ) as response:
                return response, read_reply(await _bounded(response, request), key=self._key)
        except BrokenReply as error:
            if task_id := self._task_id_in(error, request):
                return httpx2.Response(200), {"task_id": task_id}
            raise self._unreachable(error, request) from error
        except httpx2.HTTPError as error:
            raise self._unreachable(error, request) from error

    def _task_id_in(self, error: BrokenReply, request: httpx2.Request) -> str:
        """Return the task id that a broken answer to a submit still holds: it is paid, and must not be lost."""
        content, error.content = error.content, b""
        return read_task_id(content, key=self._key) if request.extensions.get(CHARGES) else ""

    def _unreachable(self, error: httpx2.HTTPError, request: httpx2.Request) -> ServiceUnreachable:
        # Frames of the network's libraries hold headers: a report of this error must not show them.
        error.with_traceback(None).__cause__ = error.__context__ = None
        why = self._blotted(storable(in_words(error), most=_LONGEST_WHY)).rstrip(".")
        if isinstance(error, NEVER_CONNECTED):
            money = " Nothing was sent, nothing was paid." if request.extensions.get(CHARGES) else ""
            sentence = f"The service at {self._http.base_url} could not be reached: {why}.{money}"
        else:
            sentence = f"A request was sent to {self._http.base_url}, and no usable answer came back: {why}."
        if isinstance(error, ProxyNotFound):
            return ProxyUnreachable(sentence)
        is_lasting = isinstance(error, CannotConnect) and error.lasting
        return (ConnectionRejected if is_lasting else ServiceUnreachable)(sentence)

    def _refused(self, response: httpx2.Response, reply: object) -> NoReturn:
        status = response.status_code
        messages = tuple(self._blotted(words) for words in error_words(reply))
        said = f': "{"; ".join(messages)}"' if messages else "."
        if status == 401:
            raise KeyRefused(
                "The service does not know the API key (401). Check APIFRAME_API_KEY, "
                "or store the key anew with `flux-nodes login`.",
                status=status,
                messages=messages,
            )
        if status == 429:
            wish = retry_after(response.headers, now=datetime.now(UTC))
            raise TooManyRequests(
                f"The service asks for fewer requests (429){said}",
                status=status,
                messages=messages,
                retry_after=wish,
            )
        if 400 <= status < 500:
            raise ServiceRefused(f"The service refused the request ({status}){said}", status=status, messages=messages)
        raise ServiceUnreachable(f"The service gave no usable answer (HTTP {status}){said}")

    def _blotted(self, words: str) -> str:
        return redact(words, self._key) if self._key else words


class _Authorization(httpx2.Auth):
    """Puts the key on a request, where the library blots it out of what it shows."""

    def __init__(self, key: SecretStr | None) -> None:
        self._key = key

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        if self._key is not None:
            request.headers["Authorization"] = self._key.get_secret_value()
        yield request


def _no_refusal(reply: Any) -> Any:
    """Pass a reply on, unless it is an error that came with status 200."""
    if isinstance(reply, dict) and reply.get("errors") and not reply.get("status") and not reply.get("tasks"):
        words = error_words(reply)
        said = f': "{"; ".join(words)}"' if words else "."
        raise ServiceRefused(f"The service refused the request{said}", status=200, messages=words)
    return reply


def _task_id(reply: Any) -> str:
    """Return the task id of an answer to a submit. Raises ServiceRefused, SubmitUnconfirmed."""
    told = reply[0] if isinstance(reply, list) and len(reply) == 1 else reply
    given = told.get("task_id") if isinstance(told, dict) else None
    if task_id := usable_task_id(given):
        return task_id
    if isinstance(given, str) and given.strip():
        raise _unconfirmed(
            f'The service accepted it under a task id that cannot be kept; it begins with "{given[:_SHOWN_OF_AN_ID]}".'
        )
    words = error_words(reply)
    if words:
        _no_refusal(reply)  # the page's own form of a refusal, with a status that says otherwise
    # What it is paid for may be in there, under another name.
    said = "; ".join(words) or storable(json.dumps(reply, ensure_ascii=False), most=_SHOWN_OF_AN_ANSWER)
    raise _unconfirmed(f'The service answered without a task id: "{said}".')


def _upload_seconds(request: httpx2.Request) -> float:
    return min(int(request.headers.get("content-length", 0)) / _SLOWEST_UPLOAD, _LONGEST_UPLOAD)


def _entries(reply: Any) -> list[Any]:
    tasks = reply.get("tasks", reply) if isinstance(reply, dict) else reply
    if isinstance(tasks, dict):  # a third-party client was written for a mapping keyed by task id
        return [{"task_id": task_id, **entry} for task_id, entry in tasks.items() if isinstance(entry, dict)]
    return tasks if isinstance(tasks, list) else []


async def _bounded(response: httpx2.Response, request: httpx2.Request) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MOST_BYTES:
            if response.is_client_error and request.extensions.get(CHARGES):
                return b""  # the status says enough: it was refused, and nothing was paid
            raise httpx2.RemoteProtocolError(f"its answer is longer than {MOST_BYTES} bytes")
    return bytes(content)


def _unconfirmed(why: str) -> SubmitUnconfirmed:
    return SubmitUnconfirmed(f"{why} The request may have been accepted and charged; it was not sent again. {LOOK}")
