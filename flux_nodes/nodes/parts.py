"""The parts of what a node asks for: one generation for each image prompt and each seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.catalog import parameter
from . import fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..core.images import Array
    from ..core.request import ImagineRequest


@dataclass(frozen=True)
class Part:
    """One generation to ask for; `name` tells it from its siblings: "seed 8", "image 2, seed 8"."""

    name: str
    request: ImagineRequest


def parts(values: Mapping[str, Any], *, image_prompt: Array | None, count: int) -> list[Part]:
    """Make all requests, image by image, and of each image seed by seed; encoding images makes this slow.

    `image_prompt` is a batch, [B, H, W, C]. Raises InvalidRequest, also where they are too many.
    """
    from ..core.image_prompt import from_array

    images = (None,) if image_prompt is None else tuple(image_prompt)
    _require_few(images, count)
    made = []
    for number, image in enumerate(images, 1):
        file = None if image is None else from_array(image)
        for at, seed in enumerate(_seeds(values.get("seed"), count), 1):
            name = f"number {at}" if seed is None else f"seed {seed}"
            request = fields.request({**values, "seed": seed}, image_prompt=file)
            made.append(Part(name if image is None else f"image {number}, {name}", request))
    return made


def _require_few(images: Sequence[object], count: int) -> None:
    from ..core.errors import Fault, InvalidRequest

    together = len(images) * count
    if not images:
        raise InvalidRequest([Fault("image_prompt", "is a batch without an image", f"1 to {fields.MOST} images")])
    if count < 1:
        raise InvalidRequest([Fault("count", f"{count} is too small", f"a whole number from 1 to {fields.MOST}")])
    if together > fields.MOST:
        prompts = f" ({len(images)} image prompts × {count})" if len(images) > 1 else ""
        raise InvalidRequest(
            [Fault("count", f"asks for {together} generations{prompts}", f"at most {fields.MOST} together")]
        )


def _seeds(first: int | None, count: int) -> list[int | None]:
    """Return as many seeds, one after another; past the top of the usual range they go on at 0.

    Without a first one all are left to the service.
    """
    top = int(parameter("seed").guide.maximum or 0)
    if first is None:
        return [None] * count
    return [(first + at) % (top + 1) if 0 <= first <= top else first + at for at in range(count)]
