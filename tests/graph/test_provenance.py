"""What an image tells of where it came from, and that this runs again."""

from __future__ import annotations

import hashlib
import io
import json
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr

from flux_nodes.core import Generations, ImagineRequest
from flux_nodes.core.catalog import MODEL_NAMES
from flux_nodes.core.errors import FluxNodesError
from flux_nodes.core.images import decode, image_prompt
from flux_nodes.graph import Folders, Registry, check, read_workflow, run, stock_nodes
from flux_nodes.graph.events import Saved
from flux_nodes.graph.provenance import file_name, picture, texts
from flux_nodes.nodes import NODES, Context
from flux_nodes.sandbox import Quirks, Sandbox, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flux_nodes.core import Generation, Settings
    from flux_nodes.graph import Workflow

EVERYTHING: dict[str, Any] = {
    "model": "flux-schnell",
    "prompt": "Füchse in the snow, 狐",
    "prompt_upsampling": False,
    "width": 256,
    "height": 256,
    "seed": 7,
    "safety_tolerance": 2,
}
"""All that FLUX Imagine sends for this model."""


@contextmanager
def pretending(**as_asked: Any) -> Iterator[tuple[Sandbox, str]]:
    """Serve a sandbox of its own, and give it with its address."""
    with closing(Sandbox(seconds=0, **as_asked)) as pretended, serving(pretended) as server:
        yield pretended, server.url


async def made(generations: Generations, graph: Any = None, **asked: Any) -> Generation:
    started = await generations.start(ImagineRequest(**asked), graph=graph)
    return await generations.wait(started.id)


def drawn(data: bytes) -> dict[str, str]:
    """The texts of a PNG file, as Pillow reads them."""
    image = Image.open(io.BytesIO(data))
    image.load()
    assert isinstance(image.info, dict)
    return {str(name): text for name, text in image.info.items() if isinstance(text, str)}


async def ran(workflow: Workflow, registry: Registry, generations: Generations) -> list[bytes]:
    """The files that a workflow saves."""
    events = [event async for event in run(workflow, registry, Context(generations))]
    return [event.file.path.read_bytes() for event in events if isinstance(event, Saved)]


async def test_an_image_made_of_words_runs_again_as_a_graph_and_gives_the_same_pixels_free(
    generations: Generations, registry: Registry, sandbox: Sandbox
) -> None:
    data = await picture(generations, await made(generations, **EVERYTHING))
    charges = sandbox.charges

    (again,) = await ran(read_workflow(data, registry), registry, generations)

    assert np.array_equal(decode(again), decode(data))
    assert sandbox.charges == charges == 1


async def test_an_image_prompt_is_a_node_of_the_graph(
    generations: Generations, registry: Registry, sandbox: Sandbox
) -> None:
    start = image_prompt(np.full((64, 64, 3), 0.5, np.float32))
    data = await picture(generations, await made(generations, **EVERYTHING, image_prompt=start))
    charges = sandbox.charges

    workflow = read_workflow(data, registry)
    (again,) = await ran(workflow, registry, generations)

    assert [node.class_type for node in workflow.nodes.values()] == ["FluxKeptImage", "FluxImagine", "SaveImage"]
    assert workflow.nodes["1"].inputs["sha256"] == hashlib.sha256(start).hexdigest()
    assert np.array_equal(decode(again), decode(data))
    assert sandbox.charges == charges


@pytest.mark.parametrize(
    ("model", "more"),
    [
        *((name, {}) for name in MODEL_NAMES),
        ("flux-pro", {"steps": 30, "guidance": 2.5, "interval": 3}),
        ("flux-pro-1.1-ultra", {"raw": True, "aspect_ratio": "9:21", "image_prompt_strength": 0.25}),
    ],
)
async def test_the_graph_asks_for_what_was_asked_for_and_can_run(
    generations: Generations, registry: Registry, model: str, more: dict[str, Any]
) -> None:
    asked = {"model": model, "prompt": "a lake", "seed": 3, "prompt_upsampling": True, **more}
    started = await generations.start(ImagineRequest(**asked))

    workflow = read_workflow((await texts(generations, started))["prompt"], registry)

    assert check(workflow, registry) == ()
    assert asked.items() <= workflow.nodes["1"].inputs.items()
    assert workflow.nodes["2"].inputs["filename_prefix"] == f"flux/{model}"


async def test_both_graphs_in_the_image_mean_the_same(generations: Generations, registry: Registry) -> None:
    told = await texts(generations, await generations.start(ImagineRequest(**EVERYTHING)))

    assert read_workflow(told["workflow"], registry).to_api() == json.loads(told["prompt"])


@pytest.mark.parametrize(("seed", "becomes"), [(0, "fixed"), (7, "fixed"), (None, "randomize")])
async def test_a_seed_stays_as_it_is_unless_it_was_left_to_the_service(
    generations: Generations, seed: int | None, becomes: str
) -> None:
    started = await generations.start(ImagineRequest(**{**EVERYTHING, "seed": seed}))

    drawing = json.loads((await texts(generations, started))["workflow"])

    values = drawing["nodes"][0]["widgets_values"]
    assert values[values.index(becomes) - 1] == (seed or 0)


def own(**more: Any) -> dict[str, Any]:
    imagine = {"class_type": "FluxImagine", "inputs": {**EVERYTHING, "fresh": False}}
    other = {"class_type": "FluxImagine", "inputs": {**EVERYTHING, "seed": 8}}
    save = {"class_type": "SaveImage", "inputs": {"images": ["12", 0], "filename_prefix": "mine"}}
    return {"prompt": {"11": other, "12": imagine, "13": save}, **more}


async def test_the_graph_that_asked_is_the_one_that_the_image_carries(generations: Generations) -> None:
    graph = own(workflow={"nodes": [], "links": [], "version": 0.4, "mine": "kept as it is"})

    told = drawn(await picture(generations, await made(generations, graph, **EVERYTHING)))

    assert json.loads(told["prompt"]) == graph["prompt"]
    assert json.loads(told["workflow"]) == graph["workflow"]


async def test_a_graph_that_came_without_a_drawing_is_drawn(generations: Generations, registry: Registry) -> None:
    told = await texts(generations, await made(generations, own(), **EVERYTHING))

    shown = read_workflow(told["workflow"], registry)

    assert {id_: node.class_type for id_, node in shown.nodes.items()} == {
        id_: node["class_type"] for id_, node in own()["prompt"].items()
    }
    assert shown.nodes["12"].inputs["seed"] == 7


async def test_a_graph_with_a_node_of_somebody_else_is_carried_without_a_drawing(generations: Generations) -> None:
    graph = own()
    graph["prompt"]["14"] = {"class_type": "SomebodyElses", "inputs": {"x": ["12", 0]}}

    told = await texts(generations, await made(generations, graph, **EVERYTHING))

    assert "14" in json.loads(told["prompt"])
    assert "workflow" not in told


async def test_a_graph_that_is_lost_from_the_disk_does_not_hold_the_image_back(
    generations: Generations, settings: Settings, registry: Registry
) -> None:
    done = await made(generations, own(), **EVERYTHING)
    for file in settings.images.rglob("*.json"):
        file.unlink()

    data = await picture(generations, done)

    assert list(read_workflow(data, registry).nodes) == ["1", "2"]


@pytest.mark.parametrize(("graph", "node"), [(None, "1"), (own(), "12")])
async def test_the_facts_name_the_generation_under_the_node_that_asked_for_it(
    generations: Generations, graph: Any, node: str
) -> None:
    done = await made(generations, graph, **EVERYTHING)

    told = json.loads(drawn(await picture(generations, done))["flux_nodes"])

    (facts,) = told["nodes"][node]
    assert list(told["nodes"]) == [node]
    assert (facts["generation_id"], facts["task_id"], facts["seed"]) == (done.id, done.task_id, 7)
    assert facts["sha256"] == done.sha256 == hashlib.sha256(await generations.data(done)).hexdigest()


async def test_the_same_generation_gives_the_same_bytes_each_time(generations: Generations) -> None:
    done = await made(generations, **EVERYTHING)

    assert await picture(generations, done) == await picture(generations, done)


@pytest.mark.parametrize("image_type", ["jpeg", "webp"])
async def test_a_result_of_another_format_becomes_a_png_of_the_same_pixels(
    settings: Settings, registry: Registry, image_type: Any
) -> None:
    with pretending(quirks=Quirks(image_type=image_type)) as (pretended, url):
        elsewhere = settings.model_copy(update={"base_url": url})
        async with Generations.open(elsewhere, door="test") as generations:
            done = await made(generations, **EVERYTHING)
            data = await picture(generations, done)
            sent = await generations.data(done)
            (again,) = await ran(read_workflow(data, registry), registry, generations)
        assert pretended.charges == 1

    assert (Image.open(io.BytesIO(sent)).format, Image.open(io.BytesIO(data)).format) == (image_type.upper(), "PNG")
    assert np.array_equal(decode(data), decode(sent))
    assert np.array_equal(decode(again), decode(sent))


async def test_no_chunk_holds_a_key_an_address_or_a_place_on_this_machine(settings: Settings, tmp_path: Path) -> None:
    key = "canary-key-7q2w"
    hook = {"webhook_url": "https://canary-host.example.com/in", "webhook_secret": "canary-secret-1m4x"}
    with pretending(keys={key: 10}) as (_, url):
        planted = settings.model_copy(update={"base_url": url, "api_key": SecretStr(key)})
        async with Generations.open(planted, door="test") as generations:
            done = await made(generations, **EVERYTHING, **hook)
            told = drawn(await picture(generations, done))

    assert sorted(told) == ["XML:com.adobe.xmp", "flux_nodes", "prompt", "workflow"]
    for hidden in ("canary", "127.0.0.1", str(tmp_path), done.fingerprint, str(done.image_url)):
        assert not any(hidden in text for text in told.values())


async def test_a_stored_file_that_was_damaged_since_is_brought_back(generations: Generations) -> None:
    done = await made(generations, **EVERYTHING)
    file = generations.file(done)
    assert file is not None
    sent = file.read_bytes()
    file.write_bytes(sent[:200])

    assert np.array_equal(decode(await picture(generations, done)), decode(sent))
    assert file.read_bytes() == sent


async def test_an_image_that_is_not_there_yet_is_the_error_that_says_so(generations: Generations) -> None:
    started = await generations.start(ImagineRequest(**EVERYTHING))

    with pytest.raises(FluxNodesError, match=started.id):
        await picture(generations, started)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("A red fox, in the snow!", "a-red-fox-in-the-snow-"),
        ("Füchse", "fuchse-"),
        ("狐", ""),
        ("../../etc/passwd", "etc-passwd-"),
        ("word " * 30, "word-word-word-word-word-word-word-word-"),
        ("x" * 90, "x" * 40 + "-"),
    ],
)
async def test_a_file_is_named_by_model_words_and_id(generations: Generations, prompt: str, words: str) -> None:
    started = await generations.start(ImagineRequest(**{**EVERYTHING, "prompt": prompt}))

    assert file_name(started) == f"flux-schnell-{words}{started.id}.png"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Our nodes and the stock ones, and nothing of the tests'."""
    return Registry([*NODES, *stock_nodes(Folders(input=tmp_path, output=tmp_path / "out", temp=tmp_path))])
