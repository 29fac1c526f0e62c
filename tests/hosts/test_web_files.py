"""The web extension's files in the eyes of a formatter and linter."""

from __future__ import annotations

import subprocess

from tests.hosts import places

WEB = places.ROOT / "flux_nodes" / "comfy" / "web"
CONFIGURATION = places.ROOT / "tests" / "hosts" / "biome.json"


def test_scripts_and_styles_are_formatted_and_without_a_complaint() -> None:
    assert places.is_installed("biome"), f"install it by `{places.COMMAND}`"
    program = [str(places.NODE), str(places.BIOME_JS)]
    options = ["ci", f"--config-path={CONFIGURATION}", "--colors=off", "--error-on-warnings"]
    files = sorted(str(file) for kind in ("*.js", "*.css") for file in WEB.glob(kind))
    done = subprocess.run([*program, *options, *files], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Checked {len(files)} files" in done.stdout + done.stderr
