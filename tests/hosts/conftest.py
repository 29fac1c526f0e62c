"""Real hosts as fixtures. A host that is not installed fails its tests; it never skips them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from flux_nodes.sandbox import Sandbox, serving
from tests import signing
from tests.cli.terminal import Terminal
from tests.delay import Delay
from tests.hosts import pack, places
from tests.hosts.comfyui import Comfyui, FrontendAge
from tests.hosts.frontend import Frontend, started_browser
from tests.hosts.inspector import Inspector
from tests.hosts.postgresql import Postgresql
from tests.hosts.running import Clock
from tests.hosts.web import KEY

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.hosts.places import Host


class StartComfyui(Protocol):
    """Starts a ComfyUI with an environment of its own; its one pack, unless some are named, is a clone of ours."""

    def __call__(
        self,
        environment: Mapping[str, str],
        *,
        packs: Mapping[str, Path] | None = None,
        frontend: FrontendAge = "paired",
        api_nodes: bool = False,
    ) -> Comfyui: ...


OpenFrontend = Callable[[Comfyui], Frontend]

_HERE = Path(__file__).parent
_LONGEST = 400.0
"""Seconds that a test may take with the hosts that it starts; each thing that it waits for has a bound of its own."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of this folder's tests."""
    config.addinivalue_line("markers", "host: needs a real host: ComfyUI, a browser, the MCP Inspector, or PostgreSQL")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, so that `-m "not host"` leaves them out, and allow for the start of its hosts."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker("host")
            item.add_marker(pytest.mark.timeout(_LONGEST))


@pytest.fixture(scope="session")
def pack_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give this repository as a clone of it would be."""
    copy = tmp_path_factory.mktemp("pack") / pack.NAME
    pack.copy_clone(places.ROOT, copy)
    return copy


@pytest.fixture(scope="session")
def comfyui(pack_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfyui]:
    """Start a ComfyUI without any key, for all tests that need no other."""
    _demand("comfyui")
    server = Comfyui(tmp_path_factory.mktemp("comfyui"), {pack.NAME: pack_copy}, {})
    yield server
    server.stop()


@pytest.fixture(scope="module")
def start_comfyui(pack_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartComfyui]:
    """Start ComfyUIs that run until the module's last test is done."""
    _demand("comfyui")
    with ExitStack() as servers:

        def start(
            environment: Mapping[str, str],
            *,
            packs: Mapping[str, Path] | None = None,
            frontend: FrontendAge = "paired",
            api_nodes: bool = False,
        ) -> Comfyui:
            if frontend == "newest":
                _demand("newest-frontend")
            server = Comfyui(
                tmp_path_factory.mktemp("comfyui"),
                {pack.NAME: pack_copy} if packs is None else packs,
                environment,
                frontend=frontend,
                api_nodes=api_nodes,
            )
            servers.callback(server.stop)
            return server

        yield start


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium for one module, whose tests must all be sync: while it runs, no async test can."""
    _demand("browser")
    with started_browser() as started:
        yield started


@pytest.fixture
def open_frontend(browser: Browser) -> Iterator[OpenFrontend]:
    """Open the frontend of a ComfyUI, with no memory of earlier visits."""
    with ExitStack() as visits:

        def visit(server: Comfyui) -> Frontend:
            context = visits.enter_context(browser.new_context(viewport={"width": 1600, "height": 1000}))
            return Frontend(context.new_page(), server)

        yield visit


@pytest.fixture(scope="module")
def clock() -> Clock:
    """Give the clock of a module's service."""
    return Clock()


@pytest.fixture(scope="module")
def delay() -> Delay:
    """Give what holds back the slow replies of a module's service."""
    return Delay()


@pytest.fixture(scope="module")
def service(clock: Clock, delay: Delay) -> Iterator[Sandbox]:
    """Give a service that knows KEY, and that signs its pictures."""
    made = Sandbox(keys={KEY: 1000}, seconds=0.5, clock=clock, sleep=delay, finish=signing.sign)
    yield made
    made.close()


@pytest.fixture(scope="module")
def address(service: Sandbox) -> Iterator[str]:
    """Serve it."""
    with serving(service) as server:
        yield server.url


@pytest.fixture(scope="module")
def host(address: str, start_comfyui: StartComfyui) -> Comfyui:
    """Start a ComfyUI whose FLUX nodes reach the service; modules that want another have their own."""
    return start_comfyui({"APIFRAME_BASE_URL": address, "APIFRAME_API_KEY": KEY})


@pytest.fixture(scope="module")
def visit(host: Comfyui, browser: Browser) -> Iterator[Frontend]:
    """Open the frontend of the module's `host`: one visit for all its tests."""
    with browser.new_context(viewport={"width": 1600, "height": 1000}) as context:
        yield Frontend(context.new_page(), host)


@pytest.fixture
def frontend(visit: Frontend) -> Iterator[Frontend]:
    """Give that visit with an empty canvas; nothing of ours may complain in the console meanwhile."""
    visit.load_graph({"version": 0.4, "nodes": [], "links": [], "last_node_id": 0, "last_link_id": 0})
    visit.console_errors.clear()
    yield visit
    assert visit.console_errors == []


@pytest.fixture
def terminal(host: Comfyui, address: str, tmp_path: Path) -> Terminal:
    """Give a terminal of the person whose `host` it is, who has set a key there."""
    home = host.base / "home" / "flux-nodes"
    return Terminal(tmp_path, {"FLUX_NODES_HOME": str(home), "APIFRAME_BASE_URL": address, "APIFRAME_API_KEY": KEY})


@pytest.fixture
def comfyui_page(open_frontend: OpenFrontend, comfyui: Comfyui) -> Frontend:
    """Open the frontend of the ComfyUI without any key."""
    return open_frontend(comfyui)


@pytest.fixture(scope="session")
def inspector(tmp_path_factory: pytest.TempPathFactory) -> Inspector:
    """Give the MCP Inspector."""
    _demand("inspector")
    return Inspector(tmp_path_factory.mktemp("inspector"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """Start a PostgreSQL for all tests."""
    _demand("postgresql")
    programs = places.postgresql()
    assert programs is not None, "that is what was demanded"
    server = Postgresql(programs)
    yield server
    server.stop()


def _demand(host: Host) -> None:
    if not places.is_installed(host):
        pytest.fail(f"{host} is not installed as these tests need it; install it by `{places.COMMAND}`", pytrace=False)
