from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from flux_nodes.core.errors import InvalidRequest
from tests.nodes.playing import BY_ID, NOWHERE, picture, result

if TYPE_CHECKING:
    from flux_nodes.core.images import Array


def reds(sheet: Array, *values: float) -> list[float]:
    """Those of these reds that fill a cell of the sheet, from its top left."""
    found = {value: np.argwhere(np.isclose(sheet[0, :, :, 0], value, atol=0.01)) for value in values}
    cells = {value: places for value, places in found.items() if len(places) > 2000}
    return sorted(cells, key=lambda value: tuple(cells[value].min(axis=0)))


async def test_a_contact_sheet_has_a_cell_for_every_image_of_every_batch() -> None:
    images = {"image_2": picture(0.5), "image_1": np.concatenate([picture(1.0), picture(0.75)])}
    (sheet,) = (await result("FluxContactSheet", NOWHERE, labels="a\nb\nc", title="T", cell=96, **images)).values
    assert sheet.dtype == np.float32
    assert reds(sheet, 1.0, 0.75, 0.5) == [1.0, 0.75, 0.5]


async def test_the_images_of_lists_stand_in_the_order_of_the_sockets() -> None:
    assert BY_ID["FluxContactSheet"].takes_lists
    images = {
        "image_10": [picture(0.25)],
        "image_2": [picture(1.0), np.concatenate([picture(0.75), picture(0.5)])],
    }
    made = await result("FluxContactSheet", NOWHERE, columns=[4, 1], cell=[96, 200], **images)
    assert reds(made.values[0], 1.0, 0.75, 0.5, 0.25) == [1.0, 0.75, 0.5, 0.25]
    assert made.text == "4 images"


async def test_a_list_of_labels_is_one_label_for_each_image() -> None:
    images = {"image_1": [picture(1.0), picture(0.5)]}
    listed = await result("FluxContactSheet", NOWHERE, labels=["a cat", "a dog"], title=["T", "no"], **images)
    lines = await result("FluxContactSheet", NOWHERE, labels="a cat\na dog", title="T", **images)
    other = await result("FluxContactSheet", NOWHERE, labels="a cat", title="T", **images)
    assert np.array_equal(listed.values[0], lines.values[0])
    assert not np.array_equal(listed.values[0], other.values[0])


async def test_a_list_with_a_label_for_each_batch_labels_all_images_of_the_batch() -> None:
    images = {"image_1": [np.concatenate([picture(1.0), picture(0.5)]), picture(0.75)]}
    listed = await result("FluxContactSheet", NOWHERE, labels=["a cat\nin a hat", "a dog"], **images)
    lines = await result("FluxContactSheet", NOWHERE, labels="a cat in a hat\na cat in a hat\na dog", **images)
    assert np.array_equal(listed.values[0], lines.values[0])


async def test_a_contact_sheet_keeps_the_shape_of_each_image() -> None:
    (sheet,) = (
        await result(
            "FluxContactSheet", NOWHERE, columns=2, cell=96, image_1=picture(1.0, (96, 32)), image_2=picture(0.5)
        )
    ).values
    tall = np.isclose(sheet[0, :, :, 0], 1.0, atol=0.01)
    assert (tall.any(axis=1).sum(), tall.any(axis=0).sum()) == (96, 32)


@pytest.mark.parametrize("images", [{}, {"image_1": []}])
async def test_a_contact_sheet_without_images_says_so(images: dict[str, list[Array]]) -> None:
    with pytest.raises(InvalidRequest, match="no image"):
        await result("FluxContactSheet", NOWHERE, **images)
