from __future__ import annotations

import subprocess
import sys

import pytest

import flux_nodes.core

HEAVY = ("torch", "comfy", "mcp", "mcp_types", "sqlalchemy", "starlette", "uvicorn", "rich", "click", "PIL", "numpy")


def loaded_by(module: str) -> set[str]:
    code = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "module", ["flux_nodes", "flux_nodes.core", "flux_nodes.core.catalog", "flux_nodes.nodes", "flux_nodes.comfy"]
)
def test_importing_a_room_loads_nothing_heavy(module: str) -> None:
    assert not loaded_by(module) & {*HEAVY, "httpx2", "pydantic"}


@pytest.mark.parametrize("module", ["flux_nodes.core.request", "flux_nodes.core.client", "flux_nodes.core.settings"])
def test_importing_what_a_request_needs_loads_no_image_library_and_no_database(module: str) -> None:
    assert not loaded_by(module) & set(HEAVY)


def test_every_public_name_of_the_core_can_be_loaded() -> None:
    for name in flux_nodes.core.__all__:
        assert getattr(flux_nodes.core, name).__name__ == name
    assert sorted(flux_nodes.core.__all__) == flux_nodes.core.__all__
    with pytest.raises(AttributeError):
        _ = flux_nodes.core.Nonsense
