"""What the tests of running in ComfyUI share: graphs, words under nodes, and a clock for the service that can be held.

While the clock stands still no generation ends, so that it lasts for as long as a test needs.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import websocket

from flux_nodes.nodes import NODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flux_nodes.sandbox import Sandbox
    from tests.hosts.comfyui import Comfyui
    from tests.hosts.conversation import Outcome

BOUND = 60.0
"""Seconds that anything may take on a busy machine."""


class Clock:
    """A clock that can be held."""

    def __init__(self) -> None:
        self._held: float | None = None

    def __call__(self) -> float:
        return time.time() if self._held is None else self._held

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no time pass for the tasks of the service."""
        self._held = time.time()
        try:
            yield
        finally:
            self._held = None


class Window:
    """A websocket that hears whatever a browser's window would, from first to last."""

    def __init__(self, host: Comfyui, name: str) -> None:
        address = f"ws://127.0.0.1:{host.port}/ws?clientId={name}"
        self._socket = websocket.create_connection(address, timeout=BOUND)

    def hear(self, kind: str) -> Any:
        """Wait for a message of this kind, and give what it says."""
        while True:
            message = self._socket.recv()
            if isinstance(message, str) and json.loads(message)["type"] == kind:
                return json.loads(message)["data"]

    def heard_until(self, kind: str) -> list[tuple[str, Any]]:
        """Give all messages up to one of this kind, each as its kind and what it says; binary ones as "binary"."""
        heard: list[tuple[str, Any]] = []
        while not heard or heard[-1][0] != kind:
            message = self._socket.recv()
            parsed = json.loads(message) if isinstance(message, str) else None
            heard.append(("binary", message) if parsed is None else (parsed["type"], parsed["data"]))
        return heard

    def hear_words(self, words: str) -> None:
        """Wait for words under a node."""
        while words.encode() not in self._socket.recv():
            continue

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()


def node(id_: str, **inputs: Any) -> dict[str, Any]:
    """A node of ours in API format, its widgets as they are at first."""
    face = next(each for each in NODES if each.id == id_)
    widgets = {item.name: item.default for item in face.inputs if item.is_widget and item.default is not None}
    return {"class_type": id_, "inputs": widgets | inputs}


def imagine(prompt: str | list[Any], **inputs: Any) -> dict[str, Any]:
    """A FLUX Imagine that costs and takes little."""
    small = {"model": "flux-schnell", "width": 320, "height": 256, "seed": 7}
    return node("FluxImagine", prompt=prompt, **(small | inputs))


def saved(source: str, prefix: str = "flux") -> dict[str, Any]:
    """ComfyUI's own SaveImage for what a node gives."""
    return {"class_type": "SaveImage", "inputs": {"images": [source, 0], "filename_prefix": prefix}}


def words_of(outcome: Outcome, id_: str = "1") -> list[str]:
    """What stood under a node, one after the other."""
    return [event.data["text"] for event in outcome.events if event.kind == "text" and event.data["node"] == id_]


def until(condition: Callable[[], object]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + BOUND
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        pause.wait(0.05)


def submitted(sandbox: Sandbox, prompt: str) -> int:
    """How often the service has accepted a prompt."""
    return sum(task.prompt == prompt for task in sandbox.tasks)


def listed(host: Comfyui, words: str) -> list[Mapping[str, Any]]:
    """What the journal knows, as the sidebar reads it."""
    found: list[Mapping[str, Any]] = json.loads(host.get(f"/flux-nodes/generations?words={words}"))["generations"]
    return found
