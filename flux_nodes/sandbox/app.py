"""The sandbox as an ASGI app: the service's endpoints, its image hosting, and the sandbox's own controls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from .bodies import BodyReader, BodyTooLarge, MalformedBody, require_json, skip_body
from .contract import read_json
from .control import Controls
from .fault_text import fault_in_prompt
from .faults import TASK_KINDS, Fault, FaultBook, FaultError, Where
from .gallery import Finish, Gallery
from .ledger import Ledger, owner_of
from .lifecycle import SandboxTask, Stage, stage_at
from .odd import INSTEAD, ODD, odd
from .quirks import Quirks
from .replies import Sleep, errors, json_reply, spoil
from .request_log import RecordedRequest, RequestLog
from .service import Service
from .webhooks import Courier

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

_Answer = Callable[[str, str, "dict[str, Any]", "Fault | None"], Awaitable[Response]]


class Sandbox:
    """The service, pretended. An ASGI app: serve it with `serving`, or hand it to a client's ASGI transport.

    Args:
        keys: The API keys that are taken, with the credits of each. Default: the key "sandbox" with 1000.
        seconds: How long a flux-pro task takes from submit to its end; other models in proportion. 0: at once.
        quirks: How the points are settled that the page leaves open.
        faults: What goes wrong; more may be added by `inject`, over HTTP, or by words in a prompt.
        state: An SQLite file to remember tasks and credits in, shared between processes. None: in memory.
        clock: The time in seconds, as `time.time` tells it.
        sleep: How to wait; used by webhooks and by slow replies only.
        finish: What becomes of a painted picture before it is served, such as being signed: it is given the file and
            its media type, and returns the file that is served.
    """

    def __init__(
        self,
        *,
        keys: Mapping[str, int] | None = None,
        seconds: float = 2.5,
        quirks: Quirks | None = None,
        faults: Iterable[Fault] = (),
        state: Path | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
        finish: Finish | None = None,
    ) -> None:
        self.quirks = quirks or Quirks()
        self._keys = dict(keys) if keys is not None else {"sandbox": 1000}
        self._faults = FaultBook(faults)
        self._clock = clock
        self._sleep = sleep
        self._ledger = Ledger(state, self._keys)
        self._courier = Courier(self.quirks, self._faults, sleep)
        self._service = Service(self._ledger, self._courier, quirks=self.quirks, seconds=seconds, clock=clock)
        self._gallery = Gallery(self._ledger, self.quirks, finish)
        self._requests = RequestLog()
        self._bodies = BodyReader()
        self._triggered: set[str] = set()
        self._app = Starlette(routes=self._routes(), lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI asks."""
        await self._app(scope, receive, send)

    @property
    def charges(self) -> int:
        """How many credits were charged so far, on all keys, before refunds."""
        return self._ledger.charges

    @property
    def tasks(self) -> list[SandboxTask]:
        """All accepted tasks, oldest first."""
        return self._ledger.tasks()

    @property
    def requests(self) -> list[RecordedRequest]:
        """The last 2,000 requests to the service, oldest first; keys are blotted out, large bodies kept for a while."""
        return self._requests.all()

    @property
    def faults(self) -> list[Fault]:
        """The faults that can still happen."""
        return self._faults.pending

    def inject(self, fault: Fault) -> None:
        """Let something go wrong from now on. May be called while another thread serves."""
        self._faults.add(fault)

    def clear(self) -> None:
        """Forget every fault that has not happened."""
        self._faults.clear()

    def close(self) -> None:
        """Close the state; nothing can be served afterwards."""
        self._ledger.close()

    def stage(self, task: SandboxTask) -> Stage:
        """Return where a task stands now."""
        return stage_at(task, self._clock(), self.quirks)

    def counts(self) -> dict[str, object]:
        """Return what `GET /sandbox/state` tells: submits, charges, requests by path, tasks and webhooks."""
        paths = [request.path for request in self.requests]
        return {
            "submits": paths.count("/flux-imagine"),
            "charges": self.charges,
            "requests": {path: paths.count(path) for path in dict.fromkeys(paths)},
            "tasks": [{"task_id": task.task_id, **vars(self.stage(task))} for task in self.tasks],
            "webhooks": {"delivered": self._courier.delivered, "undelivered": self._courier.undelivered},
        }

    def _routes(self) -> list[Route]:
        def endpoint(where: Where, answer: _Answer) -> Callable[[Request], Awaitable[Response]]:
            return partial(self._endpoint, where, answer)

        return [
            Route("/flux-imagine", endpoint("submit", self._service.imagine), methods=["POST"]),
            Route("/fetch", endpoint("fetch", self._service.fetch), methods=["POST"]),
            Route("/fetch-many", endpoint("fetch-many", self._service.fetch_many), methods=["POST"]),
            Route("/account", endpoint("account", self._service.account), methods=["GET"]),
            Route("/images/{name}", self._image, methods=["GET"]),
            *Controls(self).routes(),
        ]

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        await self._courier.stop()

    async def _endpoint(self, where: Where, answer: _Answer, request: Request) -> Response:
        owner = self._owner(request)
        if owner is None:
            self._requests.add(request)
            await skip_body(request)
            return json_reply({}, 401)
        try:
            async with self._bodies.reading(request) as raw:
                return await self._answered(where, answer, request, owner, raw)
        except BodyTooLarge as error:
            self._requests.add(request)
            return errors([str(error)], 413)

    async def _answered(self, where: Where, answer: _Answer, request: Request, owner: str, raw: bytes) -> Response:
        body: dict[str, Any] | None = None
        try:
            body = _read_body(request, raw)
            prompts = self._prompts(where, body)
        except (MalformedBody, FaultError) as error:
            return errors([str(error)])
        finally:
            self._requests.add(request, body if raw else None, len(raw))
        fault = self._faults.take(where, prompts)
        host = str(request.base_url).rstrip("/")
        right = partial(answer, host, owner, body, fault)
        return await (self._spoil(fault, right) if fault else right())

    async def _spoil(self, fault: Fault, right: Callable[[], Awaitable[Response]]) -> Response:
        if fault.kind in ODD:
            return odd(fault, None if fault.kind in INSTEAD else await right(), self._sleep)
        return await spoil(fault, right, sleep=self._sleep, now=self._clock())

    def _owner(self, request: Request) -> str | None:
        given = request.headers.get("authorization", "")
        scheme, _, rest = given.partition(" ")
        bearer = scheme.lower() == "bearer"
        taken = {"either": True, "raw": not bearer, "bearer": bearer}[self.quirks.authorization]
        key = rest.strip() if bearer else given
        return owner_of(key) if taken and key in self._keys else None

    def _prompts(self, where: Where, body: Mapping[str, Any]) -> list[str]:
        if where == "submit":
            prompt = body.get("prompt")
            if not isinstance(prompt, str):
                return []
            self._notice(prompt)
            return [prompt]
        asked = body.get("task_ids", [body.get("task_id")])
        ids = [each for each in asked if isinstance(each, str)] if isinstance(asked, list) else []
        return [task.prompt for each in ids if (task := self._ledger.task(each))]

    def _notice(self, prompt: str) -> None:
        """Add the fault that a prompt asks for: a task's fate each time, others once, so that a repeat passes."""
        asked = fault_in_prompt(prompt)
        if asked is None:
            return
        fault = replace(asked, match=prompt)
        if fault.kind in TASK_KINDS:
            if fault not in self._faults.pending:
                self._faults.add(fault)
        elif prompt not in self._triggered:
            self._triggered.add(prompt)
            self._faults.add(fault)

    async def _image(self, request: Request) -> Response:
        self._requests.add(request)
        name = request.path_params["name"]
        task = self._gallery.find(name)
        fault = self._faults.take("image", [task.prompt] if task else [])
        finished = task if task and self.stage(task).status == "finished" else None
        right = partial(self._gallery.show, finished, fault)
        return await (self._spoil(fault, right) if fault else right())


def _read_body(request: Request, raw: bytes) -> dict[str, Any]:
    if request.method == "GET":
        return {}
    require_json(request)
    return read_json(raw)
