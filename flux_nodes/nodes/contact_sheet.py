"""The node that puts images side by side, each with its label."""

from __future__ import annotations

import asyncio
import math
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from .face import Context, Input, Node, Output, Result, Step
from .imagine import CATEGORY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from PIL import Image, ImageDraw, ImageFont

    from ..core.images import Array

Value = TypeVar("Value")

SOCKETS = 10
_CELL = 512
_GAP = 24
_SMALLEST_CELL, _LARGEST_CELL = 64, 2048
MAX_PIXELS = 64_000_000
"""The most pixels of a sheet: a file of more could not be read again."""

_LONGEST_TEXT = 300
_PAPER = (24, 24, 27)
_INK = (228, 228, 231)


async def contact_sheet(
    _context: Context | None,
    *,
    labels: Sequence[str] = (),
    title: Sequence[str] = (),
    columns: Sequence[int] = (),
    cell: Sequence[int] = (),
    **images: Sequence[Array],
) -> AsyncGenerator[Step, None]:
    """Lay images out on one sheet: a cell for every image of every batch, and one line of `labels` for each.

    Everything comes in lists: all images and labels of a list count, and of a title or an option the first.
    """
    batches = [batch for name in sorted(images, key=_number) for batch in images[name]]
    pictures = [picture for batch in batches for picture in batch]
    if not pictures:
        from ..core.errors import Fault, InvalidRequest

        raise InvalidRequest([Fault("image_1", "no image is linked", "one to ten images or batches")])
    wanted = min(max(_first(cell, _CELL), _SMALLEST_CELL), _LARGEST_CELL)
    # What a link brings is held against no range, and what is laid out here is paid: it is brought into the range.
    across = min(max(0, _first(columns, 0)) or math.ceil(math.sqrt(len(pictures))), len(pictures))
    side = fitting_cell(wanted, across, math.ceil(len(pictures) / across))
    title_line = " ".join(_first(title, "").split())
    sheet = await asyncio.to_thread(_sheet, pictures, _lines(labels, batches), title_line, across, side)
    count = "1 image" if len(pictures) == 1 else f"{len(pictures)} images"
    yield Result((sheet,), text=count if side == wanted else f"{count} · in cells of {side} pixels, for there are many")


def fitting_cell(wanted: int, columns: int, rows: int) -> int:
    """Return the side of the cells: as wished, or smaller, so that the sheet is not too large."""
    while wanted > 1:
        width = _GAP + columns * (wanted + _GAP)
        height = 2 * (_GAP + _line(wanted)) + rows * (wanted + _GAP + _line(wanted))
        if width * height <= MAX_PIXELS:
            break
        wanted = wanted * 9 // 10
    return wanted


def _line(cell: int) -> int:
    """Return the height of a line of words below or above cells of this side."""
    return max(20, cell // 14)


def _lines(labels: Sequence[str], batches: Sequence[Array]) -> list[str]:
    """Return the labels of all images; a list with one text for each batch labels every image of that batch."""
    if 1 < len(labels) == len(batches):
        return [" ".join(text.split()) for text, batch in zip(labels, batches, strict=True) for _ in batch]
    return "\n".join(labels).splitlines()


def _first(values: Sequence[Value], default: Value) -> Value:
    return values[0] if values else default


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])


@dataclass(frozen=True)
class _Layout:
    """Where things stand on the sheet, in pixels: `columns` cells of `cell` pixels side, lines of `line` pixels."""

    count: int
    columns: int
    cell_width: int
    cell_height: int
    line: int
    labelled: bool
    titled: bool

    @property
    def top(self) -> int:
        return _GAP + (round(self.line * 1.6) if self.titled else 0)

    @property
    def pitch(self) -> int:
        return self.cell_height + _GAP + (self.line if self.labelled else 0)

    @property
    def size(self) -> tuple[int, int]:
        rows = math.ceil(self.count / self.columns)
        return _GAP + self.columns * (self.cell_width + _GAP), self.top + rows * self.pitch

    def cells(self) -> Iterator[tuple[int, int]]:
        for at in range(self.count):
            row, column = divmod(at, self.columns)
            yield _GAP + column * (self.cell_width + _GAP), self.top + row * self.pitch


def _layout(sizes: Sequence[tuple[int, int]], labels: Sequence[str], title: str, columns: int, cell: int) -> _Layout:
    return _Layout(
        count=len(sizes),
        columns=columns,
        cell_width=max(width for width, _ in sizes),
        cell_height=max(height for _, height in sizes),
        line=_line(cell),
        labelled=any(label.strip() for label in labels),
        titled=bool(title),
    )


def _sheet(arrays: Sequence[Array], labels: Sequence[str], title: str, columns: int, cell: int) -> Array:
    """Draw the sheet as [1, H, W, 3]. Blocks: resizing takes milliseconds an image."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    pictures = [_fitted(array, cell) for array in arrays]
    layout = _layout([picture.size for picture in pictures], labels, title, columns, cell)
    sheet = Image.new("RGB", layout.size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        font = ImageFont.load_default(layout.line * 0.9)
        draw.text((_GAP, _GAP // 2), _shortened(title, font, layout.size[0] - 2 * _GAP), _INK, font=font)
    font = ImageFont.load_default(layout.line * 0.62)
    for picture, (x, y), at in zip(pictures, layout.cells(), range(len(pictures)), strict=True):
        sheet.paste(picture, (x + (layout.cell_width - picture.width) // 2, y), picture)
        if at < len(labels):
            _label(draw, labels[at], font, x, y, layout)
    scaled: Array = np.asarray(sheet, dtype=np.uint8)[None] * np.float32(1 / 255)
    return scaled


def _fitted(array: Array, cell: int) -> Image.Image:
    from PIL import Image

    from ..core.images import picture

    image = picture(array).convert("RGBA")
    scale = cell / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _label(draw: ImageDraw.ImageDraw, words: str, font: Any, x: int, y: int, layout: _Layout) -> None:
    text = _shortened(words.strip(), font, layout.cell_width)
    place = (x + layout.cell_width / 2, y + layout.cell_height + layout.line / 2 + 2)
    draw.text(place, text, _INK, font=font, anchor="mm")


def _plain(text: str) -> str:
    """Write accented letters without their accents: Pillow's own font has none, and would draw boxes."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if not unicodedata.combining(part))


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """Cut text to a width, ending in an ellipsis."""
    text = _plain(text[:_LONGEST_TEXT])
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


CONTACT_SHEET = Node(
    id="FluxContactSheet",
    label="Contact Sheet",
    category=CATEGORY,
    description="Puts images side by side on one sheet, each with its label: a glance tells which to keep.",
    inputs=(
        Input(
            name="labels",
            type="STRING",
            label="Labels",
            tooltip="One label a line, in the order of the images. A Prompt List may be linked: one for each image.",
            default="",
            multiline=True,
        ),
        Input(name="title", type="STRING", label="Title", tooltip="A line above the images.", default=""),
        Input(
            name="columns",
            type="INT",
            label="Columns",
            tooltip="Images in a row; 0 makes the sheet about square.",
            default=0,
            minimum=0,
            maximum=100,
        ),
        Input(
            name="cell",
            type="INT",
            label="Cell",
            tooltip="The longer side of each image on the sheet, in pixels.",
            default=_CELL,
            minimum=_SMALLEST_CELL,
            maximum=_LARGEST_CELL,
            step=32,
        ),
        *(
            Input(
                name=f"image_{number}",
                type="IMAGE",
                label=f"Image {number}",
                tooltip="An image, a batch or a list of images.",
                optional=True,
            )
            for number in range(1, SOCKETS + 1)
        ),
    ),
    outputs=(Output(name="sheet", type="IMAGE", label="Sheet", tooltip="The sheet with all images."),),
    run=contact_sheet,
    needs_generations=False,
    takes_lists=True,
    search=("grid", "collage", "compare", "montage", "labels", "side by side"),
)
