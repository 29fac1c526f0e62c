"""What every room's tests start from: a sandbox served over real HTTP, and a home of its own."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from flux_nodes.core import Generations, Settings
from flux_nodes.sandbox import Sandbox, serving
from tests.delay import Delay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


# Where the tests run in the background, SIGINT is ignored, and every process that they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine, or the first import of the image libraries in mid-example, is no fault of a property.
hypothesis_settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("ours")


_LONGEST_FIRST = ("hosts", "docs", "mcp_server", "cli", "core")
"""The folders whose files take longest: a worker that began one of these last would keep the others waiting."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the longest files forward; within a file the order stays."""
    here = Path(__file__).parent
    folders = {name: at for at, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: folders.get(item.path.relative_to(here).parts[0], len(folders)))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the developer's own key, home and proxies out of every test."""
    for name in (
        "APIFRAME_API_KEY",
        "APIFRAME_BASE_URL",
        "FLUX_NODES_JOURNAL",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("FLUX_NODES_HOME", str(tmp_path / "home"))


@pytest.fixture
def delay() -> Delay:
    """What holds back the sandbox's slow replies."""
    return Delay()


@pytest.fixture
def sandbox(delay: Delay) -> Iterator[Sandbox]:
    """A sandbox whose tasks are finished when they are first asked for."""
    made = Sandbox(seconds=0, sleep=delay)
    yield made
    made.close()


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    """Where the sandbox is served."""
    with serving(sandbox) as server:
        yield server.url


@pytest.fixture
def settings(url: str, tmp_path: Path) -> Settings:
    """Settings that lead to the sandbox."""
    return Settings.model_validate(
        {"api_key": "sandbox", "base_url": url, "home": tmp_path / "home", "first_poll": 0.02, "timeout": 60}
    )


@pytest.fixture
async def generations(settings: Settings) -> AsyncIterator[Generations]:
    async with Generations.open(settings, door="test") as opened:
        yield opened
