"""A genuine ComfyUI 0.3.75 as a process of its own, with this repository among its custom nodes."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

import psutil

from tests.hosts import pins, places
from tests.hosts.conversation import Conversation, Outcome
from tests.hosts.log import Log
from tests.ports import free_port

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping

# Only models use these; a test that needed one would need the real library.
_MODELS_LIBRARIES = (
    "torchaudio",
    "torchvision",
    "torchsde",
    "kornia",
    "spandrel",
    "transformers",
    "tokenizers",
    "sentencepiece",
    "scipy",
)
# ComfyUI's own API nodes load only beside the real library; without them its 60 MB are not worth loading.
_API_NODES_LIBRARY = "av"

FrontendAge = Literal["paired", "newest"]
"""The frontend that ComfyUI 0.3.75 came with, or the newest there is, on the same server."""

_LONGEST_START = 120.0
"""Seconds that a start may take on a busy machine."""

_PORT_TAKEN = "address already in use"
"""What it says where another program took the port while it was starting."""

_VERSIONS: dict[FrontendAge, str] = {"paired": "1.32.9", "newest": pins.NEWEST_FRONTEND}

_FOLDERS = (
    "custom_nodes",
    "input/3d",  # made at the first look at all nodes, and named by some of them at the second
    "output",
    "models",
    "home",
    "user/default/workflows",
    "user/default/subgraphs",
)


class Comfyui:
    """A running ComfyUI, whose nodes see PATH, HOME, a home for the pack, and the `environment` given.

    `packs` are the folders that stand among its custom nodes, by the names that they have there.
    """

    def __init__(
        self,
        base: Path,
        packs: Mapping[str, Path],
        environment: Mapping[str, str],
        *,
        frontend: FrontendAge = "paired",
        api_nodes: bool = False,
    ) -> None:
        self.base = base
        self.environment = dict(environment)
        self._frontend = frontend
        self._api_nodes = api_nodes
        _furnish(base, packs, frontend)
        self._start()
        if not self._is_up() and _PORT_TAKEN in self.log.text().lower():
            self.stop()
            self._start()
        if not self._is_up():
            self.stop()
            raise AssertionError(f"ComfyUI did not start; it said:\n{self.log.text()}")

    def _start(self) -> None:
        self.port = free_port()
        self._process = subprocess.Popen(
            self._command(),
            cwd=self.base,
            env=_environment(self.base, self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert self._process.stdout is not None
        self.log = Log(self._process.stdout)

    def _is_up(self) -> bool:
        return self.log.wait_for("To see the GUI go to", within=_LONGEST_START)

    @property
    def url(self) -> str:
        """The address of the server, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def input_folder(self) -> Path:
        """Where LoadImage looks for files."""
        return self.base / "input"

    @property
    def output_folder(self) -> Path:
        """Where SaveImage writes files."""
        return self.base / "output"

    def submit(self, prompt: Mapping[str, Any], *, within: float = 60) -> Outcome:
        """Run a prompt in API format to its end. Raises PromptRefusedError if ComfyUI does not take it."""
        with self.connect() as conversation:
            return conversation.wait(conversation.queue(prompt), within=within)

    def connect(self) -> Conversation:
        """Open a websocket, to queue prompts and follow them one by one."""
        return Conversation(self.port, ask=self.ask)

    def interrupt(self) -> None:
        """Press the button that stops the running prompt."""
        self.ask("POST", "/interrupt")

    def history(self, prompt_id: str) -> Any:
        """Give ComfyUI's record of an ended prompt."""
        return json.loads(self.get(f"/history/{prompt_id}"))[prompt_id]

    def view(self, image: Mapping[str, str]) -> bytes:
        """Fetch the file of an image named in a prompt's outputs."""
        return self.get(f"/view?{urlencode(image)}")

    def object_info(self) -> dict[str, Any]:
        """Give every node's description by its id."""
        info: dict[str, Any] = json.loads(self.get("/object_info"))
        return info

    def get(self, path: str) -> bytes:
        """Fetch a path that must be there."""
        status, body = self.ask("GET", path)
        assert status == http.client.OK, f"GET {path} was answered with {status}: {body[:500]!r}"
        return body

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Send one request, its body as JSON, and give the answer's status and bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"} if payload else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def processor_seconds(self) -> float:
        """Tell how long the process has worked so far, which depends less than the clock on what else runs here."""
        spent = psutil.Process(self._process.pid).cpu_times()
        return float(spent.user + spent.system)

    def end_by(self, number: signal.Signals, *, within: float) -> None:
        """End it by a signal, as a person or a system does, and wait until it has ended."""
        self._process.send_signal(number)
        self._process.wait(within)

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.log.close()

    def _command(self) -> list[str]:
        stubbed = _MODELS_LIBRARIES if self._api_nodes else (*_MODELS_LIBRARIES, _API_NODES_LIBRARY)
        program = [str(places.COMFYUI_PYTHON), str(Path(__file__).with_name("shim.py")), ",".join(stubbed)]
        place = ["--listen", "127.0.0.1", "--port", str(self.port), "--base-directory", str(self.base)]
        quiet = ["--cpu", "--disable-auto-launch", "--database-url", "sqlite:///:memory:"]
        nodes = [] if self._api_nodes else ["--disable-api-nodes"]
        newest = ["--front-end-root", str(places.NEWEST_FRONTEND_FILES)] if self._frontend == "newest" else []
        return [*program, str(places.COMFYUI_TREE / "main.py"), *place, *quiet, *nodes, *newest]


def _furnish(base: Path, packs: Mapping[str, Path], frontend: FrontendAge) -> None:
    for folder in _FOLDERS:
        (base / folder).mkdir(parents=True, exist_ok=True)
    for name, pack in packs.items():
        (base / "custom_nodes" / name).symlink_to(pack)
    for name, content in _user_files(frontend).items():
        (base / "user" / "default" / name).write_text(content)


def _user_files(frontend: FrontendAge) -> dict[str, str]:
    """Give what a user's folder holds after a first visit.

    Without it the frontend opens dialogs over everything, and fills the browser's console with errors of its own.
    """
    settings = {"Comfy.TutorialCompleted": True, "Comfy.InstalledVersion": _VERSIONS[frontend]}
    return {"comfy.settings.json": json.dumps(settings), "comfy.templates.json": "[]", "user.css": ""}


def _environment(base: Path, given: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(base / "home"),
        "FLUX_NODES_HOME": str(base / "home" / "flux-nodes"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        **given,
    }
