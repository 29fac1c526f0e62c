"""The band at the foot of every picture that says where it comes from."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont

    Font = FreeTypeFont | BitmapFont

_MARK = "SANDBOX"
_INK = (255, 252, 244)
_DARK = (22, 22, 30)
_PALE = (222, 220, 214)


@dataclass(frozen=True)
class Caption:
    """What the band says beside its mark."""

    model: str
    seed: int
    prompt: str


def captioned(picture: Image.Image, caption: Caption) -> Image.Image:
    """Return the picture with a band of dark glass at its foot: the mark, the model, the seed, the prompt."""
    base = max(10, round(min(picture.width, picture.height) * 0.0225))
    small, large = ImageFont.load_default(base), ImageFont.load_default(round(base * 1.2))
    margin = round(base * 1.5)
    # No letter is narrower than a pixel, so more never fit into two lines; and Pillow measures no million of them.
    words = _plain(" ".join(caption.prompt.split()))[: 2 * picture.width]
    lines = _wrapped(words, large, picture.width - 2 * margin, most=2)
    line_height = round(base * 1.62)
    height = round(base * 2.35) + line_height * len(lines) + round(base * 1.05)
    result = _with_glass(picture, height)
    draw = ImageDraw.Draw(result)
    y = picture.height - height + round(base * 0.85)
    _headline(draw, caption, small, (margin, y), picture.width - margin)
    y += round(base * 1.85)
    for line in lines:
        draw.text((margin, y), line, font=large, fill=_INK)
        y += line_height
    return result


def _with_glass(picture: Image.Image, height: int) -> Image.Image:
    box = (0, picture.height - height, picture.width, picture.height)
    behind = picture.crop(box).filter(ImageFilter.GaussianBlur(height / 6))
    dark = Image.new("RGB", behind.size, (12, 13, 20))
    glass = Image.blend(ImageEnhance.Brightness(behind).enhance(0.7), dark, 0.62)
    result = picture.copy()
    result.paste(glass, box)
    ImageDraw.Draw(result, "RGBA").line(
        (0, box[1], picture.width, box[1]), fill=(255, 255, 255, 70), width=max(1, height // 70)
    )
    return result


def _headline(draw: ImageDraw.ImageDraw, caption: Caption, font: Font, place: tuple[int, int], right: int) -> None:
    x = _badge(draw, font, place)
    y = place[1]
    gap = round(_size(font) * 0.8)
    draw.text((x + gap, y), caption.model, font=font, fill=_PALE)
    x += round(font.getlength(caption.model)) + 2 * gap
    seed = f"seed {caption.seed}"
    start = right - round(font.getlength(seed))
    if start >= x:
        draw.text((start, y), seed, font=font, fill=_PALE)


def _badge(draw: ImageDraw.ImageDraw, font: Font, place: tuple[int, int]) -> int:
    """Draw the mark as dark letters on a light plate, and return where it ends."""
    x, y = place
    size = _size(font)
    spacing = size * 0.14
    length = sum(font.getlength(letter) + spacing for letter in _MARK) - spacing
    pad = size * 0.5
    top, bottom = font.getbbox(_MARK)[1], font.getbbox(_MARK)[3]
    plate = (x, y + top - size * 0.36, x + length + 2 * pad, y + bottom + size * 0.36)
    draw.rounded_rectangle(plate, radius=size * 0.45, fill=_INK)
    at = x + pad
    for letter in _MARK:
        draw.text((at, y), letter, font=font, fill=_DARK)
        at += font.getlength(letter) + spacing
    return round(plate[2])


def _plain(text: str) -> str:
    """Write accented letters without their accents: Pillow's own font has none, and would draw boxes."""
    return "".join(part for part in unicodedata.normalize("NFKD", text) if not unicodedata.combining(part))


def _size(font: Font) -> float:
    return font.getlength("M")


def _wrapped(text: str, font: Font, width: int, *, most: int) -> list[str]:
    lines: list[str] = []
    rest = text
    while rest and len(lines) < most - 1:
        line = _fitting(rest, font, width)
        lines.append(line.rstrip())
        rest = rest[len(line) :].lstrip()
    if rest:
        lines.append(rest if font.getlength(rest) <= width else _ellipsed(rest, font, width))
    return lines


def _fitting(text: str, font: Font, width: int) -> str:
    """Return the longest start of a text that fits, broken at a space where there is one."""
    if font.getlength(text) <= width:
        return text
    end = _count_fitting(text, font, width)
    space = text.rfind(" ", 0, end + 1)
    return text[: space if space > 0 else max(1, end)]


def _ellipsed(text: str, font: Font, width: int) -> str:
    end = _count_fitting(text, font, width - font.getlength("..."))
    return text[:end].rstrip() + "..."


def _count_fitting(text: str, font: Font, width: float) -> int:
    # no letter is narrower than a pixel, so nothing after `width` letters can fit
    low, high = 0, min(len(text), max(1, int(width)))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if font.getlength(text[:middle]) <= width else (low, middle - 1)
    return low
