"""What released versions saved: it opens, means what it meant, costs what it cost, and what was paid is found again.

The files lie in `yesterday/VERSION/` as that version wrote them, and are never changed: its `workflows/*.json`, the
same in API format in `api/`, an image from each door in `images/`, and the `home` that holds those images' originals.
`VERSION.requests.json` is what its journal held after each workflow was run at 256 pixels. Every test is made with the
catalog as it is, and with one that has another model and more parameters.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from flux_nodes.core import ImagineRequest
from tests import larger_catalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from flux_nodes.core import Generations, Settings
    from flux_nodes.graph import Folders, Registry, Workflow
    from flux_nodes.sandbox import Sandbox

HERE = Path(__file__).parent
YESTERDAY = HERE / "yesterday"
DRAWN = sorted(YESTERDAY.glob("*/*.json"))
AS_API = sorted(YESTERDAY.glob("*/api/*.json"))
DELIVERED = sorted(YESTERDAY.glob("*/images/*.png"))
WORKFLOWS = HERE.parents[1] / "workflows"

GENERATING = (
    "model",
    "prompt",
    "image_prompt_strength",
    "prompt_upsampling",
    "width",
    "height",
    "aspect_ratio",
    "steps",
    "guidance",
    "interval",
    "seed",
    "(control)",
    "safety_tolerance",
    "raw",
    "fresh",
    "count",
)
"""What FluxImagine and FluxSubmit keep in a file, in this order; files of 0.2.0 end before `fresh`."""

WIDGETS: Mapping[str, tuple[str, ...]] = {
    "FluxImagine": GENERATING,
    "FluxSubmit": GENERATING,
    "FluxFetch": ("generation_id",),
    "FluxPromptList": ("prompts", "before", "after"),
    "FluxAspectRatio": ("ratio", "megapixels", "custom"),
    "FluxContactSheet": ("labels", "title", "columns", "cell"),
    "SaveImage": ("filename_prefix",),
    "LoadImage": ("image", "(upload)"),
    "PrimitiveStringMultiline": ("value",),
    "PrimitiveInt": ("value", "(control)"),
}
"""What the values in a file meant to the version that wrote it; those in brackets never reached a node."""

OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "FluxImagine": ("image", "generation_id"),
    "FluxSubmit": ("task", "generation_id"),
    "FluxFetch": ("image",),
    "FluxLoadGeneration": ("image", "id", "prompt", "seed", "model"),
    "FluxPromptList": ("prompt", "count"),
    "FluxAspectRatio": ("width", "height", "aspect_ratio"),
    "FluxContactSheet": ("sheet",),
    "FluxKeptImage": ("image",),
    "FluxAccount": ("credits",),
}
"""The outputs of 0.3.0: a link keeps the number of the output that it starts at."""

TELLING: Mapping[tuple[str, str, str], dict[str, Any]] = {
    ("0.2.0", "text_to_image", "2"): {
        "model": "flux-pro-1.1",
        "prompt": "a sunflower field in the wind",
        "width": 1024,
        "height": 768,
        "seed": 7,
        "safety_tolerance": 2,
    },
    ("0.2.0", "ultra_wide_raw", "2"): {"aspect_ratio": "21:9", "raw": True, "seed": 3},
    ("0.2.0", "image_to_image", "3"): {"image_prompt": ["2", 0], "image_prompt_strength": 0.35},
    ("0.2.0", "submit_and_fetch", "2"): {"model": "flux-dev", "prompt": "waves on a stormy sea", "seed": 11},
    ("0.2.0", "submit_and_fetch", "3"): {"task": ["2", 0], "generation_id": ""},
    ("0.2.0", "five_models", "10"): {"prompt": ["2", 0], "seed": ["3", 0], "aspect_ratio": "4:3"},
    ("0.2.0", "five_models", "4"): {"columns": 3, "cell": 512, "image_5": ["10", 0]},
    ("0.3.0", "variations", "2"): {"model": "flux-dev", "seed": 7, "fresh": False, "count": 4},
    ("0.3.0", "prompt_list", "3"): {"model": "flux-schnell", "prompt": ["2", 0], "fresh": False, "count": 1},
    ("0.3.0", "aspect_ratio", "2"): {"ratio": "3:2", "megapixels": 1, "custom": ""},
    ("0.3.0", "aspect_ratio", "3"): {"width": ["2", 0], "height": ["2", 1], "seed": 11, "fresh": False},
}
"""By version, file and node: written down here by hand, for what is worked out may be worked out wrong."""

PAID: Mapping[str, int] = {"five_models": 5, "aspect_ratio": 2, "prompt_list": 4, "variations": 4}
"""How many images a run of a workflow pays for; of those not named here, one."""

SEEDS = {"comfyui": 32, "assistant": 33, "terminal-generate": 34, "terminal-run": 35}
"""The seed of the image of each door."""

each_drawing = pytest.mark.parametrize("path", DRAWN, ids=lambda path: f"{path.parent.name}-{path.stem}")
each_image = pytest.mark.parametrize("path", DELIVERED, ids=lambda path: f"{path.parts[-3]}-{path.stem}")


class Pack:
    """The pack with one of the catalogs: its modules, and the widgets that no released version had."""

    def __init__(self, module: Callable[[str], Any], new: Mapping[str, Any], folders: Folders) -> None:
        self.module = module
        self.new = new
        graph, nodes = module("graph"), module("nodes")
        self.registry: Registry = graph.Registry([*nodes.NODES, *graph.stock_nodes(folders)])

    def read(self, source: Path | bytes | str) -> Workflow:
        """Read a saved graph."""
        workflow: Workflow = self.module("graph").read_workflow(source, self.registry)
        return workflow

    async def run(self, workflow: Workflow, generations: Generations) -> list[Any]:
        """Run a graph, and return what happened."""
        context = self.module("nodes").Context(generations=generations)
        return [event async for event in self.module("graph").run(workflow, self.registry, context)]

    def open(self, settings: Settings) -> Any:
        """Open the journal and the store."""
        core = self.module("core")
        return core.Generations.open(core.Settings(**settings.model_dump()), door="test")


@pytest.fixture(params=["this catalog", "a larger catalog"])
def pack(request: pytest.FixtureRequest, folders: Folders) -> Pack:
    shutil.copy(WORKFLOWS / "flux-nodes-meadow.jpg", folders.input / "meadow.jpg")
    shutil.copy(WORKFLOWS / "flux-nodes-meadow.jpg", folders.input)
    if request.param == "a larger catalog":
        return Pack(larger_catalog.module, larger_catalog.NEW, folders)
    return Pack(lambda name: import_module(f"flux_nodes.{name}"), {}, folders)


@pytest.fixture
async def generations(pack: Pack, settings: Settings) -> AsyncIterator[Generations]:
    async with pack.open(settings) as opened:
        yield opened


def written(path: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return type and widget values of every node in a file, by id, as its version meant them."""
    drawn = [node for node in json.loads(path.read_text("utf-8"))["nodes"] if node["type"] != "MarkdownNote"]
    for node in drawn:
        names = WIDGETS[node["type"]]
        assert len(node["widgets_values"]) in {len(names), len(names) - 2}
    return {
        str(node["id"]): (node["type"], dict(zip(WIDGETS[node["type"]], node["widgets_values"], strict=False)))
        for node in drawn
    }


def test_every_released_version_is_here() -> None:
    assert {path.parent.name for path in DRAWN} == {"0.2.0", "0.3.0"}
    assert {(path.parent.name, path.stem) for path in DRAWN} >= {key[:2] for key in TELLING}
    assert [path.stem for path in AS_API] == [path.stem for path in DRAWN if path.parent.name == "0.3.0"]
    assert {path.stem for path in DELIVERED} == set(SEEDS)


def test_the_order_of_widgets_is_written_down_and_ends_with_what_is_new(pack: Pack) -> None:
    order = pack.module("nodes.widget_order").WIDGETS
    for face in pack.module("nodes").NODES:
        as_saved = sorted((item for item in face.inputs if item.is_widget), key=lambda item: item.optional)
        new = pack.new if face.paid else {}
        assert [item.name for item in as_saved] == [*order.get(face.id, ()), *new]
        assert [item.optional for item in as_saved if item.name in new] == [True] * len(new)


def test_no_version_moved_a_widget_or_an_output(pack: Pack) -> None:
    order = pack.module("nodes.widget_order").WIDGETS
    for face in pack.module("nodes").NODES:
        known = [name for name in WIDGETS.get(face.id, ()) if not name.startswith("(")]
        assert list(order.get(face.id, ()))[: len(known)] == known
        assert tuple(item.name for item in face.outputs)[: len(OUTPUTS[face.id])] == OUTPUTS[face.id]


@each_drawing
def test_every_widget_keeps_the_value_that_it_had(path: Path, pack: Pack) -> None:
    workflow = pack.read(path)
    assert pack.module("graph").check(workflow, pack.registry) == ()
    before, api = written(path), workflow.to_api()
    assert {id_: node["class_type"] for id_, node in api.items()} == {id_: type_ for id_, (type_, _) in before.items()}
    for id_, (_, values) in before.items():
        inputs, linked = api[id_]["inputs"], workflow.nodes[id_].links
        unlinked = {name: value for name, value in values.items() if name[0] != "(" and name not in linked}
        assert {name: inputs[name] for name in unlinked} == unlinked


@each_drawing
def test_what_a_version_did_not_know_leaves_a_node_as_it_was_without_it(path: Path, pack: Pack) -> None:
    workflow = pack.read(path)
    for id_, (type_, values) in written(path).items():
        node = workflow.nodes[id_]
        added = {name: value for name, value in node.inputs.items() if name not in values and name not in node.links}
        later = {"fresh": False, "count": 1, **pack.new} if type_ in {"FluxImagine", "FluxSubmit"} else {}
        assert added == {name: value for name, value in later.items() if name not in values}


@pytest.mark.parametrize("place", TELLING, ids=lambda place: "-".join(place))
def test_a_telling_value_is_what_it_was(place: tuple[str, str, str], pack: Pack) -> None:
    version, name, node_id = place
    inputs = pack.read(YESTERDAY / version / f"{name}.json").to_api()[node_id]["inputs"]
    assert {key: inputs[key] for key in TELLING[place]} == TELLING[place]


@pytest.mark.parametrize("path", AS_API, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_a_graph_in_api_format_means_what_its_drawing_means(path: Path, pack: Pack) -> None:
    workflow, drawn = pack.read(path), pack.read(path.parents[1] / path.name)
    assert pack.module("graph").check(workflow, pack.registry) == ()
    assert workflow.to_api() == json.loads(path.read_text("utf-8"))
    for id_, node in drawn.to_api().items():
        known = {name: value for name, value in node["inputs"].items() if name not in pack.new}
        assert known == workflow.to_api()[id_]["inputs"]


def small(workflow: Workflow, pack: Pack) -> Workflow:
    """Return a workflow of small pictures: the sandbox paints them sooner."""
    sizes = ("width", "height", "cell")
    sides = {
        f"{node.id}.{name}": 256
        for node in workflow.nodes.values()
        for name in sizes
        if name in node.inputs and name not in node.links
    }
    return workflow.with_values(sides, pack.registry)


def kept(home: Path) -> list[tuple[str, Any]]:
    """Return fingerprint and request of every generation in a journal."""
    with closing(sqlite3.connect(home / "journal.sqlite3")) as journal:
        rows = journal.execute("SELECT fingerprint, request FROM generations").fetchall()
    return sorted((fingerprint, json.loads(request)) for fingerprint, request in rows)


@each_drawing
async def test_a_run_asks_for_what_it_asked_for_and_costs_what_it_cost(
    path: Path, pack: Pack, settings: Settings, generations: Generations, sandbox: Sandbox
) -> None:
    workflow = small(pack.read(path), pack)
    events = await pack.run(workflow, generations)
    saved = [event.file.filename for event in events if isinstance(event, pack.module("graph").Saved)]
    assert saved == [f"{path.stem}_00001_.png"]
    for made in await generations.recent():
        assert await generations.graph(made) == {"prompt": workflow.to_api(), "workflow": workflow.ui}

    before = json.loads((YESTERDAY / f"{path.parent.name}.requests.json").read_text("utf-8"))[path.stem]
    assert sandbox.charges == len(before) == PAID.get(path.stem, 1)
    now = kept(settings.home)
    assert sorted(map(without_image, (request for _, request in now)), key=repr) == sorted(
        map(without_image, (each["request"] for each in before)), key=repr
    )
    if path.parent.name == "0.3.0":
        assert [fingerprint for fingerprint, _ in now] == [each["fingerprint"] for each in before]
    else:  # that version kept the other of a request's two fingerprints
        request = pack.module("core").ImagineRequest
        found = [request(**each["request"]).fingerprints[1] for each in before if "image_prompt" not in each["request"]]
        assert found == [each["fingerprint"] for each in before if "image_prompt" not in each["request"]]


def without_image(request: dict[str, Any]) -> dict[str, Any]:
    """Leave out the digest of an image prompt's file, which depends on the version of the library that wrote it."""
    return {name: value if name != "image_prompt" else "a digest" for name, value in request.items()}


@dataclass(frozen=True)
class Delivered:
    """An image that a door delivered, the texts in it, and its pixels; its version's home is where the settings say."""

    door: str
    file: bytes
    texts: Mapping[str, str]
    pixels: np.ndarray

    @property
    def id(self) -> str:
        """The generation that it is of."""
        ((facts,),) = json.loads(self.texts["flux_nodes"])["nodes"].values()
        return str(facts["generation_id"])


@pytest.fixture
def delivered(settings: Settings, path: Path) -> Delivered:
    shutil.copytree(path.parents[1] / "home", settings.home)
    with Image.open(path) as image:
        return Delivered(
            path.stem, path.read_bytes(), {str(key): value for key, value in image.info.items()}, np.asarray(image)
        )


@each_image
async def test_a_delivered_image_runs_again_free_from_its_drawing_and_from_its_prompt(
    delivered: Delivered, pack: Pack, settings: Settings, sandbox: Sandbox
) -> None:
    async with pack.open(settings.pretended(settings.base_url)) as generations:
        known = [made.id for made in await generations.recent()]
        assert delivered.id in known
        for source in (delivered.file, delivered.texts["workflow"], delivered.texts["prompt"]):
            workflow = pack.read(source)
            (asked,) = [node for node in workflow.nodes.values() if node.class_type == "FluxImagine"]
            assert (asked.inputs["seed"], asked.inputs["fresh"]) == (SEEDS[delivered.door], False)
            events = await pack.run(workflow, generations)
            (file,) = [event.file.path for event in events if isinstance(event, pack.module("graph").Saved)]
            assert np.array_equal(pixels(file), delivered.pixels)
        assert [made.id for made in await generations.recent()] == known
    assert not sandbox.requests


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image)


def test_a_new_parameter_is_sent_once_its_widget_is_moved(folders: Folders) -> None:
    del folders
    fields = larger_catalog.module("nodes.fields")
    moved = {"quality": 90, "tone": "cold", "tiled": False, "sharpness": 0.0, "avoid": "fog", "format": "png"}
    asked = {"model": "flux-dev", "prompt": "a field", "seed": 1}
    for name, value in moved.items():
        plain = fields.request({**asked, **larger_catalog.NEW})
        request = fields.request({**asked, **larger_catalog.NEW, name: value})
        assert request.wire() == {**plain.wire(), name: value}
        assert request.fingerprints[0] != plain.fingerprints[0]
    assert "shape" not in fields.request({**asked, "shape": "1:1"}).wire()
    assert fields.request({**asked, "model": "flux-next", "shape": "1:1"}).wire()["shape"] == "1:1"


def test_a_default_of_a_new_parameter_asks_for_the_same_picture_as_leaving_it_out() -> None:
    request = larger_catalog.module("core.request").ImagineRequest
    asked = {"model": "flux-dev", "prompt": "a field", "seed": 1}
    plain = request(**asked)
    assert request(**asked, quality=80, tiled=True, format="jpeg").fingerprints[0] == plain.fingerprints[0]
    assert plain.fingerprints == ImagineRequest(model="flux-dev", prompt="a field", seed=1).fingerprints
