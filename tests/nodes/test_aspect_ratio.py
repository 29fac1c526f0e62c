from __future__ import annotations

import math

import pytest

from flux_nodes.core.catalog import parameter
from flux_nodes.core.errors import InvalidRequest
from flux_nodes.core.request import ImagineRequest
from tests.nodes.playing import BY_ID, NOWHERE, picture, result

RATIO = BY_ID["FluxAspectRatio"].input("ratio")
assert RATIO is not None
SHAPES = [choice for choice in RATIO.choices if ":" in choice]


def test_the_usual_shapes_one_of_ones_own_and_that_of_an_image_can_be_chosen() -> None:
    assert RATIO is not None
    assert SHAPES == ["21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16", "9:21"]
    assert RATIO.choices[len(SHAPES) :] == ("custom", "of the image")


@pytest.mark.parametrize("megapixels", [0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("ratio", SHAPES)
async def test_a_size_is_one_that_every_model_takes_near_to_shape_and_area(ratio: str, megapixels: float) -> None:
    width, height, shape = (await result("FluxAspectRatio", NOWHERE, ratio=ratio, megapixels=megapixels)).values
    for name, value in (("width", width), ("height", height)):
        item = parameter(name)
        assert item.minimum is not None
        assert item.maximum is not None
        assert item.minimum <= value <= item.maximum
        assert value % 32 == 0
    wide, high = map(int, ratio.split(":"))
    assert width / height == pytest.approx(wide / high, rel=0.06)
    area = megapixels * 1024 * 1024
    if all(256 <= math.sqrt(area * side) <= 1440 for side in (wide / high, high / wide)):
        assert width * height == pytest.approx(area, rel=0.1)
    assert shape == ratio
    ImagineRequest(model="flux-pro-1.1-ultra", prompt="a field", aspect_ratio=shape)


@pytest.mark.parametrize(
    ("ratio", "megapixels", "size"),
    [
        ("1:1", 1.0, (1024, 1024)),
        ("3:2", 1.0, (1248, 832)),
        ("2:3", 1.0, (832, 1248)),
        ("16:9", 2.0, (1440, 800)),
        ("1:1", 2.0, (1440, 1440)),
    ],
)
async def test_sizes_that_people_expect(ratio: str, megapixels: float, size: tuple[int, int]) -> None:
    made = await result("FluxAspectRatio", NOWHERE, ratio=ratio, megapixels=megapixels)
    assert made.values[:2] == size
    assert made.text.startswith(f"{size[0]}×{size[1]} · ")


@pytest.mark.parametrize(
    ("custom", "shape"),
    [
        ("2:1", "2:1"),
        (" 1920x1080 ", "16:9"),
        ("1920X1080", "16:9"),
        ("5：4", "5:4"),
        ("1.85:1", "37:20"),
        ("4 : 5", "4:5"),
        ("3/2", "3:2"),
        ("99999:99998", "1:1"),
        ("7:3", "21:9"),
    ],
)
async def test_a_shape_of_ones_own_is_read_liberally_and_given_in_whole_numbers(custom: str, shape: str) -> None:
    made = await result("FluxAspectRatio", NOWHERE, ratio="custom", custom=custom)
    assert made.values[2] == shape


async def test_the_shape_may_be_that_of_an_image() -> None:
    made = await result("FluxAspectRatio", NOWHERE, ratio="of the image", image=picture(1.0, (300, 200)))
    assert made.values == (832, 1248, "2:3")


@pytest.mark.parametrize(
    ("custom", "words"),
    [("3:1", "wider"), ("1:3", "taller"), ("wide", "width:height"), ("", "width:height"), ("0:3", "width:height")],
)
async def test_a_shape_out_of_bounds_is_refused_with_what_is_allowed_even_before_a_run(custom: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"custom: .*{words}.*21:9 to 9:21"):
        await result("FluxAspectRatio", NOWHERE, ratio="custom", custom=custom)
    check = BY_ID["FluxAspectRatio"].check
    assert check is not None
    assert [fault.where for fault in check({"ratio": "custom", "custom": custom})] == ["custom"]
    assert not check({"ratio": "4:3", "custom": custom})
    assert not check({"ratio": "custom"})


async def test_an_image_that_is_missing_or_too_wide_is_said() -> None:
    with pytest.raises(InvalidRequest, match="no image is linked"):
        await result("FluxAspectRatio", NOWHERE, ratio="of the image")
    with pytest.raises(InvalidRequest, match=r"image: 192:64 is wider .*21:9 to 9:21"):
        await result("FluxAspectRatio", NOWHERE, ratio="of the image", image=picture(1.0, (64, 192)))


@pytest.mark.parametrize("megapixels", [0.0, -1.0, 5.0, float("nan")])
async def test_an_amount_of_pixels_that_cannot_be_is_refused(megapixels: float) -> None:
    with pytest.raises(InvalidRequest, match=r"megapixels.*from 0.1 to 2"):
        await result("FluxAspectRatio", NOWHERE, ratio="1:1", megapixels=megapixels)
