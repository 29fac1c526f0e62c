from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from flux_nodes.core.errors import InvalidRequest, StorageError, UnknownGeneration, UnreadableImage
from flux_nodes.core.images import to_bytes
from flux_nodes.core.request import ImagineRequest
from flux_nodes.sandbox import Fault
from tests.nodes.playing import SMALL, picture, result
from tests.odd_images import HEIC, sending

if TYPE_CHECKING:
    from flux_nodes.core import Generations
    from flux_nodes.sandbox import Sandbox


async def test_a_past_generation_is_loaded_with_what_it_was_asked_for_with(
    generations: Generations, sandbox: Sandbox
) -> None:
    made = await result("FluxImagine", generations, **SMALL)
    (past,) = made.generations
    loaded = await result("FluxLoadGeneration", generations, generation=f"{past.id} a field in the wind")
    assert np.array_equal(loaded.values[0], made.values[0])
    assert loaded.values[1:] == (past.id, "a field", 7, "flux-schnell")
    assert [generation.id for generation in loaded.generations] == [past.id]
    assert loaded.text == f"flux-schnell 320×256 · collected, free · {past.id}"
    assert sandbox.charges == 1


async def test_an_unfinished_one_is_collected_free(generations: Generations, sandbox: Sandbox) -> None:
    task = (await result("FluxSubmit", generations, **SMALL)).values[0]
    loaded = await result("FluxLoadGeneration", generations, generation_id=f" {task}\n")
    assert loaded.values[0].shape == (1, 256, 320, 3)
    assert ((await generations.get(task)).status, sandbox.charges) == ("stored", 1)


async def test_an_id_goes_before_the_choice(generations: Generations) -> None:
    one, other = (await result("FluxImagine", generations, **SMALL, count=2)).generations
    loaded = await result("FluxLoadGeneration", generations, generation=one.id, generation_id=other.id)
    assert loaded.values[1] == other.id


async def test_a_seed_that_the_service_chose_is_0(generations: Generations) -> None:
    started = await generations.start(ImagineRequest(model="flux-schnell", prompt="a field", width=320, height=256))
    assert (await result("FluxLoadGeneration", generations, generation=started.id)).values[3] == 0


async def test_nothing_chosen_and_what_is_unknown_are_said(generations: Generations) -> None:
    with pytest.raises(InvalidRequest, match="nothing is chosen"):
        await result("FluxLoadGeneration", generations, generation=" ")
    with pytest.raises(InvalidRequest, match="FLUX Fetch takes several"):
        await result("FluxLoadGeneration", generations, generation_id="g-one\ng-other")
    with pytest.raises(UnknownGeneration):
        await result("FluxLoadGeneration", generations, generation="g-nobody a field")


@pytest.mark.parametrize("prefix", ["", "sha256:"])
async def test_an_image_prompt_of_an_earlier_generation_is_given_again(generations: Generations, prefix: str) -> None:
    made = await result("FluxSubmit", generations, **SMALL, image_prompt=picture(0.5))
    digest = str(made.generations[0].request["image_prompt"]).removeprefix("sha256:")
    (image,) = (await result("FluxKeptImage", generations, sha256=f" {prefix}{digest} ")).values
    assert image.dtype == np.float32
    assert np.array_equal(to_bytes(image), to_bytes(picture(0.5)))


async def test_a_kept_image_that_is_not_here_or_no_digest_is_said(generations: Generations) -> None:
    with pytest.raises(StorageError):
        await result("FluxKeptImage", generations, sha256="0" * 64)
    with pytest.raises(InvalidRequest, match="sha256"):
        await result("FluxKeptImage", generations, sha256="../../settings")


@pytest.mark.parametrize("count", [1, 2])
async def test_a_result_that_cannot_be_opened_here_ends_in_a_sentence_that_names_its_file(
    generations: Generations, sandbox: Sandbox, count: int
) -> None:
    with sending(HEIC) as (url, _):
        sandbox.inject(Fault(where="image", kind="redirect", location=url, times=None))
        with pytest.raises(UnreadableImage, match=r"paid and not lost.*\.heic"):
            await result("FluxImagine", generations, **SMALL, count=count)
    (found, *_) = await generations.recent()
    for node, values in (
        ("FluxLoadGeneration", {"generation_id": found.id}),
        ("FluxFetch", {"generation_id": found.id}),
    ):
        with pytest.raises(UnreadableImage, match=str(found.sha256)):
            await result(node, generations, **values)
    assert sandbox.charges == count
