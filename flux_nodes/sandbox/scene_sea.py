"""The sea under a low sun."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .brushes import mix, rgb, smooth
from .scene_land import clouds, sky

if TYPE_CHECKING:
    from .brushes import Canvas, Pixels
    from .scene_land import Mood


def sea(canvas: Canvas, mood: Mood) -> Pixels:
    """Paint waves that run towards us, with the sun's path on them."""
    horizon = canvas.chance.uniform(0.44, 0.52)
    sun = (canvas.aspect * canvas.chance.uniform(0.3, 0.7), horizon - canvas.chance.uniform(0.07, 0.14))
    picture = sky(canvas, mood, sun, horizon)
    picture = clouds(canvas, picture, mood, sun)
    picture = mix(picture, rgb(mood.light), canvas.disc(*sun, canvas.chance.uniform(0.05, 0.07)) * 0.97)
    top = int(horizon * canvas.height)
    picture[top:] = _water(canvas, mood, sun, top, picture)
    haze = np.exp(-np.abs(canvas.y - horizon) / 0.018) * 0.45
    return mix(picture, rgb(mood.sky[-1]), np.broadcast_to(haze, picture.shape[:2]).astype(np.float32))


def _water(canvas: Canvas, mood: Mood, sun: tuple[float, float], top: int, above: Pixels) -> Pixels:
    near = np.linspace(0, 1, canvas.height - top, dtype=np.float32)[:, None]
    waves = _waves(canvas, near)
    slope = np.gradient(waves, axis=0) * canvas.height / 60
    deep = mix(rgb(mood.near), rgb(mood.sky[1]), 0.45)
    # the flatter the look across the water, the more sky it mirrors
    rows = np.clip(top - 1 - (near * top * 0.85 + slope * 20), 0, top - 1).astype(int)
    columns = np.clip(np.arange(canvas.width)[None, :] + (slope * 14).astype(int), 0, canvas.width - 1)
    mirrored = above[rows, columns]
    facing = np.clip(0.62 - 0.42 * near + 0.55 * slope, 0.05, 0.95).astype(np.float32)
    water = mix(deep * np.ones_like(mirrored), mirrored, facing)
    crest = smooth(0.66, 0.9, waves) * (0.08 + 0.5 * near)
    water = mix(water, rgb(mood.light), crest * canvas.noise(30, 30, 2)[top:] * 0.55)
    return water + _path(canvas, sun, waves, near)[..., None] * rgb(mood.light)


def _waves(canvas: Canvas, near: Pixels) -> Pixels:
    far = 1 / (near + 0.06)
    total = np.zeros((near.shape[0], canvas.width), np.float32)
    middle = canvas.aspect / 2
    wobble = canvas.noise(1.5, 5, 3)[-near.shape[0] :] * 3.0
    for octave in range(canvas.octaves(7)):
        frequency = 5.0 * 1.75**octave
        turn = canvas.chance.uniform(-0.5, 0.5)
        phase = canvas.chance.uniform(0, 6.3)
        across = (canvas.x - middle) * far * turn * 0.35 * frequency
        swell = np.sin(frequency * far * 1.5 + across + phase + wobble * (1 + 0.6 * octave))
        # waves finer than two rows would only flicker
        seen = np.clip(near * canvas.height * near / (frequency * 0.35) * 0.35, 0, 1)
        total += (0.62**octave) * np.sign(swell) * np.abs(swell) ** 1.2 * seen
    return np.asarray(np.clip(0.5 + total * 0.3, 0, 1), np.float32)


def _path(canvas: Canvas, sun: tuple[float, float], waves: Pixels, near: Pixels) -> Pixels:
    width = 0.035 + 0.2 * near
    column = np.exp(-(((canvas.x - sun[0]) / width) ** 2))
    sparkle = smooth(0.5, 0.82, canvas.noise(34, 150, 2)[-near.shape[0] :] * 0.55 + waves * 0.5)
    return np.asarray((column * sparkle * (1.0 - 0.35 * near)), np.float32)
