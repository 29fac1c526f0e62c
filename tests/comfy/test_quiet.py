"""What we log in ComfyUI's process, and what we leave to others there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import httpx2

from flux_nodes.comfy.routes_opening import opened
from flux_nodes.comfy.shared import shared
from flux_nodes.core import ImagineRequest

if TYPE_CHECKING:
    import pytest

    from flux_nodes.core import Settings


async def test_our_requests_are_not_logged_and_those_of_other_packs_are(
    settings: Settings, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    def logged() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "httpx2"]

    request = ImagineRequest(model="flux-schnell", prompt="a whisper", width=256, height=256)
    with caplog.at_level(logging.INFO):
        async with shared(settings) as generations:
            await generations.wait((await generations.start(request)).id)
        async with opened(settings) as generations:
            await generations.account()
        assert logged() == []
        async with httpx2.AsyncClient(trust_env=False) as theirs:
            await theirs.get(url)
        assert [url in message for message in logged()] == [True]
