"""The pack with a catalog that has one more model and more parameters, of every kind and at every position."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

PACKAGE = Path(__file__).parents[1] / "flux_nodes"
CATALOG = Path("core", "catalog.py")

MODEL = "flux-next"
MODELS = f'    Model(name="{MODEL}", label="FLUX next", description="of a later version"),\n'

FIRST = """\
    Parameter(name="quality", label="Quality", kind="integer", models=_ALL, minimum=1, maximum=100, default=80,
              description="With a default of the page."),
    Parameter(name="tone", label="Tone", kind="text", models=_ALL, choices=("warm", "cold"),
              description="With choices, and nothing that says which is usual."),
"""
MIDDLE = """\
    Parameter(name="tiled", label="Tiled", kind="boolean", models=_ALL, guide=Guide(default=True),
              description="On unless it is switched off."),
    Parameter(name="sharpness", label="Sharpness", kind="number", models=_ALL, minimum=0, maximum=1,
              description="Without any default."),
    Parameter(name="avoid", label="Avoid", kind="text", models=_ALL, description="A text."),
"""
LAST = """\
    Parameter(name="format", label="Format", kind="text", models=_ALL, choices=("png", "jpeg"), default="jpeg",
              description="With choices and a default."),
    Parameter(name="shape", label="Shape", kind="ratio", models=("flux-next",), description="Of the new model only."),
"""

NEW: dict[str, Any] = {
    "quality": 80,
    "tone": "(left to the model)",
    "tiled": True,
    "sharpness": -1.0,
    "avoid": "",
    "format": "jpeg",
    "shape": "",
}
"""The new widgets of a generating node, in their order, with the values that leave them to the model."""


def larger(source: str) -> str:
    """Put the model and the parameters into the catalog's source."""
    for before, added in (
        ("MODELS: tuple[Model, ...] = (\n", MODELS),
        ("PARAMETERS: tuple[Parameter, ...] = (\n", FIRST),
    ):
        assert source.count(before) == 1
        source = source.replace(before, before + added)
    middle, last = source.index('    Parameter(\n        name="steps"'), source.index(")\n\n_MODEL_BY_NAME")
    return source[:middle] + MIDDLE + source[middle:last] + LAST + source[last:]


class _Loader(SourceFileLoader):
    """Loads the catalog's file with more in it."""

    def get_code(self, fullname: str) -> Any:
        del fullname
        return compile(larger(Path(self.path).read_text("utf-8")), self.path, "exec", dont_inherit=True)


class _Finder:
    def __init__(self, package: str) -> None:
        self._name = ".".join((package, *CATALOG.with_suffix("").parts))

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        del path, target
        if name != self._name:
            return None
        file = str(PACKAGE / CATALOG)
        return importlib.util.spec_from_file_location(name, file, loader=_Loader(name, file))


def load(package: str = "flux_nodes_with_more") -> ModuleType:
    """Import the pack a second time, under another name as ComfyUI does, with the larger catalog."""
    if package not in sys.modules:
        sys.meta_path.insert(0, _Finder(package))
        spec = importlib.util.spec_from_file_location(
            package, PACKAGE / "__init__.py", submodule_search_locations=[str(PACKAGE)]
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[package] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[package])
    return sys.modules[package]


def module(name: str) -> Any:
    """Import a module of the pack with the larger catalog: "nodes", "core.request", …."""
    return importlib.import_module(f"{load().__name__}.{name}")
