"""What scenes are painted with: colour ramps, noise, glows, ridges; float32 arrays, colours in 0..1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[np.floating[Any]]
    """An array of colours [H, W, 3], or of one value a pixel [H, W]."""


def rgb(code: str) -> Pixels:
    """Read a colour such as "f2a65a"."""
    return np.asarray(np.frombuffer(bytes.fromhex(code), np.uint8).astype(np.float32) / np.float32(255), np.float32)


def ramp(at: Pixels, colours: Sequence[str], stops: Sequence[float] | None = None) -> Pixels:
    """Colour an array of values in 0..1 along a row of colours."""
    places = np.linspace(0, 1, len(colours)) if stops is None else np.asarray(stops)
    table = np.stack([rgb(code) for code in colours])
    return np.stack([np.interp(at, places, table[:, i]) for i in range(3)], axis=-1).astype(np.float32)


def mix(below: Pixels, above: Pixels, share: Pixels | float) -> Pixels:
    """Lay one colour over another; the share (0..1) is a number or one value a pixel."""
    if isinstance(share, np.ndarray):
        share = share[..., None]
    return below + (above - below) * share


def smooth(low: float, high: float, at: Pixels) -> Pixels:
    """Rise softly from 0 at `low` to 1 at `high`."""
    t = np.clip((at - low) / (high - low), 0, 1)
    return np.asarray((t * t * (3 - 2 * t)), np.float32)


@dataclass(frozen=True)
class Canvas:
    """The surface of one picture, and the chance that shapes it.

    Lengths are in heights of the picture: y runs from 0 (top) to 1, x from 0 to width / height.

    Attributes:
        width: Pixels.
        height: Pixels.
        chance: Where all randomness comes from.
        detail: How much fine structure there is, 0..1.
    """

    width: int
    height: int
    chance: np.random.Generator
    detail: float

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height

    @property
    def x(self) -> Pixels:
        """Each column's x, [1, W]."""
        return ((np.arange(self.width, dtype=np.float32) + 0.5) / self.height)[None, :]

    @property
    def y(self) -> Pixels:
        """Each row's y, [H, 1]."""
        return ((np.arange(self.height, dtype=np.float32) + 0.5) / self.height)[:, None]

    def octaves(self, most: int) -> int:
        """Return how many layers of noise this picture's detail allows."""
        return max(2, round(most * (0.45 + 0.55 * self.detail)))

    def noise(self, across: float, down: float, octaves: int = 4, *, gain: float = 0.5) -> Pixels:
        """Return soft clouds of noise in 0..1, [H, W], with that many features a height across and down."""
        return np.clip(self.swell(across, down, octaves, gain=gain), 0, 1).astype(np.float32)

    def swell(self, across: float, down: float, octaves: int = 4, *, gain: float = 0.5) -> Pixels:
        """Return noise about 0.5 that is never cut off flat, for what bends by it."""
        total = np.zeros((self.height, self.width), np.float32)
        weight, weights = 1.0, 0.0
        for octave in range(octaves):
            cells = (
                min(self.width, max(2, round(across * self.aspect * 2**octave) + 2)),
                min(self.height, max(2, round(down * 2**octave) + 2)),
            )
            total += weight * self._stretched(*cells)
            weights += weight
            weight *= gain
        return (0.5 + (total / weights - 0.5) * 1.6).astype(np.float32)

    def _stretched(self, columns: int, rows: int) -> Pixels:
        grid = Image.fromarray(self.chance.random((rows, columns), np.float32))
        return np.asarray(grid.resize((self.width, self.height), Image.Resampling.BICUBIC), np.float32)

    def line(self, features: float, octaves: int, *, gain: float = 0.5) -> Pixels:
        """Return a rough line in about -1..1, one value a column [W]."""
        total = np.zeros(self.width, np.float32)
        weight = 1.0
        for octave in range(octaves):
            count = max(3, round(features * self.aspect * 2**octave) + 3)
            knots = self.chance.random(count) * 2 - 1
            total += weight * _curve(knots, self.width)
            weight *= gain
        return total

    def rows_below(self, ridge: Pixels) -> slice:
        """Return the rows that a ridge (one y a column) and what is below it can touch."""
        return slice(min(self.height - 1, max(0, int(float(ridge.min()) * self.height) - 1)), self.height)

    def below(self, ridge: Pixels, rows: slice) -> Pixels:
        """Return which pixels of those rows lie below a ridge, 0..1 with a smooth edge."""
        return np.clip((self.y[rows] - ridge[None, :]) * self.height + 0.5, 0, 1).astype(np.float32)

    def distance(self, x: float, y: float, *, flat: float = 1.0) -> Pixels:
        """Return each pixel's distance from a point; `flat` above 1 squeezes the circles."""
        return np.sqrt((self.x - x) ** 2 + ((self.y - y) * flat) ** 2).astype(np.float32)

    def disc(self, x: float, y: float, radius: float) -> Pixels:
        """Return a disc with a smooth edge, 0..1."""
        return np.asarray(np.clip((radius - self.distance(x, y)) * self.height + 0.5, 0, 1), np.float32)

    def glow(self, x: float, y: float, reach: float, *, flat: float = 1.0) -> Pixels:
        """Return light that fades with distance, 1 at its source."""
        return np.asarray(np.exp(-self.distance(x, y, flat=flat) / reach), np.float32)

    def gradient(self, colours: Sequence[str], top: float = 0.0, bottom: float = 1.0) -> Pixels:
        """Return a vertical ramp of colours between two heights, [H, W, 3]."""
        column = ramp(np.clip((self.y - top) / (bottom - top), 0, 1)[:, 0], colours)
        return np.repeat(column[:, None, :], self.width, axis=1)


def _curve(knots: NDArray[np.float64], width: int) -> Pixels:
    at = np.linspace(0, len(knots) - 1.001, width)
    index = at.astype(int)
    t = at - index
    t = t * t * (3 - 2 * t)
    return np.asarray(knots[index] * (1 - t) + knots[index + 1] * t, np.float32)


def stamp(picture: Pixels, sprite: Pixels, cover: Pixels, left: int, top: int) -> None:
    """Lay a small picture with its own cover (0..1) onto a large one, in place; what lies outside is cut off."""
    height, width = cover.shape
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, picture.shape[1]), min(top + height, picture.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    picture[y0:y1, x0:x1] = mix(picture[y0:y1, x0:x1], sprite[part], cover[part])
