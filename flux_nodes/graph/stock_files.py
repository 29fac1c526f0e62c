"""ComfyUI's LoadImage, SaveImage and PreviewImage."""

from __future__ import annotations

import asyncio
import json
import secrets
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..core.errors import Fault, InvalidImage, StorageError
from ..core.facts import CHUNK, document
from ..core.xmp import KEYWORD, packet
from ..nodes.face import Context, Input, Node, Output, Result, Step
from .events import Files, GraphContext, SavedFile
from .pixel_sources import source_type
from .places import OutsideError, load, loadable, target, write_next
from .stock_pixels import IMAGE, image_input
from .tokens import replaced
from .values import shown

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ..core.images import Array
    from .events import Folder
    from .places import Folders

    Mask = NDArray[np.float32]

_PREFIX = "ComfyUI"
_HANDED_ON = Output(name="images", type="IMAGE", label="Images", tooltip="The same images, handed on.")
"""What newer versions of ComfyUI give a node that saves or shows images; older ones have no such output."""

_UNMASKED = (1, 64, 64)
"""The shape of the mask of an image without alpha."""


def load_image(folders: Folders) -> Node:
    """Return the node that loads an image file of the input folder."""

    async def run(context: Context, *, image: str) -> AsyncGenerator[Step, None]:
        del context
        from ..core.decoding import in_background  # Pillow waits until a graph runs

        yield Result(await in_background(_loaded, folders, image))

    def check(inputs: Mapping[str, Any]) -> Sequence[Fault]:
        try:
            size(inputs)
        except OutsideError as wrong:
            return [Fault("image", f"{shown(inputs['image'])} {wrong}", "an image in that folder")]
        except InvalidImage as wrong:
            return [Fault("image", str(wrong).removesuffix("."), "an image that can be opened")]
        return ()

    def size(inputs: Mapping[str, Any]) -> tuple[int, int] | None:
        return _size(folders, inputs["image"]) if "image" in inputs else None

    name = Input(name="image", type="COMBO", label="Image", tooltip="A file in the input folder, or “name [output]”.")
    mask = Output(name="MASK", type="MASK", label="Mask", tooltip="1 where the image is transparent.")
    return Node(
        id="LoadImage",
        label="Load Image",
        category="image",
        description="Loads an image file of the input folder.",
        inputs=(name,),
        outputs=(IMAGE, mask),
        run=run,
        check=check,
        size=size,
    )


def _size(folders: Folders, name: str) -> tuple[int, int]:
    """Return the size of an image file, all of it decoded once. Raises OutsideError, InvalidImage."""
    path = loadable(folders, name)
    try:
        facts = path.stat()
    except OSError as error:
        raise InvalidImage(f"The image {name!r} cannot be read: {error.strerror}.") from error
    return _size_of(folders, name, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=256)
def _size_of(folders: Folders, name: str, _changed: int, _length: int) -> tuple[int, int]:
    """Return the size of a file as it was when it was changed last: it is asked for several times before a run."""
    from ..core.image_prompt import MAX_PIXELS
    from ..core.images import inspect

    data = load(folders, name)
    try:
        facts = inspect(data, most_pixels=MAX_PIXELS)
    except InvalidImage as error:
        raise _unusable(name, error) from error
    return facts.width or 0, facts.height or 0


def _loaded(folders: Folders, name: str) -> tuple[Array, Mask]:
    import numpy as np

    from ..core.image_prompt import MAX_PIXELS
    from ..core.images import decode

    data = load(folders, name)
    try:
        pixels = decode(data, most_pixels=MAX_PIXELS)
    except InvalidImage as error:
        raise _unusable(name, error) from error
    mask = 1 - pixels[..., 3] if pixels.shape[3] == 4 else np.zeros(_UNMASKED, np.float32)
    return pixels[..., :3], mask


def _unusable(name: str, error: InvalidImage) -> InvalidImage:
    return InvalidImage(f"The image {name!r} cannot be used: {error}.")


def save_image(folders: Folders) -> Node:
    """Return the node that saves images as PNG files in the output folder, the workflow in them."""

    async def run(context: Context, *, images: Array, filename_prefix: str) -> AsyncGenerator[Step, None]:
        yield await asyncio.to_thread(_saved, folders, "output", images, filename_prefix, context)

    def check(inputs: Mapping[str, Any]) -> Sequence[Fault]:
        try:
            target(folders.output, inputs.get("filename_prefix", _PREFIX))
        except OutsideError as wrong:
            return [
                Fault("filename_prefix", f"{inputs['filename_prefix']!r} {wrong}", "a name, with subfolders or not")
            ]
        return ()

    prefix = Input(
        name="filename_prefix",
        type="STRING",
        label="File name prefix",
        tooltip="What the file names begin with: subfolders, and tokens such as %date:yyyy-MM-dd% or %Node.input%.",
        default=_PREFIX,
    )
    return Node(
        id="SaveImage",
        label="Save Image",
        category="image",
        description="Saves images as PNG files in the output folder; each carries the workflow that made it.",
        inputs=(image_input("images", "Images", "The images to save."), prefix),
        outputs=(_HANDED_ON,),
        run=run,
        is_output=True,
        check=check,
    )


def preview_image(folders: Folders) -> Node:
    """Return the node that writes images to the temporary folder, to be looked at."""

    async def run(context: Context, *, images: Array) -> AsyncGenerator[Step, None]:
        # A tag of its own for each run: what an earlier one showed is not counted on.
        prefix = f"{_PREFIX}_temp_{secrets.token_hex(3)}"
        yield await asyncio.to_thread(_saved, folders, "temp", images, prefix, context)

    return Node(
        id="PreviewImage",
        label="Preview Image",
        category="image",
        description="Writes images to the temporary folder, to be looked at.",
        inputs=(image_input("images", "Images", "The images to look at."),),
        outputs=(_HANDED_ON,),
        run=run,
        is_output=True,
    )


def _saved(folders: Folders, folder: Folder, images: Array, prefix: str, context: Context) -> Files:
    from ..core.images import digest, picture, png

    height, width = images.shape[1:3]
    now = datetime.now().astimezone()
    workflow = context.workflow if isinstance(context, GraphContext) else None
    name = replaced(prefix, workflow=workflow, now=now, width=width, height=height)
    try:
        place = target(folders.of(folder), name)
    except OutsideError as wrong:
        raise StorageError(f"An image cannot be saved as {name!r}: it {wrong}.") from wrong
    signed = _signed(context)
    files = []
    for number, image in enumerate(images):
        stem = place.stem.replace("%batch_num%", str(number))
        pixels = picture(image)
        text = _metadata(context, number, signed=signed, pixels=digest(pixels))
        path = write_next(place, png(pixels, text=text), stem=stem)
        files.append(SavedFile(path=path, folder=folder, subfolder=place.subfolder, filename=path.name))
    return Files((images,), text=", ".join(str(file.path) for file in files), files=tuple(files))


def _metadata(context: Context, number: int, *, signed: Collection[str], pixels: str) -> dict[str, str]:
    """Return the texts that the file of one picture of a batch carries.

    ComfyUI's own, our facts of the generations in the picture, and in XMP whether a model made it.
    """
    told: dict[str, Any] = dict(context.graph or {})
    of = None
    if isinstance(context, GraphContext):
        if context.made:
            told[CHUNK] = document(context.made, signed=signed, pixels=pixels)
        of = source_type(context.sources[number] if number < len(context.sources) else ())
    texts = {name: json.dumps(value) for name, value in told.items()}
    return texts if of is None else {**texts, KEYWORD: packet(of)}


def _signed(context: Context) -> frozenset[str]:
    """Return the ids of the generations in a picture whose originals bring content credentials."""
    made = context.made.values() if isinstance(context, GraphContext) else ()
    found = [generation for each in made for generation in each if generation.sha256 is not None]
    return frozenset(generation.id for generation in found if context.generations.is_signed(generation))
