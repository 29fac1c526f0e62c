"""A picture for every request: the same request gives the same bytes, and each says that it is the sandbox's."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .brushes import Canvas
from .caption import Caption, captioned
from .contract import ULTRA, image_prompt_bytes
from .looks import develop, follow_prompt_image, look_of, to_image
from .pixels import read_image
from .scenes import scene_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

    from .brushes import Pixels

_ULTRA_PIXELS = 2**20
_PLAIN_STRENGTH = 0.3
"""How much composition an image prompt gives where the model takes no strength."""

_ULTRA_STRENGTH = 0.1


def paint(body: Mapping[str, Any], task_id: str) -> Image:
    """Paint the picture of an accepted request, exactly at the size it asks for. Takes some tenths of a second."""
    width, height = size_of(body)
    seed = seed_of(body, task_id)
    look = look_of(body)
    # the model is no part of the chance: the models can be compared by one prompt and seed
    chance = np.random.default_rng(_digest(f"{seed}\n{body['prompt']}\n{bool(body.get('prompt_upsampling'))}"))
    canvas = Canvas(width, height, chance, look.detail)
    picture = _with_image_prompt(scene_for(canvas, body["prompt"]), body)
    caption = Caption(body["model"], seed, body["prompt"])
    return captioned(to_image(develop(canvas, picture, look)), caption)


def size_of(body: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height in pixels; ultra takes a ratio, and has about a megapixel."""
    if body["model"] != ULTRA:
        return body.get("width", 1024), body.get("height", 768)
    across, down = map(int, body.get("aspect_ratio", "16:9").split(":"))
    width = round(math.sqrt(_ULTRA_PIXELS * across / down))
    return width, round(width * down / across)


def seed_of(body: Mapping[str, Any], task_id: str) -> int:
    """Return the request's seed, or the one that the service picked for this task."""
    given = body.get("seed")
    return given if isinstance(given, int) else _digest(task_id) % 2**32


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def _with_image_prompt(picture: Pixels, body: Mapping[str, Any]) -> Pixels:
    raw = image_prompt_bytes(body["image_prompt"]) if body.get("image_prompt") else None
    image = read_image(raw) if raw else None
    if image is None:
        return picture
    ultra = body["model"] == ULTRA
    strength = body.get("image_prompt_strength", _ULTRA_STRENGTH) if ultra else _PLAIN_STRENGTH
    return follow_prompt_image(picture, image, float(strength))
