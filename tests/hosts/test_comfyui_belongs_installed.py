"""However the pack came into ComfyUI's custom nodes, all of it is within reach there."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

import flux_nodes
from flux_nodes.nodes import NODES
from tests.hosts import pack, places
from tests.hosts.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.hosts.comfyui import Comfyui
    from tests.hosts.conftest import OpenFrontend, StartComfyui

WEB = ROOT / "flux_nodes" / "comfy" / "web"
_READ_PROJECT = """
import sys
from comfy_config.config_parser import extract_node_configuration
print(extract_node_configuration(sys.argv[1]).model_dump_json())
"""

LANGUAGES = ("en", "zh", "ja", "ko", "fr", "de", "es", "ru")


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to install the pack: how its files come, and the name of their folder."""

    install: Callable[[Path, Path], None]
    folder: str = pack.NAME


WAYS = {
    "cloned": Way(install=pack.copy_clone),
    "from the registry": Way(install=pack.unpack_registry_zip),
    # As the archive of a release unpacks; ComfyUI makes a module's name of it, dots and all.
    "in a folder of another name": Way(install=pack.copy_clone, folder="ComfyUI-Flux-Nodes-0.4.0"),
}


@dataclass(frozen=True)
class Installed:
    """The pack in a running ComfyUI."""

    server: Comfyui
    folder: str
    files: Path

    def web(self, path: str) -> bytes:
        """Fetch a file of the web extension."""
        return self.server.get(f"/extensions/{self.folder}/{quote(path)}")


@pytest.fixture(scope="module", params=WAYS.values(), ids=list(WAYS))
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, start_comfyui: StartComfyui
) -> Iterator[Installed]:
    way: Way = request.param
    files = tmp_path_factory.mktemp("installed") / way.folder
    way.install(ROOT, files)
    server = start_comfyui({}, packs={way.folder: files})
    yield Installed(server, way.folder, files)
    server.stop()


def files_in(folder: Path, pattern: str = "*") -> list[str]:
    """Name the files in and below a folder, of which there must be some."""
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob(pattern) if file.is_file())
    assert names, f"{folder} has no {pattern}"
    return names


def test_every_node_is_offered(installed: Installed) -> None:
    said = installed.server.log.text()
    offered = installed.server.object_info()
    ours = {name for name, node in offered.items() if node["python_module"] == f"custom_nodes.{installed.folder}"}

    assert ours == {node.id for node in NODES}
    assert "IMPORT FAILED" not in said


def test_comfyui_reads_in_the_project_file_whose_pack_it_is_and_which_comfyui_it_needs(installed: Installed) -> None:
    said = subprocess.check_output(
        [places.COMFYUI_PYTHON, "-c", _READ_PROJECT, installed.files], cwd=places.COMFYUI_TREE, text=True
    )
    read = json.loads(said)
    project, comfy = read["project"], read["tool_comfy"]

    # The registry's name for the pack; ComfyUI-Manager installs under it.
    assert (project["name"], project["version"]) == (pack.NAME, flux_nodes.__version__)
    assert project["license"]["text"] == "MIT"
    assert project["supported_comfyui_version"] == ">=0.3.75"
    assert comfy["display_name"] == "Flux Nodes"
    # The web extension is named by __init__.py; named here as well, it would be loaded twice.
    assert comfy["web"] is None


def test_every_file_of_the_web_extension_is_served(installed: Installed) -> None:
    for name in files_in(WEB):
        assert installed.web(name) == (WEB / name).read_bytes(), name


def test_every_script_of_the_web_extension_is_loaded_by_the_frontend(installed: Installed) -> None:
    loaded = json.loads(installed.server.get("/extensions"))
    ours = {path for path in loaded if path.startswith(f"/extensions/{installed.folder}/")}

    assert ours == {f"/extensions/{installed.folder}/{name}" for name in files_in(WEB, "*.js")}


def test_every_node_has_its_help_page(installed: Installed) -> None:
    for node in NODES:
        assert installed.web(f"docs/{node.id}.md").startswith(b"# "), node.id


def test_every_node_and_input_has_its_words_in_every_language(installed: Installed) -> None:
    translations = json.loads(installed.server.get("/i18n"))

    for language in LANGUAGES:
        words = translations[language]["nodeDefs"]
        for node in NODES:
            assert words[node.id]["display_name"], (language, node.id)
            assert words[node.id].get("inputs", {}).keys() >= {item.name for item in node.inputs}, (language, node.id)


def test_every_template_is_listed_with_its_drawing_and_its_thumbnail(installed: Installed) -> None:
    names = [name.removesuffix(".json") for name in files_in(ROOT / "workflows", "*.json")]
    listed = json.loads(installed.server.get("/api/workflow_templates"))

    assert sorted(listed[installed.folder]) == names
    for name in names:
        at = f"/api/workflow_templates/{installed.folder}/{name}"
        assert json.loads(installed.server.get(f"{at}.json")) == json.loads(
            (ROOT / "workflows" / f"{name}.json").read_text("utf-8")
        )
        assert installed.server.get(f"{at}.jpg").startswith(b"\xff\xd8"), name


def test_every_subgraph_is_offered_as_a_blueprint(installed: Installed) -> None:
    names = [name.removesuffix(".json") for name in files_in(ROOT / "subgraphs", "*.json")]
    offered = json.loads(installed.server.get("/global_subgraphs"))
    ours = {
        entry["name"]: id_
        for id_, entry in offered.items()
        if entry["info"]["node_pack"] == f"custom_nodes.{installed.folder}"
    }

    assert sorted(ours) == names
    for name, id_ in ours.items():
        text: str = json.loads(installed.server.get(f"/global_subgraphs/{id_}"))["data"]
        assert json.loads(text)["definitions"]["subgraphs"], name
        # ComfyUI reads it in the encoding of the machine that it runs on.
        assert text.isascii(), name


def test_the_web_extension_starts_in_the_frontend(installed: Installed, open_frontend: OpenFrontend) -> None:
    frontend = open_frontend(installed.server)
    extensions = frontend.page.evaluate("() => window.app.extensions.map(extension => extension.name)")

    assert [name for name in extensions if "flux" in name.lower()]
    assert frontend.console_errors == []


def test_the_registry_gives_what_an_artist_needs_and_no_tests(tmp_path: Path) -> None:
    pack.unpack_registry_zip(ROOT, tmp_path / "unpacked")
    names = set(files_in(tmp_path / "unpacked"))

    assert {"__init__.py", "pyproject.toml", "requirements.txt", "README.md", "LICENSE"} <= names
    assert {name.partition("/")[0] for name in names}.isdisjoint({"tests", "bench", ".cache"})
    assert sum((tmp_path / "unpacked" / name).stat().st_size for name in names) < 8_000_000
