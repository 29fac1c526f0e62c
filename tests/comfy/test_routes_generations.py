from __future__ import annotations

import io
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from flux_nodes.comfy import service
from flux_nodes.comfy.telling import describe, notice, tell
from flux_nodes.comfy.thumbnails import LONGEST
from flux_nodes.core import Generations, ImagineRequest, Settings
from flux_nodes.core.catalog import MODELS
from flux_nodes.core.errors import ServiceRefused
from flux_nodes.core.xmp import TRAINED, source_type
from flux_nodes.nodes import NODES
from flux_nodes.sandbox import Fault
from tests.comfy.asking import ask, told
from tests.odd_images import HEIC, sending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from flux_nodes.core import Generation
    from flux_nodes.sandbox import Sandbox


@pytest.fixture(autouse=True)
def a_service_that_is_set_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APIFRAME_BASE_URL", url)
    monkeypatch.setenv("APIFRAME_API_KEY", "sandbox")


@asynccontextmanager
async def door(name: str = "terminal") -> AsyncIterator[Generations]:
    async with Generations.open(Settings.load(), door=name) as generations:
        yield generations


def request(prompt: str = "a sunflower field", **values: Any) -> ImagineRequest:
    return ImagineRequest(**{"model": "flux-dev", "prompt": prompt, "width": 640, "height": 256, **values})


async def started(prompt: str = "a sunflower field", **values: Any) -> Generation:
    async with door() as generations:
        return await generations.start(request(prompt, **values))


async def stored(prompt: str = "a sunflower field", **values: Any) -> Generation:
    async with door() as generations:
        return await generations.wait((await generations.start(request(prompt, **values))).id)


def path(generation: Generation, what: str) -> str:
    return f"/flux-nodes/generations/{generation.id}/{what}"


async def listed(query: str = "") -> Any:
    return await told("GET", f"/flux-nodes/generations{query}")


async def test_a_generation_of_another_door_is_listed_with_all_that_the_frontend_shows() -> None:
    generation = await stored(seed=7)
    document = await listed()
    assert document["more"] is False
    (found,) = document["generations"]
    assert found == describe(generation)
    assert (found["id"], found["door"], found["status"], found["words"]) == (
        generation.id,
        "terminal",
        "stored",
        "stored",
    )
    assert (found["width"], found["height"], found["seed"], found["credits"]) == (640, 256, 7, 1.0)
    assert (found["has_image"], found["has_thumbnail"], found["unfinished"], found["workflow"]) == (
        True,
        True,
        False,
        "made",
    )
    assert found["created_at"].endswith("+00:00")


async def test_a_kept_graph_is_told_to_be_its_own() -> None:
    async with door() as generations:
        await generations.start(request(), graph={"prompt": {}, "workflow": {}})
    assert (await listed())["generations"][0]["workflow"] == "own"


async def test_the_list_is_newest_first_bounded_and_says_that_there_is_more() -> None:
    made = [await started(f"field {number}") for number in range(3)]
    document = await listed("?most=2")
    assert [found["id"] for found in document["generations"]] == [made[2].id, made[1].id]
    assert document["more"] is True
    assert (await listed("?most=3"))["more"] is False


async def test_words_are_searched_in_prompts_and_ids_of_all() -> None:
    field, _ = await started("A Field in the wind"), await started("a harbour")
    for words in ("wind+field", field.id):
        assert [found["id"] for found in (await listed(f"?words={words}"))["generations"]] == [field.id]
    assert (await listed("?words=nowhere"))["generations"] == []


@pytest.mark.parametrize("most", ["0", "201", "-1", "1.5", "many", "", "9" * 5000, "٣"])
async def test_a_number_of_rows_that_is_none_is_refused(most: str) -> None:
    assert "200" in (await told("GET", f"/flux-nodes/generations?most={most or '%20'}", status=400))["error"]


async def test_only_those_of_one_kind_are_told(sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="refuse", status=400, match="thistle"))
    done, open_ = await stored("done"), await started("open")
    with pytest.raises(ServiceRefused):
        await started("a thistle")
    kinds = {kind: (await listed(f"?show={kind}"))["generations"] for kind in ("all", "images", "unfinished", "failed")}
    assert [found["id"] for found in kinds["images"]] == [done.id]
    assert [found["id"] for found in kinds["unfinished"]] == [open_.id]
    assert [found["prompt"] for found in kinds["failed"]] == ["a thistle"]
    assert len(kinds["all"]) == 3
    assert "images" in (await told("GET", "/flux-nodes/generations?show=doors", status=400))["error"]


async def test_the_recent_ones_are_those_with_an_image_each_on_one_short_line() -> None:
    long = await stored("a  sunflower\nfield in the wind, " + "and more of it, " * 9, seed=1)
    await started("not stored yet", seed=2)
    (line,) = await told("GET", "/flux-nodes/recent")
    assert line.startswith(f"{long.id} a sunflower field in the wind, and more… · {long.model} · seed 1 · 20")


async def test_the_recent_ones_are_of_the_service_in_use(tmp_path: Path) -> None:
    await stored()
    service.switch(tmp_path / "home", on=True)
    assert await told("GET", "/flux-nodes/recent") == []
    assert len((await listed())["generations"]) == 1
    service.switch(tmp_path / "home", on=False)


async def test_a_thumbnail_is_small_and_kept_for_ever_under_the_images_digest(tmp_path: Path) -> None:
    generation = await stored()
    answer = await ask("GET", path(generation, "thumbnail"))
    assert (answer.status, answer.media_type) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(answer.body)).size == (LONGEST, LONGEST * 256 // 640)
    assert "immutable" in answer.headers["Cache-Control"]
    kept = tmp_path / "home" / "thumbnails" / f"{generation.sha256}.jpg"
    assert kept.read_bytes() == answer.body
    kept.write_bytes(b"kept")
    assert (await ask("GET", path(generation, "thumbnail"))).body == b"kept"
    again = await ask("GET", path(generation, "thumbnail"), headers={"if-none-match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


async def test_a_thumbnail_that_cannot_be_kept_is_given_all_the_same(tmp_path: Path) -> None:
    generation = await stored()
    (tmp_path / "home" / "thumbnails").write_text("a file where the folder should be")
    assert (await ask("GET", path(generation, "thumbnail"))).status == 200


async def test_the_image_is_a_png_with_its_pixels_its_graph_and_a_name_that_tells_it() -> None:
    generation = await stored(seed=7)
    answer = await ask("GET", path(generation, "image"))
    picture = Image.open(io.BytesIO(answer.body))
    picture.load()
    assert (answer.media_type, picture.format, picture.size) == ("image/png", "PNG", (640, 256))
    assert {"prompt", "workflow", "flux_nodes"} <= set(picture.info)
    assert f"flux-dev-a-sunflower-field-{generation.id}.png" in answer.headers["Content-Disposition"]


async def test_the_original_is_what_the_service_sent_byte_for_byte_to_be_saved() -> None:
    generation = await stored(seed=7)
    answer = await ask("GET", path(generation, "original"))
    async with door() as generations:
        assert answer.body == await generations.data(generation)
    assert answer.media_type == "image/png"
    name = f"flux-dev-a-sunflower-field-{generation.id}.png"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'


async def test_every_picture_that_is_served_says_that_a_model_made_it() -> None:
    generation = await stored(seed=7)
    for what in ("image", "thumbnail"):
        assert source_type((await ask("GET", path(generation, what))).body) == TRAINED


async def test_the_workflow_is_the_drawing_that_the_image_carries() -> None:
    generation = await stored(seed=7)
    image = Image.open(io.BytesIO((await ask("GET", path(generation, "image"))).body))
    drawing = await told("GET", path(generation, "workflow"))
    assert drawing == json.loads(image.info["workflow"])
    assert "FluxImagine" in {node["type"] for node in drawing["nodes"]}


@pytest.mark.parametrize("what", ["thumbnail", "image", "original"])
async def test_what_has_no_image_yet_is_not_found_in_words(what: str) -> None:
    generation = await started()
    assert "submitted" in (await told("GET", path(generation, what), status=404))["error"]


@pytest.mark.parametrize("harm", ["delete", "overwrite"])
async def test_a_thumbnail_of_an_image_that_is_gone_from_the_disk_is_not_found_in_words(harm: str) -> None:
    generation = await stored(seed=7)
    async with door() as generations:
        file = generations.file(generation)
    assert file is not None
    if harm == "delete":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:200] + bytes(30) + file.read_bytes()[230:])
    assert "no longer on the disk" in (await told("GET", path(generation, "thumbnail"), status=404))["error"]


@pytest.mark.parametrize("what", ["image", "original"])
async def test_an_image_that_is_gone_from_the_disk_is_collected_again_when_it_is_opened(
    what: str, sandbox: Sandbox
) -> None:
    generation = await stored(seed=7)
    async with door() as generations:
        file = generations.file(generation)
    assert file is not None
    data = file.read_bytes()
    file.write_bytes(data[:200] + bytes(30) + data[230:])
    answer = await ask("GET", path(generation, what))
    assert answer.status == 200
    assert file.read_bytes() == data
    sandbox.inject(Fault(where="fetch", kind="refuse", status=400, times=None))
    sandbox.inject(Fault(where="image", kind="redirect", location="https://10.1.2.3/x.png", times=None))
    file.unlink()
    assert "could not be had" in (await told("GET", path(generation, what), status=409))["error"]
    assert sandbox.charges == 1


@pytest.mark.parametrize("what", ["thumbnail", "image", "workflow"])
@pytest.mark.parametrize("id_", ["g-nobodyyet", "..", "%2e%2e", "'; DROP TABLE generations; --", "x" * 3000])
async def test_an_id_that_the_journal_does_not_have_is_not_found(what: str, id_: str) -> None:
    assert "no generation" in (await told("GET", f"/flux-nodes/generations/{id_}/{what}", status=404))["error"]


async def test_nothing_is_collected_where_nothing_is_owed(sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="fail", match="thistle"))
    done = await stored()
    async with door() as generations:
        failed = await generations.start(request("a thistle"))
        async for _ in generations.follow(failed.id):
            pass
    assert await told("POST", "/flux-nodes/collect", {}) == {"collecting": []}
    assert await told("POST", "/flux-nodes/collect", {"ids": [done.id, failed.id]}) == {"collecting": []}


@pytest.mark.parametrize("ids", ["g-abc", [1], {"g-abc": 1}, 5])
async def test_ids_that_are_none_are_refused(ids: object) -> None:
    assert "ids" in (await told("POST", "/flux-nodes/collect", {"ids": ids}, status=400))["error"]


async def test_an_unknown_id_is_not_collected() -> None:
    assert "g-nobodyyet" in (await told("POST", "/flux-nodes/collect", {"ids": ["g-nobodyyet"]}, status=404))["error"]


async def test_a_generation_of_another_service_is_not_asked_for_and_the_way_is_told(tmp_path: Path) -> None:
    generation = await started()
    service.switch(tmp_path / "home", on=True)
    assert await told("POST", "/flux-nodes/collect", {}) == {"collecting": []}
    refusal = await told("POST", "/flux-nodes/collect", {"ids": [generation.id]}, status=409)
    assert refusal["error"] == (
        f"{generation.id} was not made on the sandbox, which is on. "
        "Switch it off in Settings → Flux Nodes, and collect again."
    )
    service.switch(tmp_path / "home", on=False)


async def test_without_a_key_nothing_can_be_collected_and_the_way_to_set_one_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await started()
    monkeypatch.delenv("APIFRAME_API_KEY")
    assert "Settings → Flux Nodes" in (await told("POST", "/flux-nodes/collect", {}, status=400))["error"]


async def test_the_catalog_is_told_with_what_each_model_takes_and_where_it_is_an_input() -> None:
    document = await told("GET", "/flux-nodes/catalog")
    assert list(document["models"]) == [model.name for model in MODELS]
    ultra, schnell = document["models"]["flux-pro-1.1-ultra"], document["models"]["flux-schnell"]
    assert "aspect_ratio" in ultra["takes"]
    assert "aspect_ratio" not in schnell["takes"]
    assert ultra["credits"] == 1
    assert document["nodes"] == [node.id for node in NODES]
    assert document["generating"] == ["FluxImagine", "FluxSubmit"]
    inputs = {item.name for node in NODES if node.id == "FluxImagine" for item in node.inputs}
    assert {"model", "prompt", "steps", "raw"} <= set(document["inputs"]) <= inputs
    assert "fresh" not in document["inputs"]


async def test_outside_comfyui_there_is_nobody_to_tell() -> None:
    tell(await started())
    notice("info", "Nothing", "Nobody hears it.")


async def test_ids_that_no_generation_can_have_are_refused_in_words() -> None:
    document = await told("POST", "/flux-nodes/collect", {"ids": ["\ud800"]}, status=400)
    assert "ids" in document["error"]


async def test_an_image_that_cannot_be_opened_here_is_listed_without_one_and_its_routes_say_where_it_is(
    sandbox: Sandbox,
) -> None:
    with sending(HEIC) as (address, _):
        sandbox.inject(Fault(where="image", kind="redirect", location=address, times=None))
        generation = await stored(seed=7)

    (found,) = (await listed())["generations"]
    assert (found["status"], found["words"]) == ("stored", "stored, cannot be opened here")
    assert (found["has_image"], found["has_thumbnail"], found["width"], found["height"]) == (False, False, None, None)
    assert ".heic" in found["message"]
    for what in ("thumbnail", "image"):
        words = (await told("GET", path(generation, what), status=409))["error"]
        assert "cannot be opened here (it is image/heic" in words
        assert f"{generation.sha256}.heic" in words
    assert generation.id in (await told("GET", "/flux-nodes/recent"))[0]
    await told("GET", path(generation, "workflow"))
