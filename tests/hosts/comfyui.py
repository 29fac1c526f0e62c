"""A genuine ComfyUI 0.3.75 as a process of its own, with this repository among its custom nodes."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.hosts import pack, places
from tests.hosts.conversation import Conversation, Outcome
from tests.hosts.log import Log

if TYPE_CHECKING:
    from collections.abc import Mapping

# Only models use these; a test that needed one would need the real library.
STUBBED = "torchaudio,torchvision,torchsde,kornia,spandrel,transformers,tokenizers,sentencepiece,scipy,av"

# What a user's folder holds after a first visit. Without it the frontend opens dialogs over everything,
# and fills the browser's console with errors of its own.
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.InstalledVersion": "1.32.9"}
_USER_FILES = {"comfy.settings.json": json.dumps(SETTINGS), "comfy.templates.json": "[]", "user.css": ""}

_FOLDERS = (
    "custom_nodes",
    "input",
    "output",
    "models",
    "home",
    "user/default/workflows",
    "user/default/subgraphs",
)


class Comfyui:
    """A running ComfyUI, whose nodes see PATH, HOME, a home for the pack, and the `environment` given."""

    def __init__(self, base: Path, pack_copy: Path, environment: Mapping[str, str]) -> None:
        self.base = base
        self.environment = dict(environment)
        self.port = _free_port()
        _furnish(base, pack_copy)
        self._process = subprocess.Popen(
            self._command(),
            cwd=base,
            env=_environment(base, environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert self._process.stdout is not None
        self.log = Log(self._process.stdout)
        if not self.log.wait_for("To see the GUI go to", within=90):
            self.stop()
            raise AssertionError(f"ComfyUI did not start; it said:\n{self.log.text()}")

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
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"} if payload else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

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
        program = [str(places.COMFYUI_PYTHON), str(Path(__file__).with_name("shim.py")), STUBBED]
        place = ["--listen", "127.0.0.1", "--port", str(self.port), "--base-directory", str(self.base)]
        rest = [
            "--cpu",
            "--disable-api-nodes",
            "--disable-auto-launch",
            "--database-url",
            "sqlite:///:memory:",
        ]
        return [*program, str(places.COMFYUI_TREE / "main.py"), *place, *rest]


def _furnish(base: Path, pack_copy: Path) -> None:
    for folder in _FOLDERS:
        (base / folder).mkdir(parents=True, exist_ok=True)
    (base / "custom_nodes" / pack.NAME).symlink_to(pack_copy)
    for name, content in _USER_FILES.items():
        (base / "user" / "default" / name).write_text(content)


def _environment(base: Path, given: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(base / "home"),
        "FLUX_NODES_HOME": str(base / "home" / "flux-nodes"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        **given,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
