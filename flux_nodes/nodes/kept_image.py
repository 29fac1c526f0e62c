"""The node that gives an image prompt of an earlier generation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .face import Context, Input, Node, Output, Result, Step
from .imagine import CATEGORY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def kept_image(context: Context, *, sha256: str) -> AsyncGenerator[Step, None]:
    """Give an image prompt that was sent before. Raises InvalidRequest for what is no SHA-256, and StorageError."""
    from ..core.images import decoded

    data = await context.generations.kept_image(sha256.strip().removeprefix("sha256:"))
    image = await decoded(data)
    yield Result((image,), text=f"{image.shape[2]}×{image.shape[1]}")


KEPT_IMAGE = Node(
    id="FluxKeptImage",
    label="FLUX Kept Image",
    category=CATEGORY,
    description="Gives the image prompt of an earlier generation, as it was sent then.",
    inputs=(
        Input(
            name="sha256",
            type="STRING",
            label="SHA-256",
            tooltip="The digest that the image is kept under on this machine. Graphs of earlier generations bring it.",
            default="",
        ),
    ),
    outputs=(Output(name="image", type="IMAGE", label="Image", tooltip="The image prompt, for FLUX Imagine."),),
    run=kept_image,
    search=("image prompt", "image to image", "img2img", "kept", "reuse", "flux", "apiframe"),
)
