"""Several arrays of images as one: those of other sizes and channels are brought to what they have in common.

Sizes are made alike as in ComfyUI's Batch Images: cut about the middle to the first one's shape, scaled bilinearly,
pixel centres at halves, without antialiasing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.images import Array


def joined(images: Sequence[Array]) -> Array:
    """Put arrays [B, H, W, C] into one, in the first one's size; where one has alpha, the others' is 1."""
    if len(images) == 1:
        return images[0]
    rows, columns = images[0].shape[1:3]
    channels = max(image.shape[3] for image in images)
    return np.concatenate([_with_channels(_fitted(image, columns, rows), channels) for image in images])


def _with_channels(images: Array, channels: int) -> Array:
    missing = channels - images.shape[3]
    return np.pad(images, ((0, 0), (0, 0), (0, 0), (0, missing)), constant_values=1.0) if missing else images


def _fitted(images: Array, columns: int, rows: int) -> Array:
    if images.shape[1:3] == (rows, columns):
        return images
    return _scaled(_scaled(_cut(images, columns / rows), 2, columns), 1, rows)


def _cut(images: Array, shape: float) -> Array:
    rows, columns = images.shape[1:3]
    # A column or a row is left, whatever the shape: what is joined here is paid.
    x = min(max(0, round((columns - rows * shape) / 2)), (columns - 1) // 2)
    y = min(max(0, round((rows - columns / shape) / 2)), (rows - 1) // 2)
    return images[:, y : rows - y, x : columns - x]


def _scaled(images: Array, axis: int, size: int) -> Array:
    """Scale along one axis: each new row is a mixture of the two old ones that it lies between."""
    old = images.shape[axis]
    at = ((np.arange(size) + 0.5) * (old / size) - 0.5).clip(0)
    low = np.floor(at).astype(np.intp)
    along = [size if each == axis else 1 for each in range(images.ndim)]
    part = (at - low).astype(np.float32).reshape(along)
    mixed: Array = np.take(images, low, axis) * (1 - part) + np.take(images, (low + 1).clip(max=old - 1), axis) * part
    return mixed
