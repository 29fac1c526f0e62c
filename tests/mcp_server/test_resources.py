from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import BlobResourceContents
from PIL import Image

from flux_nodes.sandbox import Quirks, Sandbox, serving
from mcp_server.server import build
from tests.mcp_server.answers import facts

if TYPE_CHECKING:
    from flux_nodes.core import Settings

SMALL = {"prompt": "a sunflower field", "width": 256, "height": 256}


async def read(client: Client, generation_id: str) -> tuple[bytes, str | None]:
    (found,) = (await client.read_resource(f"flux-nodes://generations/{generation_id}/image")).contents
    assert isinstance(found, BlobResourceContents)
    return base64.b64decode(found.blob), found.mime_type


async def test_the_image_of_a_generation_is_read_as_the_file_that_was_told(client: Client) -> None:
    made = facts(await client.call_tool("generate_image", SMALL))

    data, media_type = await read(client, made["generation_id"])

    assert media_type == "image/png"
    assert data == contents(made["file"])


def contents(file: str) -> bytes:
    return Path(file).read_bytes()


async def test_the_template_is_listed(client: Client) -> None:
    (template,) = (await client.list_resource_templates()).resource_templates

    assert template.uri_template == "flux-nodes://generations/{generation_id}/image"
    assert template.mime_type == "image/png"


@pytest.mark.parametrize("id_", ["g-none", "..%2F..%2Fsettings.json"])
async def test_an_image_that_does_not_exist_is_an_error(client: Client, id_: str) -> None:
    with pytest.raises(MCPError):
        await read(client, id_)


async def test_an_image_that_is_not_there_yet_is_an_error_that_names_the_next_call(slow_client: Client) -> None:
    made = facts(await slow_client.call_tool("generate_image", {**SMALL, "wait_seconds": 0}))

    with pytest.raises(MCPError, match="get_generation"):
        await read(slow_client, made["generation_id"])


async def test_a_jpeg_is_read_as_the_png_of_its_pixels_that_the_template_promises(settings: Settings) -> None:
    sandbox = Sandbox(seconds=0, quirks=Quirks(image_type="jpeg"))
    with serving(sandbox) as server:
        jpegs = settings.model_copy(update={"base_url": server.url})
        async with Client(build(lambda: jpegs)) as client:
            made = facts(await client.call_tool("generate_image", SMALL))
            data, media_type = await read(client, made["generation_id"])
    sandbox.close()

    sent = Image.open(made["original"])
    shown = Image.open(io.BytesIO(data))
    assert (sent.format, shown.format, media_type) == ("JPEG", "PNG", "image/png")
    assert shown.convert("RGB").tobytes() == sent.convert("RGB").tobytes()
