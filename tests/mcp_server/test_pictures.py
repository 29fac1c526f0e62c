"""The files that answers name: PNG files that carry their graph, kept beside the store."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from base64 import b64decode
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client
from mcp.types import ImageContent
from PIL import Image

from flux_nodes.core import Generations, ImagineRequest
from flux_nodes.core.xmp import TRAINED, source_type
from flux_nodes.graph import Folders, Registry, check, read_workflow, stock_nodes
from flux_nodes.graph.embedded import texts
from flux_nodes.nodes import NODES
from flux_nodes.sandbox import Quirks, Sandbox, serving
from mcp_server.server import build
from tests import signing
from tests.mcp_server.answers import facts, refusal

if TYPE_CHECKING:
    from flux_nodes.core import Settings

SMALL: dict[str, Any] = {"prompt": "a sunflower field", "width": 256, "height": 256, "seed": 7}


@pytest.fixture
def mode() -> str:
    """One era will do: nothing here depends on the protocol."""
    return "auto"


def contents(file: str) -> bytes:
    return Path(file).read_bytes()


def thrown_away(file: str) -> None:
    Path(file).unlink()


def written_at(file: str) -> int:
    return Path(file).stat().st_mtime_ns


def beside(file: str) -> list[str]:
    return [each.name for each in Path(file).parent.iterdir()]


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).convert("RGB").tobytes()


async def test_an_answer_names_a_picture_that_opens_as_the_graph_that_makes_it(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    made = facts(await client.call_tool("generate_image", SMALL))

    file = Path(made["file"])
    registry = Registry([*NODES, *stock_nodes(Folders(input=tmp_path, output=tmp_path, temp=tmp_path))])
    workflow = read_workflow(file, registry)
    assert file.parent == settings.home / "pictures"
    assert file.name == f"flux-pro-1.1-a-sunflower-field-{made['generation_id']}.png"
    assert check(workflow, registry) == ()
    assert SMALL.items() <= workflow.nodes["1"].inputs.items()
    assert pixels(contents(made["file"])) == pixels(contents(made["original"]))


async def test_the_original_stays_the_services_own(client: Client, settings: Settings) -> None:
    made = facts(await client.call_tool("generate_image", SMALL))

    original = Path(made["original"])
    assert original.is_relative_to(settings.images)
    assert hashlib.sha256(contents(made["original"])).hexdigest() == made["sha256"]
    assert texts(contents(made["original"])) == {}


async def test_every_answer_names_the_same_file_and_it_is_written_once(client: Client) -> None:
    made = facts(await client.call_tool("generate_image", SMALL))
    written = written_at(made["file"])

    again = facts(await client.call_tool("get_generation", {"generation_id": made["generation_id"]}))
    (listed,) = facts(await client.call_tool("list_generations"))["generations"]

    assert again["file"] == listed["file"] == made["file"]
    assert written_at(made["file"]) == written
    assert beside(made["file"]) == [Path(made["file"]).name]


async def test_a_picture_that_was_thrown_away_is_made_again(client: Client) -> None:
    made = facts(await client.call_tool("generate_image", SMALL))
    before = contents(made["file"])
    thrown_away(made["file"])

    await client.call_tool("get_generation", {"generation_id": made["generation_id"]})

    assert contents(made["file"]) == before


async def test_answers_at_once_leave_one_whole_file(client: Client) -> None:
    made = facts(await client.call_tool("generate_image", SMALL))
    thrown_away(made["file"])

    asked = {"generation_id": made["generation_id"]}
    answers = await asyncio.gather(*(client.call_tool("get_generation", asked) for _ in range(8)))

    assert {facts(answer)["file"] for answer in answers} == {made["file"]}
    assert beside(made["file"]) == [Path(made["file"]).name]
    assert pixels(contents(made["file"])) == pixels(contents(made["original"]))


async def test_a_generation_of_another_door_is_told_with_the_graph_that_asked_for_it(
    client: Client, settings: Settings
) -> None:
    prompt = {"5": {"class_type": "FluxImagine", "inputs": SMALL}}
    async with Generations.open(settings, door="comfyui") as generations:
        started = await generations.start(
            ImagineRequest(model="flux-schnell", **SMALL), graph={"prompt": prompt, "workflow": {"nodes": []}}
        )

    told = facts(await client.call_tool("get_generation", {"generation_id": started.id, "wait_seconds": 50}))

    assert json.loads(texts(contents(told["file"]))["prompt"]) == prompt


async def test_a_jpeg_is_told_as_the_png_of_its_pixels(settings: Settings) -> None:
    with closing(Sandbox(seconds=0, quirks=Quirks(image_type="jpeg"))) as sandbox, serving(sandbox) as server:
        jpegs = settings.model_copy(update={"base_url": server.url})
        async with Client(build(lambda: jpegs)) as client:
            made = facts(await client.call_tool("generate_image", SMALL))

    assert (Path(made["file"]).suffix, Path(made["original"]).suffix) == (".png", ".jpg")
    assert pixels(contents(made["file"])) == pixels(contents(made["original"]))


async def test_of_a_signed_result_the_file_is_an_unsigned_copy_and_the_original_verifies(settings: Settings) -> None:
    with closing(Sandbox(seconds=0, finish=signing.sign)) as sandbox, serving(sandbox) as server:
        signs = settings.model_copy(update={"base_url": server.url})
        async with Client(build(lambda: signs)) as client:
            made = facts(await client.call_tool("generate_image", SMALL))
            shown = (await client.call_tool("view_image", {"generation_id": made["generation_id"]})).content[0]

    copy = contents(made["file"])
    assert made["signed"]
    assert (signing.state(copy), signing.state(contents(made["original"]))) == (None, "Valid")
    assert json.loads(drawn(copy)["flux_nodes"])["nodes"]["1"][0]["original"]["sha256"] == made["sha256"]
    assert isinstance(shown, ImageContent)
    assert source_type(copy) == source_type(b64decode(shown.data)) == TRAINED


async def test_a_copy_that_an_older_version_left_with_a_broken_signature_is_made_again(settings: Settings) -> None:
    with closing(Sandbox(seconds=0, finish=signing.sign)) as sandbox, serving(sandbox) as server:
        signs = settings.model_copy(update={"base_url": server.url})
        async with Client(build(lambda: signs)) as client:
            made = facts(await client.call_tool("generate_image", SMALL))
            copy = contents(made["file"])
            overwrite(made["file"], contents(made["original"]))
            await client.call_tool("list_generations")

    assert contents(made["file"]) == copy


def overwrite(file: str, data: bytes) -> None:
    Path(file).write_bytes(data)


def drawn(data: bytes) -> dict[str, str]:
    with Image.open(io.BytesIO(data)) as image:
        return {str(name): str(text) for name, text in image.info.items()}


async def test_a_picture_that_cannot_be_written_is_an_error_that_names_the_original(
    client: Client, settings: Settings
) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    (settings.home / "pictures").write_text("in the way")

    words = refusal(await client.call_tool("generate_image", SMALL), "storage_error")
    (listed,) = facts(await client.call_tool("list_generations"))["generations"]

    assert listed["generation_id"] in words
    assert str(settings.images) in words
    assert listed["status"] == "stored"
    assert "file" not in listed


async def test_one_image_lost_from_the_disk_keeps_no_other_from_the_list(client: Client) -> None:
    for seed in (1, 2):
        made = facts(await client.call_tool("generate_image", {**SMALL, "seed": seed}))
    thrown_away(made["file"])
    thrown_away(made["original"])

    newest, older = facts(await client.call_tool("list_generations"))["generations"]

    assert "file" not in newest
    assert contents(older["file"])


async def test_a_file_in_the_pictures_folder_that_nobody_told_of_is_no_image_prompt(
    client: Client, settings: Settings, sandbox: Sandbox
) -> None:
    folder = settings.home / "pictures"
    folder.mkdir(parents=True)
    for name in ("mine.png", "flux-dev-x-g-nosuchone.png"):
        (folder / name).write_bytes(b"secret")

    for name in ("mine.png", "flux-dev-x-g-nosuchone.png", "../settings.json"):
        given = {**SMALL, "image_prompt": f"{folder}/{name}"}
        refusal(await client.call_tool("generate_image", given), "invalid_request")

    assert sandbox.requests == []
