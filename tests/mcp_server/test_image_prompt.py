from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.core.test_image_prompt import bits
from tests.mcp_server.answers import facts, refusal

if TYPE_CHECKING:
    from mcp import Client

    from flux_nodes.core import Settings
    from flux_nodes.sandbox import Sandbox

SMALL = {"prompt": "a", "width": 256, "height": 256}


@pytest.fixture
def mode() -> str:
    """One era will do: nothing here depends on the protocol."""
    return "auto"


def picture(form: str = "PNG", colour: str = "teal") -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(target, form)
    return target.getvalue()


def sent(sandbox: Sandbox) -> bytes:
    """The image prompt of the last submit."""
    body = [request.json for request in sandbox.requests if request.path == "/flux-imagine"][-1]
    return base64.b64decode(body["image_prompt"], validate=True)


async def generate(client: Client, image_prompt: str) -> None:
    facts(await client.call_tool("generate_image", {**SMALL, "image_prompt": image_prompt}))


async def refused(client: Client, image_prompt: object) -> str:
    given = {**SMALL, "image_prompt": image_prompt}
    return refusal(await client.call_tool("generate_image", given), "invalid_request")


async def test_the_image_of_a_generation_serves_as_a_prompt_by_its_id(client: Client, sandbox: Sandbox) -> None:
    first = facts(await client.call_tool("generate_image", SMALL))

    await generate(client, first["generation_id"])

    assert hashlib.sha256(sent(sandbox)).hexdigest() == first["sha256"]


@pytest.mark.parametrize("told", ["file", "original"])
async def test_a_file_that_was_told_serves_as_a_prompt_and_its_graph_stays_here(
    client: Client, sandbox: Sandbox, told: str
) -> None:
    first = facts(await client.call_tool("generate_image", SMALL))

    await generate(client, first[told])

    assert hashlib.sha256(sent(sandbox)).hexdigest() == first["sha256"]


async def test_a_stored_file_that_was_damaged_is_sent_only_after_it_was_collected_again(
    client: Client, sandbox: Sandbox
) -> None:
    first = facts(await client.call_tool("generate_image", SMALL))
    await asyncio.to_thread(Path(first["original"]).write_bytes, picture())

    words = refusal(
        await client.call_tool("generate_image", {**SMALL, "image_prompt": first["original"]}), "invalid_request"
    )

    assert "was damaged since it was stored" in words
    assert sandbox.charges == 1
    await generate(client, first["generation_id"])
    assert hashlib.sha256(sent(sandbox)).hexdigest() == first["sha256"]


async def test_a_file_of_an_allowed_folder_serves_as_a_prompt(client: Client, sandbox: Sandbox, pictures: Path) -> None:
    file = pictures / "below" / "teal.png"
    file.parent.mkdir()
    file.write_bytes(picture())

    await generate(client, str(file))

    assert sent(sandbox) == picture()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("prefix", ["", "data:image/any;base64,"])
async def test_base64_serves_as_a_prompt_also_where_it_looks_like_a_path(
    client: Client, sandbox: Sandbox, form: str, prefix: str
) -> None:
    await generate(client, prefix + base64.b64encode(picture(form)).decode())

    assert sent(sandbox) == picture(form)


async def test_a_folder_reached_by_a_link_is_the_same_folder(
    client: Client, sandbox: Sandbox, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "teal.png").write_bytes(picture())
    (tmp_path / "linked").symlink_to(pictures, target_is_directory=True)

    words = await refused(client, str(tmp_path / "linked" / "teal.png"))

    assert "image_prompt" in words  # its own name is not allowed; the folder's is
    await generate(client, str(pictures / "teal.png"))
    assert sent(sandbox) == picture()


async def test_a_file_elsewhere_is_not_read_and_reads_the_same_whether_it_is_there_or_not(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    there = tmp_path / "mine.png"
    there.write_bytes(picture())

    words = await refused(client, str(there))
    other = await refused(client, str(tmp_path / "none.png"))

    assert words == other
    assert sandbox.requests == []


@pytest.mark.parametrize("way", ["../mine.png", "below/../../mine.png", "link.png", "folder/mine.png"])
async def test_no_way_leads_out_of_an_allowed_folder(
    client: Client, sandbox: Sandbox, pictures: Path, tmp_path: Path, way: str
) -> None:
    (tmp_path / "mine.png").write_bytes(picture())
    (pictures / "link.png").symlink_to(tmp_path / "mine.png")
    (pictures / "folder").symlink_to(tmp_path, target_is_directory=True)

    await refused(client, f"{pictures}/{way}")

    assert sandbox.requests == []


async def test_a_link_in_a_circle_and_a_folder_are_no_files(client: Client, pictures: Path) -> None:
    (pictures / "circle.png").symlink_to(pictures / "circle.png")

    await refused(client, str(pictures / "circle.png"))
    await refused(client, str(pictures))


async def test_a_file_that_is_no_image_is_refused_without_a_word_of_what_it_holds(
    client: Client, pictures: Path
) -> None:
    (pictures / "note.txt").write_text("the safe opens with 1234")

    words = await refused(client, str(pictures / "note.txt"))

    assert "1234" not in words


async def test_a_file_larger_than_images_may_be_is_refused(client: Client, settings: Settings, pictures: Path) -> None:
    with (pictures / "huge.png").open("wb") as file:
        file.write(picture())
        file.truncate(settings.max_image_mib * 2**20 + 1)

    assert "MiB" in await refused(client, str(pictures / "huge.png"))


@pytest.mark.parametrize("nonsense", ["cat.png", "~/cat.png", "g-nosuchone", "https://example.com/a.png", "", 7])
async def test_what_is_none_of_the_three_is_refused_with_the_three_named(
    client: Client, sandbox: Sandbox, nonsense: object
) -> None:
    words = await refused(client, nonsense)

    assert "generation_id" in words
    assert "absolute path" in words
    assert "base64" in words
    assert sandbox.requests == []


@pytest.mark.parametrize("way", ["file", "base64"])
async def test_a_photo_is_sent_upright_at_2048_a_side_and_is_free_again(
    client: Client, sandbox: Sandbox, pictures: Path, way: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.linear_gradient("L").resize((3000, 1500)).convert("RGB").save(pictures / "photo.jpg", exif=exif)
    photo = pictures / "photo.jpg"
    source = str(photo) if way == "file" else base64.b64encode(photo.read_bytes()).decode()
    asked = {**SMALL, "seed": 1, "image_prompt": source}

    first = facts(await client.call_tool("generate_image", asked))
    again = facts(await client.call_tool("generate_image", asked))

    with Image.open(io.BytesIO(sent(sandbox))) as image:
        assert image.size == (1024, 2048)
    assert (again["generation_id"], again["reused"], sandbox.charges) == (first["generation_id"], True, 1)


async def test_an_image_of_too_many_pixels_is_refused_with_what_to_do(
    client: Client, sandbox: Sandbox, pictures: Path
) -> None:
    (pictures / "huge.png").write_bytes(bits(7900))

    words = await refused(client, str(pictures / "huge.png"))

    assert "7900×7900 pixels are more than the 50 megapixels (50,331,648 pixels) allowed" in words
    assert sandbox.requests == []
