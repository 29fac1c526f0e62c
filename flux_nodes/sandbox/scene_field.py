"""A field of flowers, row behind row, to the horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .brushes import mix, rgb, smooth, stamp
from .scene_land import Mood, clouds, sky

if TYPE_CHECKING:
    from .brushes import Canvas, Pixels


@dataclass(frozen=True)
class Flower:
    """One kind: how many petals, how pointed (higher is narrower), their colours, and the size of its heart."""

    petals: int
    point: float
    inner: str
    outer: str
    heart: str
    heart_size: float


FLOWERS = {
    "sunflower": Flower(17, 0.75, "e8890c", "ffd22e", "3a2211", 0.42),
    "daisy": Flower(16, 0.9, "e9eef2", "ffffff", "f0b323", 0.3),
    "poppy": Flower(5, 0.28, "7d0f14", "ee3b2b", "1c1014", 0.2),
    "cosmos": Flower(8, 0.45, "a82d7c", "f39ccb", "e8b23a", 0.2),
    "cornflower": Flower(11, 0.6, "2b3fb0", "7f9bff", "241a57", 0.25),
}
SUMMER = (
    Mood(("2872b5", "559fd3", "9accdf", "f0d7a2"), "fffbe8", "8fb6a5", "24401f"),
    Mood(("45659f", "8599c2", "e6b692", "f5d6a4"), "fff2cf", "a3aa8c", "2a3a1a"),
    Mood(("364683", "a5628c", "ea9470", "f8cf88"), "ffefc0", "96808c", "283118"),
)


def field(canvas: Canvas, mood: Mood, flower: Flower) -> Pixels:
    """Paint the field: far rows as specks, the nearest as whole flowers that turn to the light."""
    horizon = canvas.chance.uniform(0.36, 0.44)
    sun = (canvas.aspect * canvas.chance.uniform(0.15, 0.85), horizon - canvas.chance.uniform(0.12, 0.24))
    picture = clouds(canvas, sky(canvas, mood, sun, horizon), mood, sun)
    picture = mix(picture, rgb(mood.light), canvas.glow(*sun, 0.05))
    picture = _far_hills(canvas, picture, mood, horizon)
    rows = 9 + round(7 * canvas.detail)
    for row in range(rows):
        near = row / (rows - 1)
        picture = _foliage(canvas, picture, mood, horizon, near)
        _row(canvas, picture, flower, mood, horizon, near)
    return picture


def _far_hills(canvas: Canvas, picture: Pixels, mood: Mood, horizon: float) -> Pixels:
    for share in (0.0, 0.5):
        ridge = horizon - 0.03 + 0.025 * share - 0.022 * canvas.line(2.5, canvas.octaves(5))
        colour = mix(rgb(mood.far), rgb(mood.near), 0.15 + share * 0.4)
        rows = canvas.rows_below(ridge)
        picture[rows] = mix(picture[rows], colour, canvas.below(ridge, rows))
    return picture


def _ground(horizon: float, near: float) -> float:
    return float(horizon + 0.012 + (1.0 - horizon) * 1.02 * near**1.7)


def _foliage(canvas: Canvas, picture: Pixels, mood: Mood, horizon: float, near: float) -> Pixels:
    size = 0.004 + 0.05 * near**1.3
    ridge = _ground(horizon, near) - size * (0.6 + 0.7 * canvas.line(0.35 / size, 3))
    rows = canvas.rows_below(ridge)
    leaf = mix(rgb("7f9a3c"), rgb(mood.near), 0.25 + 0.5 * near)
    shade = canvas.noise(min(60.0, 0.5 / size), min(60.0, 0.9 / size), 3)[rows] - 0.45
    depth = np.clip((canvas.y[rows] - ridge[None, :]) / (size * 4), 0, 1)
    face = leaf * (1.18 + 0.8 * shade - 0.75 * depth)[..., None]
    haze = mix(face, rgb(mood.sky[-1]), 0.38 * (1 - near) ** 2)
    picture[rows] = mix(picture[rows], haze.astype(np.float32), canvas.below(ridge, rows))
    return picture


def _row(canvas: Canvas, picture: Pixels, flower: Flower, mood: Mood, horizon: float, near: float) -> None:
    size = 0.007 + 0.125 * near**1.5
    y = _ground(horizon, near)
    count = int(canvas.aspect / size * (0.95 - 0.25 * near)) + 2
    kinds = [_sprite(canvas, flower, size * canvas.chance.uniform(0.85, 1.2)) for _ in range(5)]
    haze = 0.3 * (1 - near) ** 2
    places = (np.arange(count) + canvas.chance.uniform(-0.45, 0.45, count)) / count * (canvas.aspect + size)
    for x in places:
        sprite, cover = kinds[int(canvas.chance.integers(len(kinds)))]
        lift = canvas.chance.uniform(0.3, 1.6) * size
        left = int((x - size / 2) * canvas.height - cover.shape[1] / 2)
        top = int((y - lift) * canvas.height - cover.shape[0] / 2)
        light = canvas.chance.uniform(0.86, 1.06)
        stamp(picture, mix(sprite * np.float32(light), rgb(mood.sky[-1]), haze), cover, left, top)


def _sprite(canvas: Canvas, flower: Flower, size: float) -> tuple[Pixels, Pixels]:
    radius = size * canvas.height / 2
    side = max(5, int(2 * radius) + 3)
    middle = (side - 1) / 2
    x = (np.arange(side, dtype=np.float32) - middle)[None, :] / radius
    y = (np.arange(side, dtype=np.float32) - middle)[:, None] / radius / canvas.chance.uniform(0.78, 0.98)
    away, angle = np.sqrt(x * x + y * y), np.arctan2(y, x) + canvas.chance.uniform(0, 6.28)
    soft = max(radius, 1.0)
    back = _petals(away, angle + np.pi / flower.petals, flower, 1.0, soft)
    front = _petals(away, angle, flower, 0.9, soft)
    colour = mix(rgb(flower.inner) * np.ones((side, side, 3), np.float32), rgb(flower.outer), smooth(0.2, 0.85, away))
    vein = 0.9 + 0.1 * np.cos(angle * flower.petals * 3)
    sprite = colour * (0.72 + 0.28 * front * vein + 0.08 * (-y))[..., None]
    heart = np.clip((flower.heart_size - away) * soft + 0.5, 0, 1)
    seeds = 0.75 + 0.5 * np.sin(away * 46 + angle * 8) * np.sin(angle * 13 - away * 34) * 0.6 + 0.5 * away
    sprite = mix(sprite, (rgb(flower.heart) * seeds[..., None]).astype(np.float32), heart.astype(np.float32))
    return sprite.astype(np.float32), np.maximum(np.maximum(back, front), heart).astype(np.float32)


def _petals(away: Pixels, angle: Pixels, flower: Flower, reach: float, soft: float) -> Pixels:
    wave = np.abs(np.cos(angle * flower.petals / 2)) ** flower.point
    edge = reach * (flower.heart_size * 0.8 + (1 - flower.heart_size * 0.8) * wave)
    return np.clip((edge - away) * soft + 0.5, 0, 1).astype(np.float32)
