"""Plants secrets, drives every door through success and every fault, and looks for them in all that was produced."""

from __future__ import annotations

import io
import json
import logging
import pickle
import stat
import sys
import traceback
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.core import Generations, ImagineRequest, Settings
from flux_nodes.core.errors import FluxNodesError, InvalidSettings
from flux_nodes.sandbox import Fault, Sandbox, serving
from tests.cli.terminal import SMALL, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from starlette.requests import Request

KEY = "canary-9f3k-key-7q2w"
SECRET = "canary-5d8z-hook-1m4x"
ROOT = Path(__file__).parents[1]
PLANTED = {"APIFRAME_API_KEY": KEY, "FLUX_NODES_WEBHOOK_SECRET": SECRET}
ECHO = json.dumps({"errors": [{"msg": f"the key {KEY} is wrong"}], "message": KEY})
ESCAPED = json.dumps({"errors": [{"msg": "wrong: " + "".join(f"<{ord(sign):04x}>" for sign in KEY)}]})

FAULTS = [
    *(Fault(where="submit", kind="refuse", status=status, body=ECHO) for status in (400, 401, 402, 403, 500)),
    Fault(where="submit", kind="refuse", status=400, body=ESCAPED.replace("<", "\\u").replace(">", "")),
    Fault(where="submit", kind="refuse", status=400, body=KEY),
    *(Fault(where="submit", kind=kind) for kind in ("html", "empty", "not-json", "lost-before", "lost-after", "reset")),
    Fault(where="submit", kind="redirect", location="https://example.com/"),
    Fault(where="submit", kind="credits"),
    Fault(where="submit", kind="fail", message=f"{KEY} was refused"),
    Fault(where="fetch", kind="refuse", status=401, body=ECHO),
    Fault(where="fetch", kind="refuse", status=400, body=ECHO),
    Fault(where="image", kind="refuse", status=403, body=ECHO),
    Fault(where="image", kind="redirect", location="http://127.0.0.1:1/?elsewhere"),
]
GRAVE = ("submit", "fetch", "image")


def fault_name(fault: Fault) -> str:
    return f"{fault.where}-{fault.kind}-{fault.status or ''}"


def spellings(secret: str) -> Iterator[bytes]:
    """Yield how a secret may stand in bytes: as it is, in base64 wherever it begins, in hex, in UTF-16."""
    raw = secret.encode()
    yield from (raw, raw[:-1], raw.hex().encode(), secret.encode("utf-16-le"))
    for before in range(3):
        whole = b64encode(b"." * before + raw)
        yield whole[4:-4]


def escaped(produced: bytes | str) -> list[str]:
    """Return the secrets that stand in what was produced."""
    data = produced.encode(errors="surrogateescape") if isinstance(produced, str) else produced
    return [secret for secret in (KEY, SECRET) if any(spelled in data for spelled in spellings(secret))]


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and everything behind it."""
    waiting, seen = [error], set()
    while waiting:
        found = waiting.pop()
        if id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [inner for inner in (found.__cause__, found.__context__) if inner is not None]


def report(error: BaseException) -> str:
    """Return all that a crash report could show of an error, the variables of every frame of ours among it."""
    parts = []
    for each in chain(error):
        told = traceback.TracebackException.from_exception(each, capture_locals=True)
        # The test's own frames hold the secrets.
        frames = [frame for frame in told.stack if frame.filename != __file__]
        parts += [
            repr(each),
            str(each),
            repr(vars(each)),
            str(told),
            *traceback.StackSummary.from_list(frames).format(),
        ]
    parts += [repr(pickle.dumps((type(error).__name__, vars(error)), 0))]
    return "\n".join(parts)


def kept_in(home: Path) -> Iterator[tuple[Path, bytes]]:
    for path in home.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


def assert_none_escaped(produced: Mapping[str, bytes | str]) -> None:
    assert {name: escaped(data) for name, data in produced.items() if escaped(data)} == {}


def assert_files_are_clean(*folders: Path) -> None:
    files = {str(path): data for folder in folders for path, data in kept_in(folder) if path.name != "settings.json"}
    assert files
    assert_none_escaped(files)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(seconds=0, keys={KEY: 1000})
    yield made
    made.close()


@pytest.fixture
def environ(url: str, tmp_path: Path) -> dict[str, str]:
    return {
        **PLANTED,
        "APIFRAME_BASE_URL": url,
        "FLUX_NODES_HOME": str(tmp_path / "home"),
        "FLUX_NODES_WEBHOOK_URL": "http://127.0.0.1:9/hook",
    }


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """What all loggers say, down to the last detail."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield log
    root.setLevel(before)
    root.removeHandler(handler)


def test_the_search_finds_what_it_looks_for() -> None:
    for found in (f"a {KEY}.", repr(KEY), KEY.encode().hex(), b64encode(f"x{KEY}y".encode()), KEY.encode("utf-16-le")):
        assert escaped(found) == [KEY]

    namespace: dict[str, Any] = {}
    exec(compile("def crash(given):\n    raise ValueError(len(given))", "elsewhere.py", "exec"), namespace)  # noqa: S102 - a frame that is not this file's
    with pytest.raises(ValueError, match="20") as caught:
        namespace["crash"](KEY)
    assert escaped(report(caught.value)) == [KEY]
    assert escaped("a fox") == []


@pytest.mark.parametrize("fault", [None, *FAULTS], ids=lambda fault: fault_name(fault) if fault else "none")
async def test_the_core_keeps_it(
    environ: dict[str, str], sandbox: Sandbox, everything_logged: io.StringIO, tmp_path: Path, fault: Fault | None
) -> None:
    settings = Settings.load(environ).model_copy(update={"first_poll": 0.02, "timeout": 5})
    produced: dict[str, bytes | str] = {"settings": repr(settings) + str(settings) + settings.model_dump_json()}
    if fault is not None:
        sandbox.inject(fault)
    request = ImagineRequest(prompt="a field", model="flux-schnell", width=256, height=256)
    async with Generations.open(settings, door="test") as generations:
        try:
            done = await generations.wait((await generations.start(request)).id)
            produced["image"] = await generations.data(done)
        except FluxNodesError as error:
            produced["error"] = report(error)
        known = await generations.recent()
        produced["known"] = repr(known) + repr([vars(one) for one in known])
        produced["opened"] = repr(vars(generations)) + repr(request) + repr(await generations.account())
    produced["pickled"] = pickle.dumps(known, 0)
    produced["log"] = everything_logged.getvalue()
    assert_none_escaped(produced)
    assert_files_are_clean(tmp_path / "home")


async def test_an_unreachable_service_is_reported_without_it(environ: dict[str, str]) -> None:
    settings = Settings.load({**environ, "APIFRAME_BASE_URL": "http://127.0.0.1:1"})
    async with Generations.open(settings, door="test") as generations:
        with pytest.raises(FluxNodesError) as caught:
            await generations.account()
    assert_none_escaped({"error": report(caught.value)})


@pytest.mark.parametrize("wrong", [{"FLUX_NODES_TIMEOUT": "soon"}, {"APIFRAME_API_KEY": f"{KEY} ключ"}, {"broken": ""}])
def test_settings_that_cannot_be_used_are_reported_without_it(
    environ: dict[str, str], tmp_path: Path, wrong: dict[str, str]
) -> None:
    if "broken" in wrong:
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "settings.json").write_text(f'{{"api_key": "{KEY}"')
    with pytest.raises(InvalidSettings) as caught:
        Settings.load({**environ, **wrong})
    assert_none_escaped({"error": report(caught.value)})


def test_a_key_that_cannot_be_stored_is_reported_without_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(home=tmp_path / "file")
    for key in (KEY, f"{KEY} ключ"):
        with pytest.raises((OSError, InvalidSettings)) as caught:
            settings.store_key(key)
        assert_none_escaped({"error": report(caught.value)})


def test_the_terminal_keeps_it(environ: dict[str, str], sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "home-is-a-file").write_text("")
    workflow = str(ROOT / "workflows" / "text_to_image.json")
    produced: dict[str, bytes | str] = {}

    def typed(*words: str, stdin: str | None = None, **more: str) -> None:
        ended = Terminal(folder, {**environ, **more}).type(*words, stdin=stdin)
        produced[" ".join(words) + str(len(produced))] = f"{ended.out}\n{ended.err}"

    for fault in [None, *FAULTS]:
        if fault is not None:
            sandbox.inject(fault)
        typed("generate", "a fox", *SMALL, "--timeout", "5", *(("--json",) if len(produced) % 2 else ()))
    for words in (
        *(("doctor",), ("doctor", "--json"), ("account",), ("account", "--json"), ("list",), ("list", "--json")),
        *(("status", "g-nope"), ("resume",), ("retry", "g-nope"), ("generate", "a fox", "--width", "1")),
        *(("run", workflow, "--set", "width=256", "--set", "height=256"), ("check", workflow)),
        ("generate", "a fox", "--webhook-url", "http://127.0.0.1:9/", "--webhook-secret", SECRET, "--raw", "--json"),
    ):
        typed(*words)
    unset = {"APIFRAME_API_KEY": ""}
    typed("login", stdin=KEY, **unset)
    typed("account", **unset)
    typed("doctor", **unset)
    typed("login", "--no-check", stdin=f"{KEY} ключ", **unset)
    typed("login", "--no-check", stdin=KEY, FLUX_NODES_HOME=str(folder / "home-is-a-file"), **unset)
    typed("doctor", FLUX_NODES_TIMEOUT="soon")
    stored = tmp_path / "home" / "settings.json"
    assert_none_escaped(produced)
    assert_files_are_clean(tmp_path / "home", folder)
    assert KEY in stored.read_text()
    assert sys.platform == "win32" or stat.S_IMODE(stored.stat().st_mode) == 0o600


def test_a_process_keeps_it_even_where_it_crashes(environ: dict[str, str], sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    terminal = Terminal(folder, environ)
    sandbox.inject(Fault(where="submit", kind="refuse", status=400, body=ECHO, skip=1))
    produced: dict[str, bytes | str] = {}
    for words in (("generate", "a fox", *SMALL, "--json"), ("generate", "a fox", "--json"), ("doctor", "--json")):
        ended = terminal.run(*words)
        produced[str(words)] = ended.out + ended.err
    assert_none_escaped(produced)
    assert_files_are_clean(tmp_path / "home")


async def test_the_assistants_door_keeps_it(environ: dict[str, str], sandbox: Sandbox, tmp_path: Path) -> None:
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "mcp_server"], env={**environ, "PYTHONPATH": str(ROOT)}, cwd=ROOT
    )
    small = {"prompt": "a field", "width": 256, "height": 256, "wait_seconds": 10}
    calls: Iterable[tuple[str, dict[str, Any]]] = [
        *(("generate_image", small) for _ in [None, *FAULTS]),
        ("generate_image", {"width": 1, "nonsense": True, "webhook_secret": "x"}),
        ("generate_image", {**small, "image_prompt": str(tmp_path / "home" / "settings.json")}),
        ("get_generation", {"generation_id": "g-nope"}),
        ("view_image", {}),
        ("nonsense", {}),
        *((name, {}) for name in ("list_generations", "list_models", "get_account")),
    ]
    produced: dict[str, bytes | str] = {}
    with (tmp_path / "stderr").open("w+") as stderr:
        async with Client(stdio_client(parameters, errlog=stderr)) as client:
            for number, (name, arguments) in enumerate(calls):
                if 0 < number <= len(FAULTS):
                    sandbox.inject(FAULTS[number - 1])
                result = await client.call_tool(name, arguments)
                produced[f"{number} {name}"] = result.model_dump_json()
    assert_none_escaped(produced)
    assert_files_are_clean(tmp_path)


async def test_a_service_that_puts_the_key_into_addresses_and_names_finds_it_blotted_out(
    environ: dict[str, str], everything_logged: io.StringIO, tmp_path: Path
) -> None:
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def imagine(request: Request) -> JSONResponse:
        return JSONResponse({"task_id": f"task-{request.headers['authorization']}"})

    async def fetch(request: Request) -> JSONResponse:
        key = request.headers["authorization"]
        address = f"{request.base_url}{key}.png?key={key}"
        return JSONResponse({"task_id": "t", "status": "finished", "image_url": address})

    async def image(request: Request) -> JSONResponse:
        return JSONResponse({"path": request.url.path}, 403)

    routes = [
        Route("/flux-imagine", imagine, methods=["POST"]),
        Route("/fetch", fetch, methods=["POST"]),
        Route("/{name}", image),
    ]
    with serving(Starlette(routes=routes)) as server:  # type: ignore[arg-type]  # it serves any ASGI app
        settings = Settings.load({**environ, "APIFRAME_BASE_URL": server.url})
        async with Generations.open(settings, door="test") as generations:
            started = await generations.start(ImagineRequest(prompt="a field", model="flux-schnell"))
            with pytest.raises(FluxNodesError) as caught:
                await generations.refresh(started.id)
            known = await generations.get(started.id)
    assert known.task_id == "task-***"
    assert str(known.image_url).endswith("/***.png?key=***")
    assert_none_escaped({"known": repr(known), "error": report(caught.value), "log": everything_logged.getvalue()})
    assert_files_are_clean(tmp_path / "home")
