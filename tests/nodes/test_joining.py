from __future__ import annotations

import numpy as np
import pytest

from flux_nodes.graph.scaling import batched
from flux_nodes.nodes.joining import joined


@pytest.mark.parametrize("channels", [(3, 3), (3, 4), (4, 3)])
@pytest.mark.parametrize("sizes", [((8, 12), (8, 12)), ((8, 12), (30, 17)), ((31, 20), (9, 9)), ((7, 50), (64, 20))])
def test_images_of_other_sizes_and_channels_join_as_in_batch_images(
    sizes: tuple[tuple[int, int], tuple[int, int]], channels: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(1)
    one, other = (pixels.random((1, *size, count), np.float32) for size, count in zip(sizes, channels, strict=True))
    assert np.allclose(joined([one, other]), batched(one, other), atol=1e-5)


def test_the_first_image_decides_the_size_and_any_alpha_the_channels() -> None:
    first, second, third = (np.ones((1, *shape), np.float32) for shape in ((4, 6, 3), (9, 9, 4), (4, 6, 3)))
    second[..., 3] = 0.5
    made = joined([first, second, third])
    assert made.shape == (3, 4, 6, 4)
    assert [image[0, 0, 3] for image in made] == [1.0, 0.5, 1.0]


def test_a_single_image_is_left_as_it_is() -> None:
    one = np.ones((1, 4, 6, 3), np.float32)
    assert joined([one]) is one
