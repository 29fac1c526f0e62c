"""Our routes on a genuine ComfyUI's server, started without any key."""

from __future__ import annotations

import http.client
import io
import json
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import websocket
from PIL import Image

from flux_nodes.core.images import decode
from flux_nodes.graph import Folders, Registry, read_workflow, stock_nodes
from flux_nodes.nodes import NODES
from tests.cli.terminal import SMALL, Terminal
from tests.hosts import pack, places
from tests.hosts.test_comfyui_runs_flux import imagine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.hosts.comfyui import Comfyui
    from tests.hosts.conftest import StartComfyui

KEY = "canary-7f3a9c-of-a-key"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Replied:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(repr=False)

    @property
    def document(self) -> Any:
        return json.loads(self.body)


def send(
    host: Comfyui, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None
) -> Replied:
    """Send one request, as any program may; its body as JSON unless it is bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=60)
    try:
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method, f"/flux-nodes/{path}", payload, headers=dict(JSON if headers is None else headers))
        answer = connection.getresponse()
        return Replied(answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()})
    finally:
        connection.close()


@pytest.fixture(scope="module")
def host(start_comfyui: StartComfyui) -> Comfyui:
    return start_comfyui({})


@pytest.fixture
def home(host: Comfyui) -> Path:
    return host.base / "home" / "flux-nodes"


@pytest.fixture
def sandboxed(host: Comfyui) -> Iterator[Comfyui]:
    """The host while the sandbox's switch is on."""
    assert send(host, "POST", "sandbox", {"on": True}).document["sandbox"] is True
    yield host
    assert send(host, "POST", "sandbox", {"on": False}).document["sandbox"] is False


@pytest.fixture
def terminal(tmp_path: Path, home: Path) -> Terminal:
    """A terminal of the same person."""
    return Terminal(tmp_path, {"FLUX_NODES_HOME": str(home)})


def listed(host: Comfyui, id_: str) -> Any:
    (found,) = send(host, "GET", f"generations?words={id_}").document["generations"]
    return found


def test_with_the_sandbox_on_a_graph_needs_no_key_and_its_generation_is_listed_with_its_picture(
    sandboxed: Comfyui, tmp_path: Path
) -> None:
    state = send(sandboxed, "GET", "state").document
    assert (state["key"], state["sandbox"], state["service"]) == ("missing", True, "sandbox")

    outcome = sandboxed.submit(imagine(prompt="a harbour at dawn", seed=31))
    assert outcome.ended == "success", outcome.error

    (found,) = send(sandboxed, "GET", "generations?words=harbour+comfyui").document["generations"]
    assert (found["status"], found["door"], found["service"], found["workflow"]) == (
        "stored",
        "comfyui",
        "sandbox",
        "own",
    )
    (newest, *_) = send(sandboxed, "GET", "recent").document
    assert newest.startswith(f"{found['id']} a harbour at dawn · ")
    thumbnail = send(sandboxed, "GET", f"generations/{found['id']}/thumbnail")
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(thumbnail.body)).size == (320, 256)

    image = send(sandboxed, "GET", f"generations/{found['id']}/image")
    assert image.headers["content-type"] == "image/png"
    assert f"-a-harbour-at-dawn-{found['id']}.png" in image.headers["content-disposition"]
    assert np.array_equal(decode(image.body), decode(sandboxed.view(outcome.images[-1])))
    chunks = Image.open(io.BytesIO(image.body)).info
    assert found["id"] in chunks["flux_nodes"]
    file = tmp_path / "image.png"
    file.write_bytes(image.body)
    folders = Folders(input=tmp_path, output=tmp_path, temp=tmp_path)
    read = read_workflow(file, Registry([*NODES, *stock_nodes(folders)])).to_api()
    assert read["1"]["inputs"]["seed"] == 31

    drawing = send(sandboxed, "GET", f"generations/{found['id']}/workflow").document
    assert {"FluxImagine", "SaveImage"} <= {node["type"] for node in drawing["nodes"]}


def test_a_graph_that_ran_on_the_sandbox_is_not_done_once_the_switch_is_off(host: Comfyui) -> None:
    graph = imagine(prompt="a harbour that was only pretended", seed=32)
    send(host, "POST", "sandbox", {"on": True})
    try:
        ended = [host.submit(graph) for _ in range(2)]
    finally:
        send(host, "POST", "sandbox", {"on": False})
    again = {event.data["node"] for event in ended[1].events if event.kind == "executing"}
    assert [outcome.ended for outcome in ended] == ["success", "success"]
    assert "1" not in again, "an unchanged graph keeps its result"

    outcome = host.submit(graph)

    assert outcome.ended == "error"
    assert "Settings → Flux Nodes" in outcome.error
    (found,) = ended[0].outputs["2"]["images"]
    assert b"127.0.0.1" not in host.view(found), "no address gets into an image"


def test_what_a_terminal_has_started_is_collected_and_the_windows_hear_of_it(
    sandboxed: Comfyui, terminal: Terminal
) -> None:
    ended = terminal.run("generate", "a slow river", *SMALL, "--sandbox", "--no-wait", "--json")
    id_ = ended.document["id"]
    assert listed(sandboxed, id_)["unfinished"] is True
    assert send(sandboxed, "GET", "state").document["unfinished"] == 1
    window = websocket.create_connection(f"ws://127.0.0.1:{sandboxed.port}/ws?clientId=window", timeout=60)
    try:
        assert send(sandboxed, "POST", "collect", {}).document == {"collecting": [id_]}
        heard = list(until_stored(window, id_))
    finally:
        window.close()
    assert heard[-1]["words"] == "stored"
    assert heard[-1] == listed(sandboxed, id_)
    assert send(sandboxed, "GET", "state").document["unfinished"] == 0
    assert send(sandboxed, "POST", "collect", {"ids": [id_]}).document == {"collecting": []}


def until_stored(window: websocket.WebSocket, id_: str) -> Iterator[Any]:
    """Give what a window hears of a generation, until it is stored."""
    until = monotonic() + 60
    while monotonic() < until:
        message = window.recv()
        told = json.loads(message) if isinstance(message, str) else {}
        if told.get("type") == "flux-nodes.generation" and told["data"]["id"] == id_:
            yield told["data"]
            if told["data"]["status"] == "stored":
                return
    raise TimeoutError("it was not stored in time")


def content(file: Path) -> bytes:
    """What is in a file; nothing where it is gone by now, as a database's own files may be."""
    with suppress(FileNotFoundError):
        return file.read_bytes()
    return b""


def test_a_key_is_kept_in_the_settings_file_and_nowhere_else(host: Comfyui, home: Path) -> None:
    replies = [
        send(host, "POST", "key", {"key": KEY}),
        send(host, "GET", "state"),
        send(host, "POST", "key", {"key": f"{KEY} {KEY}"}),
        send(host, "POST", "key", b'{"key": "' + KEY.encode()),
    ]
    assert [reply.status for reply in replies] == [200, 200, 400, 400]
    assert replies[1].document["key"] == "stored"
    assert stat.S_IMODE((home / "settings.json").stat().st_mode) == 0o600
    holding = [file for file in host.base.rglob("*") if file.is_file() and KEY.encode() in content(file)]
    assert holding == [home / "settings.json"]
    assert all(KEY.encode() not in reply.body and KEY not in str(reply.headers) for reply in replies)
    assert KEY not in host.log.text()

    assert send(host, "DELETE", "key").document["key"] == "missing"
    assert KEY.encode() not in (home / "settings.json").read_bytes()


@pytest.mark.parametrize("headers", [{"Origin": "https://example.org"}, {"Sec-Fetch-Site": "cross-site"}])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "generations"), ("GET", "state"), ("POST", "key"), ("DELETE", "key"), ("POST", "sandbox")],
)
def test_a_page_of_another_site_can_neither_read_nor_set_anything(
    host: Comfyui, method: str, path: str, headers: dict[str, str]
) -> None:
    reply = send(host, method, path, {"key": KEY, "on": True}, headers={**JSON, **headers})
    assert reply.status == 403
    state = send(host, "GET", "state").document
    assert (state["key"], state["sandbox"]) == ("missing", False)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "generations"), ("GET", "state"), ("POST", "key"), ("DELETE", "key"), ("POST", "sandbox")],
)
def test_a_site_that_lets_its_name_lead_here_can_neither_read_nor_set_anything(
    host: Comfyui, method: str, path: str
) -> None:
    name = f"evil.example:{host.port}"
    own = {**JSON, "Host": name, "Origin": f"http://{name}", "Sec-Fetch-Site": "same-origin"}
    reply = send(host, method, path, {"key": KEY, "on": True}, headers=own)
    assert reply.status == 403
    state = send(host, "GET", "state", headers={"Host": f"localhost.:{host.port}"}).document
    assert (state["key"], state["sandbox"]) == ("missing", False)


def test_comfyuis_own_page_is_answered_and_nobody_may_embed_or_keep_what_it_gets(host: Comfyui) -> None:
    own = {"Origin": host.url, "Sec-Fetch-Site": "same-origin"}
    reply = send(host, "GET", "generations", headers=own)
    assert reply.status == 200
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert not any(name.startswith("access-control-") for name in reply.headers)


REFUSED = [
    ("POST", "key", b"{", JSON, 400),
    ("POST", "key", {}, JSON, 400),
    ("POST", "key", {"key": KEY}, {"Content-Type": "text/plain"}, 415),
    ("POST", "key", b"k" * 5_000, JSON, 413),
    ("POST", "collect", b"k" * 5_000_000, JSON, 413),
    ("POST", "sandbox", {"on": "yes"}, JSON, 400),
    ("POST", "collect", {"ids": ["g-nobodyyet"]}, JSON, 404),
    ("GET", "generations?most=all", None, {}, 400),
    ("GET", "generations/g-nobodyyet/image", None, {}, 404),
    ("GET", "generations/..%2F..%2Fsettings.json/thumbnail", None, {}, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "headers", "status"), REFUSED)
def test_what_cannot_be_answered_is_refused_with_a_sentence(
    host: Comfyui, method: str, path: str, body: object, headers: dict[str, str], status: int
) -> None:
    reply = send(host, method, path, body, headers=headers)
    assert reply.status == status
    assert reply.document["error"].endswith((".", "`"))
    assert KEY not in reply.body.decode()


def test_the_routes_are_below_api_too_where_the_frontend_asks(host: Comfyui) -> None:
    assert json.loads(host.get("/api/flux-nodes/catalog"))["nodes"]


def test_a_key_of_the_environment_and_a_second_copy_of_the_pack(start_comfyui: StartComfyui, pack_copy: Path) -> None:
    started = start_comfyui({"APIFRAME_API_KEY": KEY}, packs={pack.NAME: pack_copy, "flux-nodes-copy": pack_copy})
    state = send(started, "GET", "state")
    assert state.document["key"] == "environment"
    refusal = send(started, "POST", "key", {"key": "another"})
    assert refusal.status == 409
    assert "APIFRAME_API_KEY" in refusal.document["error"]
    assert KEY.encode() not in state.body + refusal.body
    assert KEY not in started.log.text()


REGISTER = """
import sys, types
from aiohttp import web
table = web.RouteTableDef()
table.static("/another/pack", "/")
server = sys.modules["server"] = types.ModuleType("server")
server.PromptServer = types.SimpleNamespace(instance=types.SimpleNamespace(routes=table))
from flux_nodes.comfy.routes import ROUTES, register
register()
register()
web.Application().add_routes(table)
assert len(table) == len(ROUTES) + 1, list(table)
"""


def test_routes_are_registered_beside_those_of_other_packs_and_only_once() -> None:
    """With ComfyUI's own aiohttp; a server that could not start would take every pack down with it."""
    command = [str(places.COMFYUI_PYTHON), "-c", REGISTER]
    ended = subprocess.run(command, cwd=places.ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
