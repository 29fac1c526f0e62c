"""Run a Python program with some of its imports answered by stubs.

`python shim.py NAMES PROGRAM [ARGUMENT…]`.
ComfyUI imports, at its start, libraries that only models use, gigabytes of them. NAMES are those libraries'
top-level names, joined by commas; everything asked of them is answered with a class that takes any call.
It runs in ComfyUI's own environment and knows the standard library only.
"""

from __future__ import annotations

import runpy
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence


class _Permissive(type):
    """The class of stub classes: any attribute of a stub class is a stub class again."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stub_class(name)


def _stub_class(name: str) -> type:
    return _Permissive(name, (), {"__init__": _take_anything, "__call__": _take_anything})


def _take_anything(_self: object, *_positional: object, **_named: object) -> None:
    return None


class StubModule(ModuleType):
    """A module, and a package, that has every name."""

    __path__: MutableSequence[str] = []  # noqa: RUF012 (a package has one; nothing is ever put into it)

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stub_class(name)


class StubFinder(MetaPathFinder, Loader):
    """Answers the import of the given top-level names, and of all below them, with stub modules."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(self, fullname: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in self._names:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StubModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave the stub as it was made."""


def main(arguments: Sequence[str]) -> None:
    """Put the stubs in place, then become the program."""
    names, program, *rest = arguments
    sys.meta_path.insert(0, StubFinder(names.split(",")))
    sys.argv = [program, *rest]
    sys.path[0] = str(Path(program).parent)
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
