"""Scaling images, by the methods of ComfyUI's ImageScale.

Each method takes an output row (or column) as a weighted sum of input rows; pixel centres lie at halves. So do
PyTorch's `interpolate` without corner alignment or antialiasing, and `comfy.utils.common_upscale` on top of it.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from PIL import Image

from ..core.images import to_bytes
from .scaled_size import margins, require_few, require_part, scaled_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ..core.images import Array

    Indexes = NDArray[np.intp]

Method = Literal["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
Crop = Literal["disabled", "center"]
METHODS: tuple[Method, ...] = get_args(Method)
CROPS: tuple[Crop, ...] = get_args(Crop)

_SHARPNESS = -0.75
"""The parameter of the cubic convolution that PyTorch uses."""


def scaled(images: Array, *, width: int, height: int, method: Method, crop: Crop = "disabled") -> Array:
    """Scale images [B, H, W, C] to width × height pixels; `center` first cuts them to the new shape.

    Raises InvalidImage where that leaves nothing of them, or where they are too large.
    """
    require_few((width, height), len(images))
    if crop == "center":
        images = _centre(images, (width, height))
    made = np.empty((len(images), height, width, images.shape[3]), np.float32)
    for at in range(len(images)):  # one by one: what is mixed on the way takes the memory of several images
        made[at] = _one(images[at : at + 1], width, height, method)[0]
    return made


def _one(image: Array, width: int, height: int, method: Method) -> Array:
    if method == "lanczos":
        return _lanczos(image, width, height)
    along = _averaged if method == "area" else _interpolated
    return along(along(image, 2, width, method), 1, height, method)


def sized(images: Array, width: int, height: int) -> tuple[int, int]:
    """Return the size to scale to, where 0 keeps the shape and two zeros keep the size. Raises InvalidImage."""
    rows, columns = images.shape[1:3]
    return scaled_size((columns, rows), width, height) or (columns, rows)


def batched(first: Array, second: Array) -> Array:
    """Put two batches into one: the second is scaled to the first's size, and where one lacks alpha it is 1.

    Raises InvalidImage where nothing is left of the second one in the first one's shape, or where both are too large.
    """
    require_few((first.shape[2], first.shape[1]), len(first) + len(second))
    channels = max(first.shape[3], second.shape[3])
    first, second = _opaque(first, channels), _opaque(second, channels)
    rows, columns = first.shape[1:3]
    if second.shape[1:3] != (rows, columns):
        second = scaled(second, width=columns, height=rows, method="bilinear", crop="center")
    return np.concatenate((first, second))


def _opaque(images: Array, channels: int) -> Array:
    missing = channels - images.shape[3]
    return np.pad(images, ((0, 0), (0, 0), (0, 0), (0, missing)), constant_values=1.0) if missing else images


def _centre(images: Array, wanted: tuple[int, int]) -> Array:
    rows, columns = images.shape[1:3]
    require_part((columns, rows), wanted)
    x, y = margins((columns, rows), wanted)
    return images[:, y : rows - y, x : columns - x]


def _lanczos(images: Array, width: int, height: int) -> Array:
    size = (width, height)
    resized = [Image.fromarray(to_bytes(image)).resize(size, Image.Resampling.LANCZOS) for image in images]
    return np.stack([np.asarray(image, dtype=np.float32) / np.float32(255) for image in resized])


def _interpolated(images: Array, axis: int, size: int, method: Method) -> Array:
    shape = [1] * images.ndim
    shape[axis] = size
    last = images.shape[axis] - 1
    parts = (
        np.take(images, indexes.clip(0, last), axis=axis) * weights.reshape(shape)
        for indexes, weights in _taps(images.shape[axis], size, method)
    )
    total: Array = reduce(np.add, parts)
    return total


def _taps(old: int, new: int, method: Method) -> Iterator[tuple[Indexes, Array]]:
    """Yield, one after another, the input row that each output row takes, and how much of it."""
    at = (np.arange(new) + 0.5) * (old / new)
    if method == "nearest-exact":
        yield np.floor(at).astype(np.intp), np.ones(new, np.float32)
        return
    at = at - 0.5 if method == "bicubic" else (at - 0.5).clip(0)
    low = np.floor(at).astype(np.intp)
    part = at - low
    if method == "bilinear":
        yield low, (1 - part).astype(np.float32)
        yield low + 1, part.astype(np.float32)
        return
    for offset in (-1, 0, 1, 2):
        yield low + offset, _cubic(np.abs(part - offset)).astype(np.float32)


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weigh a row by its distance: Keys' cubic convolution."""
    a, x = _SHARPNESS, distance
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x <= 1, near, far)


def _averaged(images: Array, axis: int, size: int, method: Method) -> Array:
    """Average the input rows that each output row covers, whole ones (PyTorch's adaptive average)."""
    del method
    old = images.shape[axis]
    steps = np.arange(size)
    starts, ends = steps * old // size, -(-(steps + 1) * old // size)
    sums = np.cumsum(images, axis=axis, dtype=np.float64)
    sums = np.concatenate((np.zeros_like(np.take(sums, [0], axis=axis)), sums), axis=axis)
    shape = [1] * images.ndim
    shape[axis] = size
    whole = np.take(sums, ends, axis=axis) - np.take(sums, starts, axis=axis)
    average: Array = (whole / (ends - starts).reshape(shape)).astype(np.float32)
    return average
