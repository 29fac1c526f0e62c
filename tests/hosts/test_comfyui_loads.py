"""The pack in a genuine ComfyUI, as cloned into its custom nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flux_nodes.nodes import NODES
from tests.hosts import pack

if TYPE_CHECKING:
    from tests.hosts.comfyui import Comfyui


def test_the_pack_is_imported_without_a_failure(comfyui: Comfyui) -> None:
    said = comfyui.log.text()

    assert f"custom_nodes/{pack.NAME}" in said
    assert "IMPORT FAILED" not in said


def test_every_node_of_the_pack_is_offered(comfyui: Comfyui) -> None:
    offered = comfyui.object_info()

    ours = {name for name, node in offered.items() if node["python_module"] == f"custom_nodes.{pack.NAME}"}
    assert ours == {node.id for node in NODES}
