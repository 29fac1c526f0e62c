"""Landscapes: hills at sunset, and mountains under the stars."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .brushes import mix, ramp, rgb, smooth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .brushes import Canvas, Pixels


class Mood(NamedTuple):
    """The colours of an hour: the sky from top to horizon, its light, and the land from far to near."""

    sky: Sequence[str]
    light: str
    far: str
    near: str


SUNSETS = (
    Mood(("2b2d5b", "6d4a86", "d9737a", "f6b26b", "ffe2a8"), "fff1c9", "c98a8e", "1d1733"),
    Mood(("1f1b3a", "4a2c64", "a3416f", "f0716a", "ffc07f"), "ffdf9e", "b2607f", "170f28"),
    Mood(("355c7d", "6c7a9c", "c58aa1", "f7b799", "ffe8cf"), "fff3dd", "b596a8", "22283d"),
)
MORNINGS = (
    Mood(("1f4570", "4f86ad", "93bdd2", "e9c39a", "f3d8b0"), "fff7e0", "9db9c9", "17313f"),
    Mood(("0d4453", "3f7c7e", "9db58f", "e6bf74", "f4dc9c"), "fffbe0", "94ab93", "12302f"),
    Mood(("324d73", "6a86a8", "a9b7cb", "dfb5a6", "eccbb4"), "fff6ee", "a7b3c4", "2a3a4a"),
)
NIGHTS = (
    Mood(("050714", "0b1537", "1b2f63", "3c5a8f"), "f4f1de", "35507f", "04060e"),
    Mood(("090616", "1d1140", "43256b", "8a4b82"), "fbeee0", "4f3a72", "07040f"),
    Mood(("03110f", "06262c", "0f4a4f", "2f7f73"), "eafff2", "28605e", "020a0b"),
)


def hills(canvas: Canvas, mood: Mood) -> Pixels:
    """Paint layers of hills before a low sun, with mist in the valleys and pines on the nearest."""
    sun = (canvas.aspect * canvas.chance.uniform(0.25, 0.75), canvas.chance.uniform(0.34, 0.46))
    picture = sky(canvas, mood, sun, horizon=0.66)
    picture = clouds(canvas, picture, mood, sun)
    radius = canvas.chance.uniform(0.045, 0.07)
    picture = mix(picture, rgb(mood.light), canvas.disc(*sun, radius) * 0.95)
    layers = 4 + round(3 * canvas.detail)
    for layer in range(layers):
        picture = _ridge(canvas, picture, mood, sun, layer / (layers - 1))
    return picture


def night(canvas: Canvas, mood: Mood) -> Pixels:
    """Paint stars and a moon over mountains that a lake mirrors."""
    moon = (canvas.aspect * canvas.chance.uniform(0.2, 0.8), canvas.chance.uniform(0.16, 0.3))
    picture = canvas.gradient(mood.sky, 0, 0.7)
    picture = _milky_way(canvas, picture, mood)
    picture = picture + _stars(canvas)[..., None] * (1 - 0.8 * canvas.glow(*moon, 0.12))[..., None]
    picture = _moon(canvas, picture, mood, moon)
    for layer, (base, rough) in enumerate(((0.55, 0.2), (0.63, 0.13), (0.68, 0.06))):
        picture = _mountain(canvas, picture, mood, base, rough, layer / 2)
    return mirror(canvas, picture, 0.72, rgb(mood.sky[1]))


def sky(canvas: Canvas, mood: Mood, sun: tuple[float, float], horizon: float) -> Pixels:
    """Return the sky with the light around its sun."""
    picture = canvas.gradient(mood.sky, 0, horizon)
    picture = mix(picture, rgb(mood.sky[-1]), canvas.glow(*sun, 0.28, flat=1.6) * 0.6)
    return mix(picture, rgb(mood.light), canvas.glow(*sun, 0.085) * 0.9)


def clouds(canvas: Canvas, picture: Pixels, mood: Mood, sun: tuple[float, float]) -> Pixels:
    """Lay long clouds over the sky, lit from the sun's side."""
    bank = canvas.swell(1.3, 3.5, 3) - 0.5
    wisps = canvas.swell(4, 15, canvas.octaves(6), gain=0.6) - 0.5
    thinned = 0.85 - 0.45 * canvas.glow(*sun, 0.2)
    cover = smooth(0.08, 0.62, bank + 0.75 * wisps) * smooth(0.75, 0.2, canvas.y) * thinned
    near_sun = canvas.glow(*sun, 0.5)
    lit = mix(rgb(mood.sky[1]) * np.ones_like(picture), rgb(mood.light), np.clip(near_sun * 1.3 + 0.1, 0, 1))
    return mix(picture, lit, cover)


def _ridge(canvas: Canvas, picture: Pixels, mood: Mood, sun: tuple[float, float], near: float) -> Pixels:
    base = 0.5 + 0.42 * near**1.1
    line = canvas.line(1.2 + 1.6 * (1 - near), canvas.octaves(6), gain=0.45)
    ground = base - (0.045 + 0.035 * near) * line
    ridge = ground - pines(canvas, 0.012 + 0.045 * (near - 0.55)) if near > 0.6 else ground
    rows = canvas.rows_below(ridge)
    depth = np.clip((canvas.y[rows] - ground[None, :]) / (0.22 + 0.1 * near), 0, 1)
    colour = ramp(np.full(1, near, np.float32) ** np.float32(0.8), (mood.far, mood.near))[0]
    haze = mix(colour, rgb(mood.sky[-2]), 0.55 * (1 - near))
    face = colour + (haze - colour) * (smooth(0.1, 1, depth) * (0.9 - 0.5 * near))[..., None]
    # the sun's light creeps over the ridges below it
    rim = np.exp(-depth * 14) * np.exp(-np.abs(canvas.x - sun[0]) / 0.45) * (0.5 - 0.32 * near)
    face = mix(face, rgb(mood.light), rim.astype(np.float32))
    if near > 0.4:
        face = face + ((canvas.noise(14, 30, 2)[rows] - 0.5) * 0.05 * near * canvas.detail)[..., None]
    picture[rows] = mix(picture[rows], face, canvas.below(ridge, rows))
    return picture


def pines(canvas: Canvas, tallest: float) -> Pixels:
    """Return how high a row of conifers stands at each column, in heights of the picture."""
    column = canvas.x[0]
    profile = np.zeros(canvas.width, np.float32)
    count = int(canvas.aspect / tallest * 1.5)
    density = canvas.line(2.0, 2)
    for place in canvas.chance.random(count) * canvas.aspect:
        grove = density[min(canvas.width - 1, int(place * canvas.height))]
        tall = tallest * canvas.chance.uniform(0.45, 1.0) * (0.55 + 0.45 * max(0.0, float(grove)))
        away = np.abs(column - place) / (tall * 0.26)
        rungs = 0.09 * np.abs((away * 4) % 1 - 0.5)
        profile = np.maximum(profile, tall * np.clip(1 - away + rungs * (away < 1), 0, 1) * (away < 1))
    return profile.astype(np.float32)


def _milky_way(canvas: Canvas, picture: Pixels, mood: Mood) -> Pixels:
    slope = canvas.chance.uniform(-0.5, 0.5)
    across = canvas.y - 0.3 - slope * (canvas.x - canvas.aspect / 2)
    veil = np.exp(-((across / 0.16) ** 2)) * canvas.noise(2.5, 4, canvas.octaves(7), gain=0.6) ** 1.6
    dust = smooth(0.45, 0.75, canvas.noise(4, 6, canvas.octaves(6))) * np.exp(-((across / 0.07) ** 2))
    glowing = np.clip(veil * 0.55 * (1 - 0.7 * dust), 0, 1).astype(np.float32)
    return mix(picture, mix(rgb(mood.sky[-1]), rgb(mood.light), 0.45), glowing)


def _stars(canvas: Canvas) -> Pixels:
    light = np.zeros((canvas.height, canvas.width), np.float32)
    count = int(canvas.aspect * (350 + 500 * canvas.detail))
    xs, ys = canvas.chance.random(count) * canvas.aspect, canvas.chance.random(count) * 0.7
    for x, y, size in zip(xs, ys, canvas.chance.pareto(2.2, count), strict=True):
        radius = min(0.0009 + 0.0005 * size, 0.0042)
        reach = int(radius * canvas.height * 5) + 2
        column, row = int(x * canvas.height), int(y * canvas.height)
        area = (slice(max(0, row - reach), row + reach), slice(max(0, column - reach), column + reach))
        away = (canvas.x[:, area[1]] - x) ** 2 + (canvas.y[area[0]] - y) ** 2
        light[area] += min(1.0, 0.35 + 0.3 * size) * np.exp(-away / radius**2)
    return light


def _moon(canvas: Canvas, picture: Pixels, mood: Mood, place: tuple[float, float]) -> Pixels:
    radius = canvas.chance.uniform(0.05, 0.075)
    halo = canvas.glow(*place, 0.09) * 0.55 + canvas.glow(*place, 0.3) * 0.25
    picture = mix(picture, rgb(mood.light), halo)
    seas = smooth(0.42, 0.72, canvas.noise(13, 13, canvas.octaves(5))) * 0.2
    round_ = np.clip(1 - (canvas.distance(*place) / radius) ** 2, 0, 1) ** 0.25
    face = rgb(mood.light) * (0.6 + 0.26 * round_ - seas)[..., None]
    return mix(picture, face.astype(np.float32), canvas.disc(*place, radius))


def _mountain(canvas: Canvas, picture: Pixels, mood: Mood, base: float, rough: float, near: float) -> Pixels:
    line = 1 - np.abs(canvas.line(1.6 + near, canvas.octaves(8), gain=0.5))
    ridge = base - rough * (line - 0.4)
    if near == 1:
        ridge = ridge - pines(canvas, 0.04)
    rows = canvas.rows_below(ridge)
    depth = (canvas.y[rows] - ridge[None, :]).astype(np.float32)
    colour = mix(rgb(mood.far), rgb(mood.near), 0.25 + 0.75 * near)
    face = mix(
        colour * np.ones((*depth.shape, 3), np.float32), rgb(mood.sky[-1]), smooth(0.02, 0.3, depth) * 0.4 * (1 - near)
    )
    if near < 1:
        face = mix(face, rgb(mood.light), _snow(canvas, ridge, depth, rows) * (0.62 - 0.45 * near))
    picture[rows] = mix(picture[rows], face, canvas.below(ridge, rows))
    return picture


def _snow(canvas: Canvas, ridge: Pixels, depth: Pixels, rows: slice) -> Pixels:
    """Return how much snow shines: on the slopes that face the light, down to a ragged line."""
    crags = canvas.swell(9, 9, canvas.octaves(6), gain=0.6)[rows] - 0.5
    wide = max(3, canvas.height // 40)
    slope = np.convolve(np.gradient(ridge) * canvas.height, np.ones(wide) / wide, "same")
    # spurs run down from the crest aslant, so a slope is looked up beside its own column
    aside = (crags * (20 + 260 * np.clip(depth, 0, 0.3)) * canvas.height / 768).astype(int)
    columns = np.clip(np.arange(canvas.width)[None, :] + aside, 0, canvas.width - 1)
    lit = smooth(-0.7, 0.9, slope[columns] + crags * 1.1)
    return (smooth(0.19, 0.02, depth + crags * 0.12) * (0.12 + 0.88 * lit)).astype(np.float32)


def mirror(canvas: Canvas, picture: Pixels, waterline: float, tint: Pixels) -> Pixels:
    """Turn everything below a height into still water that mirrors what is above."""
    top = int(waterline * canvas.height)
    rows = np.arange(top, canvas.height)
    depth = ((rows - top) / max(1, canvas.height - top)).astype(np.float32)
    ripple = canvas.noise(3, 60, 3)[top:] - 0.5
    source = 2 * top - 1 - rows[:, None] - (ripple * (4 + 30 * depth[:, None]) * canvas.height / 768).astype(int)
    sway = (ripple * 26 * depth[:, None] * canvas.height / 768).astype(int)
    columns = np.clip(np.arange(canvas.width)[None, :] + sway, 0, canvas.width - 1)
    water = picture[np.clip(source, 0, top - 1), columns] * (0.82 - 0.25 * depth)[:, None, None]
    water = mix(water, tint, 0.16 + 0.2 * np.broadcast_to(depth[:, None], ripple.shape))
    glint = smooth(0.3, 0.5, ripple) * np.exp(-depth * 5)[:, None] * 0.18
    picture = picture.copy()
    picture[top:] = water + glint[..., None]
    return picture
