"""Pictures of nothing but colour and light: folds of silk, and leaded glass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .brushes import mix, ramp, rgb, smooth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .brushes import Canvas, Pixels

PALETTES: tuple[Sequence[str], ...] = (
    ("0b132b", "1c2f5e", "3a6ea5", "8fc1d4", "f6e7cb", "f2a65a", "c8553d"),
    ("1a0b2e", "4b1d6b", "a02c7d", "e8556d", "f9a26c", "fde2a7"),
    ("06201f", "0e4d4a", "2f8f83", "9fd8b8", "f5efd0", "e9b44c"),
    ("20102b", "51305e", "8d5a97", "d69ac4", "f6d5d0", "fff3e2"),
    ("0f1a20", "27474e", "5d8a8c", "d4c19c", "e4895b", "8f2d2f"),
)


def silk(canvas: Canvas, colours: Sequence[str]) -> Pixels:
    """Paint folds of a shining cloth: a warped field of noise, lit from the upper left."""
    warp = canvas.swell(1.1, 1.1, 2)
    drift = canvas.swell(0.8, 1.0, 2)
    angle = canvas.chance.uniform(0, 3.14)
    along = (canvas.x * np.cos(angle) + canvas.y * np.sin(angle)) * 3.2
    folds = along + 3.4 * warp + 1.7 * np.sin(along * 0.9 + drift * 7)
    height = np.sin(folds * 2.1) + 0.35 * np.sin(folds * 5.3 + drift * 9) * canvas.detail
    height += 0.1 * np.sin(folds * 21 + warp * 30) * canvas.detail
    colour = ramp(np.clip(0.5 + 0.30 * np.sin(folds * 1.05 + 1) + 0.5 * (drift - 0.5), 0, 1), colours)
    dy, dx = np.gradient(height.astype(np.float32), 26.0 / canvas.height)
    length = np.sqrt(dx * dx + dy * dy + 1)
    facing = np.clip((0.62 - 0.45 * dx - 0.55 * dy) / length, 0, 1)
    shine = np.clip((0.80 - 0.35 * dx - 0.48 * dy) / length, 0, 1) ** 22
    lit = colour * (0.34 + 1.05 * facing)[..., None]
    return mix(lit, rgb(colours[-2]) * 0.4 + 0.6, (shine * 0.5).astype(np.float32)).astype(np.float32)


def glass(canvas: Canvas, colours: Sequence[str]) -> Pixels:
    """Paint a leaded window with the sun behind it."""
    cells = 7 + round(3 * canvas.detail)
    first, second, owner = _nearest(canvas, cells)
    tone = _tones(canvas, owner, colours)
    sun = (canvas.aspect * canvas.chance.uniform(0.3, 0.7), canvas.chance.uniform(0.25, 0.5))
    behind = 0.45 + 0.75 * canvas.glow(*sun, 0.55)
    streaks = canvas.noise(5, 9, canvas.octaves(5)) - 0.5
    pane = ramp(tone, colours) * (behind + 0.28 * streaks)[..., None]
    pane = mix(pane, np.ones(3, np.float32), canvas.glow(*sun, 0.14) * 0.5)
    rim = second - first
    pane = pane * (0.72 + 0.28 * smooth(0, 0.35, rim))[..., None]
    lead_width = 0.055
    lead = smooth(lead_width + 1.6 * cells / canvas.height, lead_width, rim)
    metal = rgb("15161c") + (smooth(0.05, 0.0, rim) * 0.22)[..., None]
    return mix(pane, metal.astype(np.float32), lead).astype(np.float32)


def _nearest(canvas: Canvas, cells: int) -> tuple[Pixels, Pixels, Pixels]:
    """Return each pixel's distances to the two nearest of scattered points (in cells), and the nearest's number."""
    columns, rows = int(cells * canvas.aspect) + 4, cells + 4
    jitter = canvas.chance.uniform(0.08, 0.92, (rows, columns, 2)).astype(np.float32)
    at_x = np.repeat(canvas.x * cells + 1, canvas.height, axis=0)
    at_y = np.repeat(canvas.y * cells + 1, canvas.width, axis=1)
    cell_x, cell_y = at_x.astype(np.int32), at_y.astype(np.int32)
    first = np.full(at_x.shape, 9, np.float32)
    second, owner = first.copy(), np.zeros(at_x.shape, np.int32)
    for step_y in (-1, 0, 1):
        for step_x in (-1, 0, 1):
            row, column = cell_y + step_y, cell_x + step_x
            number = row * columns + column
            point = jitter.reshape(-1, 2)[number]
            away = np.sqrt((column + point[..., 0] - at_x) ** 2 + (row + point[..., 1] - at_y) ** 2)
            closer = away < first
            second = np.where(closer, first, np.minimum(second, away))
            owner = np.where(closer, number, owner)
            first = np.where(closer, away, first)
    return first, second, owner.astype(np.float32)


def _tones(canvas: Canvas, owner: Pixels, colours: Sequence[str]) -> Pixels:
    number = owner.astype(np.int32)
    tones = canvas.chance.random(int(number.max()) + 1).astype(np.float32)
    steps = len(colours) * 2
    own = np.round(tones * steps) / steps
    drift = canvas.noise(0.9, 0.9, 2)
    return np.clip(0.12 + 0.55 * own[number] + 0.4 * (drift - 0.3), 0, 1).astype(np.float32)
