"""A picture for every request: the same request gives the same bytes, and each says that it is the sandbox's."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from .brushes import Canvas
from .caption import Caption, captioned
from .contract import ULTRA, image_prompt_bytes
from .looks import develop, follow_prompt_image, look_of, to_image
from .pixels import read_image, write_image
from .scenes import scene_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

    from .brushes import Pixels

_ULTRA_PIXELS = 2**20
_PLAIN_STRENGTH = 0.3
"""How much composition an image prompt gives where the model takes no strength."""

_ULTRA_STRENGTH = 0.1


_PAINTED_BY = (
    *("model", "prompt", "image_prompt", "image_prompt_strength", "prompt_upsampling", "width", "height"),
    *("aspect_ratio", "steps", "guidance", "interval", "raw"),
)
"""The fields that a picture depends on, beside the seed."""


class PictureCache:
    """The files of the pictures painted last, up to a number of bytes together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def get(self, key: str) -> bytes | None:
        """Return a file that is kept."""
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
            return self._files.get(key)

    def put(self, key: str, file: bytes) -> None:
        """Keep a file, and let those go that were asked for longest ago."""
        with self._lock:
            self._size += len(file) - len(self._files.pop(key, b""))
            self._files[key] = file
            while self._size > self._most:
                self._size -= len(self._files.popitem(last=False)[1])

    def clear(self) -> None:
        """Let all files go."""
        with self._lock:
            self._files.clear()
            self._size = 0


CACHE = PictureCache(48 * 2**20)
"""Shared by all sandboxes of a process: a picture depends on its request and its seed, and on nothing else."""


def picture(body: Mapping[str, Any], task_id: str, image_type: str) -> bytes:
    """Return the file of the picture of an accepted request, painted unless it is in the cache."""
    painted_by = [image_type, seed_of(body, task_id), *(body.get(name) for name in _PAINTED_BY)]
    key = hashlib.sha256(json.dumps(painted_by).encode()).hexdigest()
    file = CACHE.get(key)
    if file is None:
        file = write_image(paint(body, task_id), image_type)
        CACHE.put(key, file)
    return file


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
