"""What ComfyUI is told where its Python is older than this package needs."""

from __future__ import annotations

import subprocess
import sys

from tests.hosts.places import ROOT

OLD = """
import importlib.util, logging, sys
logging.basicConfig(format="%(message)s")
sys.version_info = (3, 10, 13)
spec = importlib.util.spec_from_file_location("pack", sys.argv[1], submodule_search_locations=[])
pack = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pack)
print(pack.NODE_CLASS_MAPPINGS)
"""


def test_on_an_older_python_comfyui_is_told_in_one_sentence_and_loads_no_node() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OLD, str(ROOT / "__init__.py")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "{}\n"
    (sentence,) = done.stderr.splitlines()
    assert sentence == (
        "Flux Nodes needs Python 3.11 or newer, and this ComfyUI runs on Python 3.10: its nodes were not loaded."
    )
