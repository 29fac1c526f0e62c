"""ComfyUI's windows, where there is no ComfyUI."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from tests.comfy.windows import Windows


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Windows:
    """Hear what is sent to them."""
    server, windows = ModuleType("server"), Windows()
    monkeypatch.setattr(server, "PromptServer", SimpleNamespace(instance=windows), raising=False)
    monkeypatch.setitem(sys.modules, "server", server)
    return windows
