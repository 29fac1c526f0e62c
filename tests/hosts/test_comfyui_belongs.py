"""The pack among the others of a genuine ComfyUI: it adds its own nodes, and nothing else changes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from flux_nodes.nodes import NODES
from tests.hosts import pack

if TYPE_CHECKING:
    from tests.hosts.comfyui import Comfyui
    from tests.hosts.conftest import StartComfyui

# What the pack needs and ComfyUI does not.
OWN_LIBRARIES = ("httpx2", "httpcore2", "platformdirs", "starlette", "uvicorn")

OURS = {node.id for node in NODES}
# Saved workflows name them, so no id is ever given up.
EVER_OFFERED = {"FluxImagine", "FluxSubmit", "FluxFetch", "FluxAccount", "FluxContactSheet"}


@pytest.fixture(scope="module")
def alone(start_comfyui: StartComfyui) -> Comfyui:
    """A ComfyUI with all nodes that it brings along, those of its API partners too, and with no pack."""
    return start_comfyui({}, packs={}, api_nodes=True)


@pytest.fixture(scope="module")
def together(start_comfyui: StartComfyui) -> Comfyui:
    """The same with our pack; its log tells every import of a module."""
    return start_comfyui({"PYTHONPROFILEIMPORTTIME": "1"}, api_nodes=True)


def test_comfyuis_own_api_nodes_are_there_to_be_compared_with(alone: Comfyui) -> None:
    assert any(node.get("api_node") for node in alone.object_info().values())


def test_the_pack_adds_its_own_nodes_and_no_other_node_vanishes_or_changes(alone: Comfyui, together: Comfyui) -> None:
    before, after = alone.object_info(), together.object_info()

    assert after.keys() - before.keys() == OURS
    assert {name: node for name, node in after.items() if name not in OURS} == before


def test_every_node_of_an_earlier_version_is_still_offered(together: Comfyui) -> None:
    assert together.object_info().keys() >= EVER_OFFERED


def test_every_node_of_ours_is_known_as_this_packs(together: Comfyui) -> None:
    offered = together.object_info()

    assert {offered[name]["python_module"] for name in OURS} == {f"custom_nodes.{pack.NAME}"}


def test_nothing_fails_to_import(together: Comfyui) -> None:
    said = together.log.text()

    assert f"custom_nodes/{pack.NAME}" in said
    assert "IMPORT FAILED" not in said
    assert "Traceback" not in said


def test_comfyui_starts_without_the_libraries_that_only_the_pack_needs(together: Comfyui) -> None:
    imported = set(re.findall(r"^import time:.*\| +(\S+)$", together.log.text(), re.MULTILINE))

    assert "aiohttp" in imported
    assert [name for name in OWN_LIBRARIES if name in imported] == []


def test_the_pack_asks_for_no_account_of_comfyuis_vendor(together: Comfyui) -> None:
    offered = together.object_info()

    assert [name for name in OURS if offered[name]["api_node"]] == []
