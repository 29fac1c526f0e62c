from __future__ import annotations

import subprocess
import sys

import flux_nodes.graph

CHECK = """
import sys
import flux_nodes.graph
print(sorted(name for name in ("numpy", "PIL", "pydantic", "sqlalchemy", "httpx2") if name in sys.modules))
from flux_nodes.graph import Folders, Registry, check, read_workflow, run, stock_nodes
import flux_nodes.graph.provenance, flux_nodes.graph.verify
print(sorted(name for name in ("numpy", "PIL", "sqlalchemy", "httpx2", "mcp", "torch", "c2pa") if name in sys.modules))
"""


def test_importing_the_room_loads_nothing_heavy_until_pixels_are_touched() -> None:
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


def test_every_public_name_is_there() -> None:
    assert sorted(flux_nodes.graph.__all__) == flux_nodes.graph.__all__
    for name in flux_nodes.graph.__all__:
        assert getattr(flux_nodes.graph, name) is not None


def test_a_public_name_never_turns_into_a_module_of_the_same_name() -> None:
    from flux_nodes.graph import check, run

    assert callable(check)
    assert callable(run)
