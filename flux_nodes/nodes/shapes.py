"""Shapes (aspect ratios) and the sizes in pixels that come near them, within the catalog's bounds."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from ..core.catalog import Parameter, allowed, parameter
from ..core.errors import Fault, InvalidRequest

MEGAPIXEL = 1024 * 1024
"""One megapixel, counted as ComfyUI's own scaling does."""

LEAST, MOST = 0.1, 2.0
"""How few and how many megapixels may be wished for: about what the bounds of both sides allow."""

USUAL = ("21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16", "9:21")
"""The shapes that people know by name, from wide to tall."""

_USUAL = {Fraction(*map(int, name.split(":"))): name for name in USUAL}
_WIDEST = max(_USUAL)
_SIDE = r"([0-9]{1,5}(?:\.[0-9]{1,4})?)"
_RATIO = re.compile(rf"{_SIDE}\s*[:：/xX×]\s*{_SIDE}", re.ASCII)
_FINEST = 9999
"""The largest denominator of a shape: the service takes whole numbers of five digits."""


def shape(text: str, *, where: str) -> Fraction:
    """Read a shape, "16:9" or "1.85:1". Raises InvalidRequest, naming the input `where` it stands."""
    match = _RATIO.fullmatch(text.strip())
    if match is None or not float(match[1]) or not float(match[2]):
        raise _wrong(where, f"{text[:40]!r} is not of the form width:height")
    found = (Fraction(match[1]) / Fraction(match[2])).limit_denominator(_FINEST)
    if found > _WIDEST:
        raise _wrong(where, f"{text.strip()} is wider than 21:9")
    if found < 1 / _WIDEST:
        raise _wrong(where, f"{text.strip()} is taller than 9:21")
    return found


def _wrong(where: str, problem: str) -> InvalidRequest:
    return InvalidRequest([Fault(where, problem, allowed(parameter("aspect_ratio")))])


def words(ratio: Fraction) -> str:
    """Write a shape as width:height in whole numbers: 21:9 as such, and not as 7:3."""
    return _USUAL.get(ratio) or f"{ratio.numerator}:{ratio.denominator}"


def size(ratio: Fraction, megapixels: float) -> tuple[int, int]:
    """Return the width and height nearest to a shape and an amount of pixels, of those that the catalog allows.

    Where both cannot be had (a wide image of two megapixels is wider than any may be), the shape goes first. Raises
    InvalidRequest for less than `LEAST` or more than `MOST` megapixels.
    """
    if not LEAST <= megapixels <= MOST:
        allowed_ = f"a number from {LEAST:g} to {MOST:g}"
        raise InvalidRequest([Fault("megapixels", f"{megapixels:g} is out of range", allowed_)])
    pixels = megapixels * MEGAPIXEL
    return min(
        ((width, height) for width in _sides(parameter("width")) for height in _sides(parameter("height"))),
        key=lambda sides: 4 * _apart(sides[0] / sides[1], float(ratio)) + _apart(sides[0] * sides[1], pixels),
    )


def _sides(item: Parameter) -> range:
    step = int(item.guide.step or 1)
    least, most = int(item.minimum or step), int(item.maximum or 0)
    return range(-(-least // step) * step, most + 1, step)


def _apart(one: float, other: float) -> float:
    return abs(math.log(one / other))
