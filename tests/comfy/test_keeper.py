"""What stopped nodes leave behind: it is told once for all nodes of a prompt, and collected."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio

from flux_nodes.comfy import background, keeper
from flux_nodes.core import ImagineRequest

if TYPE_CHECKING:
    from flux_nodes.core import Generations, Settings
    from tests.comfy.windows import Windows


async def test_what_the_nodes_of_a_prompt_leave_behind_is_told_in_one_notice_and_collected(
    generations: Generations, settings: Settings, windows: Windows
) -> None:
    requests = [ImagineRequest(model="flux-schnell", prompt="a", width=256, height=256, seed=each) for each in (1, 2)]
    ids = [(await generations.start(request)).id for request in requests]

    async def stop() -> None:
        for id_ in ids:
            keeper.leave("a prompt", settings, [id_], window="mine")

    await asyncio.wrap_future(background.start(stop()))
    with anyio.fail_after(60):
        for id_ in ids:
            while (await generations.get(id_)).status != "stored" or not windows.notices():  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.02)
    (notice,) = windows.notices()
    assert notice["severity"] == "info"
    assert all(id_ in notice["detail"] for id_ in ids)
