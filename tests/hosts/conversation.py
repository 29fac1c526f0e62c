"""A websocket to ComfyUI: queue a prompt and hear how it goes."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, cast
from uuid import uuid4

import websocket

if TYPE_CHECKING:
    from types import TracebackType

Ask = Callable[[str, str, object], tuple[int, bytes]]
Ending = Literal["success", "error", "interrupted"]

ENDINGS: Mapping[str, Ending] = {
    "execution_success": "success",
    "execution_error": "error",
    "execution_interrupted": "interrupted",
}
_OF_NO_PROMPT = frozenset({"text", "flux-nodes.notice"})
_TEXT = 3
_PREVIEW_WITH_METADATA = 4


class PromptRefusedError(Exception):
    """ComfyUI did not take a prompt; `node_errors` is its own account, by node."""

    def __init__(self, status: int, answer: Mapping[str, Any]) -> None:
        super().__init__(f"ComfyUI refused the prompt ({status}): {json.dumps(answer)}")
        self.status = status
        self.node_errors: Mapping[str, Any] = answer.get("node_errors", {})


@dataclass(frozen=True)
class Event:
    """One message about a prompt: `progress_state`, `executed`, `execution_error` or another."""

    kind: str
    data: Mapping[str, Any]

    @property
    def prompt_id(self) -> str | None:
        """The prompt that it is about, if any."""
        return self.data.get("prompt_id")


@dataclass(frozen=True)
class Preview:
    """A live picture on a node."""

    prompt_id: str
    node: str
    image: bytes = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """How a prompt went, from its start to its end."""

    prompt_id: str
    ended: Ending
    events: tuple[Event, ...]
    previews: tuple[Preview, ...]

    @classmethod
    def of(cls, prompt_id: str, messages: Iterable[Event | Preview]) -> Outcome:
        """Sum up all messages about a prompt."""
        told = tuple(messages)
        events = tuple(message for message in told if isinstance(message, Event))
        previews = tuple(message for message in told if isinstance(message, Preview))
        (ended,) = (ENDINGS[event.kind] for event in events if event.kind in ENDINGS)
        return cls(prompt_id, ended, events, previews)

    @property
    def outputs(self) -> dict[str, Mapping[str, Any]]:
        """What each node handed to the frontend, by node id."""
        executed = (event.data for event in self.events if event.kind == "executed")
        return {data["node"]: data["output"] for data in executed if data["output"]}

    @property
    def images(self) -> list[Mapping[str, str]]:
        """The images of all nodes, as `Comfyui.view` takes them."""
        return [image for output in self.outputs.values() for image in output.get("images", ())]

    @property
    def error(self) -> str:
        """The message that the user sees; empty if there is none."""
        messages = (event.data["exception_message"] for event in self.events if event.kind == "execution_error")
        return next(iter(messages), "")


class Conversation:
    """One frontend's connection. Use it as a context manager."""

    def __init__(self, port: int, *, ask: Ask) -> None:
        self._ask = ask
        self._client_id = uuid4().hex
        self._socket = websocket.create_connection(f"ws://127.0.0.1:{port}/ws?clientId={self._client_id}", timeout=60)
        # Without this flag ComfyUI sends no live pictures.
        flags = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
        self._socket.send(json.dumps(flags))

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def queue(self, prompt: Mapping[str, Any], **more: object) -> str:
        """Hand over a prompt in API format, with `more` beside it, and give its id. Raises PromptRefusedError."""
        status, body = self._ask("POST", "/prompt", {"prompt": prompt, "client_id": self._client_id, **more})
        answer = json.loads(body)
        if status != http.client.OK:
            raise PromptRefusedError(status, answer)
        return cast("str", answer["prompt_id"])

    def follow(self, prompt_id: str, *, within: float = 60) -> Iterator[Event | Preview]:
        """Give each message about a prompt as it comes, until it ends. Raises TimeoutError."""
        deadline = monotonic() + within
        while True:
            message = self._hear(deadline)
            # Words under a node and our notices name no prompt; only one runs at a time.
            if message.prompt_id == prompt_id or (isinstance(message, Event) and message.kind in _OF_NO_PROMPT):
                yield message
            if message == Event("executing", {"node": None, "prompt_id": prompt_id}):
                return

    def wait(self, prompt_id: str, *, within: float = 60) -> Outcome:
        """Follow a prompt to its end. Raises TimeoutError if that takes longer than `within` seconds."""
        return Outcome.of(prompt_id, self.follow(prompt_id, within=within))

    def _hear(self, deadline: float) -> Event | Preview:
        """Give the next message of any prompt."""
        self._socket.settimeout(max(deadline - monotonic(), 0.001))
        try:
            message = self._socket.recv()
        except websocket.WebSocketTimeoutException as error:
            raise TimeoutError("ComfyUI did not end the prompt in time") from error
        if isinstance(message, str):
            parsed = json.loads(message)
            return Event(parsed["type"], parsed["data"])
        (kind,) = struct.unpack_from(">I", message)
        return _words(message) if kind == _TEXT else _preview(message)


def _words(message: bytes) -> Event:
    """Read ComfyUI's binary message 3: the length of a node's id, the id, the words under the node."""
    (length,) = struct.unpack_from(">I", message, 4)
    return Event("text", {"node": message[8 : 8 + length].decode(), "text": message[8 + length :].decode()})


def _preview(message: bytes) -> Preview:
    """Read ComfyUI's binary message 4: a JSON document's length, the document, the image."""
    kind, length = struct.unpack_from(">II", message)
    assert kind == _PREVIEW_WITH_METADATA, f"an unknown binary message, {kind}"
    about = json.loads(message[8 : 8 + length])
    return Preview(about["prompt_id"], about["node_id"], message[8 + length :])
