"""How each model develops a painted scene: light, colour, softness, grain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageFilter

from .brushes import mix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .brushes import Canvas, Pixels


@dataclass(frozen=True)
class Look:
    """One model's hand. All are shares of 0..1, but for softness (pixels at a height of 768) and warmth (-1..1)."""

    detail: float
    softness: float = 0.0
    bloom: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    vignette: float = 0.0
    grain: float = 0.012
    warmth: float = 0.0


_LOOKS: Mapping[str, Look] = {
    "flux-schnell": Look(detail=0.2, softness=2.2, saturation=-0.12, grain=0.0, warmth=-0.2),
    "flux-dev": Look(detail=0.55, softness=0.5, bloom=0.08, saturation=-0.02, vignette=0.1, warmth=-0.9),
    "flux-pro": Look(detail=0.75, bloom=0.14, contrast=0.12, saturation=0.04, vignette=0.2),
    "flux-pro-1.1": Look(detail=0.9, bloom=0.22, contrast=0.18, saturation=0.12, vignette=0.24, warmth=0.25),
    "flux-pro-1.1-ultra": Look(detail=1.0, bloom=0.3, contrast=0.24, saturation=0.18, vignette=0.3, warmth=0.1),
}


def look_of(body: Mapping[str, Any]) -> Look:
    """Return the look of a request: its model's, bent by `raw`, `steps` and `guidance` where the model takes them."""
    model = body["model"]
    look = _LOOKS[model]
    if model == "flux-pro-1.1-ultra" and body.get("raw"):
        look = replace(look, bloom=0.04, contrast=0.0, saturation=-0.18, vignette=0.05, grain=0.035, warmth=0.0)
    if model in {"flux-pro", "flux-dev"}:
        steps = min(60, max(1, body.get("steps", 28)))
        guidance = min(10.0, max(0.0, float(body.get("guidance", 3))))
        look = replace(
            look,
            softness=max(0.0, look.softness + (28 - steps) * 0.06),
            detail=min(1.0, max(0.1, look.detail + (steps - 28) * 0.008)),
            saturation=look.saturation + (guidance - 3) * 0.06,
            contrast=look.contrast + (guidance - 3) * 0.05,
        )
    return look


def develop(canvas: Canvas, picture: Pixels, look: Look) -> Pixels:
    """Return the scene as the look shows it, in 0..1."""
    picture = np.clip(picture, 0, 1)
    if look.softness > 0:
        picture = blurred(picture, look.softness * canvas.height / 768)
    if look.bloom > 0:
        # a bright picture glows enough by itself
        share = look.bloom * float(np.clip(1.5 - 1.6 * picture.mean(), 0.15, 1))
        picture = picture + blurred(np.clip(picture - 0.55, 0, 1) * 1.6, 0.025 * canvas.height) * share
    picture = _coloured(np.clip(picture, 0, 1), look)
    if look.vignette > 0:
        away = canvas.distance(canvas.aspect / 2, 0.48) / (0.5 * np.hypot(canvas.aspect, 1))
        picture = picture * (1 - look.vignette * np.clip(away, 0, 1.2) ** 3)[..., None]
    if look.grain > 0:
        noise = canvas.chance.standard_normal((canvas.height, canvas.width), np.float32)
        picture = picture + (noise * look.grain)[..., None]
    return np.clip(picture, 0, 1).astype(np.float32)


def _coloured(picture: Pixels, look: Look) -> Pixels:
    curve = picture * picture * (3 - 2 * picture)
    picture = picture + (curve - picture) * min(1.0, max(-0.6, look.contrast * 2))
    grey = picture.mean(axis=-1, keepdims=True)
    picture = grey + (picture - grey) * (1 + look.saturation)
    return picture * np.array([1 + 0.06 * look.warmth, 1.0, 1 - 0.08 * look.warmth], np.float32)


def blurred(picture: Pixels, radius: float) -> Pixels:
    """Return the picture out of focus; wide blurs are made on a smaller copy."""
    height, width = picture.shape[:2]
    shrink = max(1, int(radius / 2))
    image = to_image(picture)
    if shrink > 1:
        image = image.resize((max(1, width // shrink), max(1, height // shrink)), Image.Resampling.BOX)
    image = image.filter(ImageFilter.GaussianBlur(radius / shrink))
    return from_image(image.resize((width, height), Image.Resampling.BICUBIC))


def follow_prompt_image(picture: Pixels, prompt_image: Image.Image, strength: float) -> Pixels:
    """Take over an image's palette, and its composition by a strength of 0..1."""
    height, width = picture.shape[:2]
    guide = blurred(from_image(_filling(prompt_image, width, height)), 0.03 * height)
    toned = _with_palette_of(picture, guide)
    return mix(toned, guide, 0.18 + 0.72 * strength)


def _with_palette_of(picture: Pixels, guide: Pixels) -> Pixels:
    mean, spread = picture.mean(axis=(0, 1)), picture.std(axis=(0, 1)) + 1e-3
    aim, reach = guide.mean(axis=(0, 1)), np.maximum(guide.std(axis=(0, 1)), 0.09)
    moved = np.clip((picture - mean) / spread * reach + aim, 0, 1)
    return mix(picture, moved.astype(np.float32), 0.85)


def _filling(image: Image.Image, width: int, height: int) -> Image.Image:
    scale = max(width / image.width, height / image.height)
    size = max(width, round(image.width * scale)), max(height, round(image.height * scale))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return image.resize(size, Image.Resampling.BOX).crop((left, top, left + width, top + height))


def to_image(picture: Pixels) -> Image.Image:
    """Return an array of 0..1 as an image."""
    return Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))


def from_image(image: Image.Image) -> Pixels:
    """Return an image as an array of 0..1."""
    return np.asarray(np.asarray(image, np.float32) / np.float32(255), np.float32)
