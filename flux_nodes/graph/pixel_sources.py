"""Whether the pictures that travel through a graph come from a model, from elsewhere, or from both.

Each picture of a batch has its own sources. Pictures that a generating node gives come from the model, whatever was its
image prompt: the model made every pixel. A node that makes pictures from no other picture, such as Load Image, gives
those of elsewhere. Any other node hands on what it is given: picture by picture where it gives as many as it is given
(scaled, cut, put into one batch), and all of it in each picture where it mixes them (a contact sheet).
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..core.xmp import COMPOSITE, TRAINED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..nodes.face import Result

Source = Literal["model", "elsewhere"]
Sources: TypeAlias = "tuple[frozenset[Source], ...]"
"""Of each picture of a batch; nothing of a value that is no picture."""

_MODEL: frozenset[Source] = frozenset({"model"})
_ELSEWHERE: frozenset[Source] = frozenset({"elsewhere"})


def sources(result: Result, given: Sequence[Sources], value: Any) -> Sources:
    """Return the sources of one value that a run gave, from those of all pictures that the run was given."""
    many = _pictures(value)
    if not many:
        return ()
    if result.generations:
        return (_MODEL,) * many
    before = tuple(chain.from_iterable(given))
    if len(before) == many:
        return before
    return (frozenset(chain.from_iterable(before)) or _ELSEWHERE,) * many


def source_type(of: Iterable[Source]) -> str | None:
    """Return what IPTC calls a picture of these sources; None where no model is among them."""
    found = frozenset(of)
    if "model" not in found:
        return None
    return TRAINED if found == _MODEL else COMPOSITE


def _pictures(value: Any) -> int:
    """Return how many pictures a value holds; arrays are [B, H, W, C], masks [B, H, W]."""
    shape: tuple[int, ...] = getattr(value, "shape", ())
    return shape[0] if len(shape) in (3, 4) else 0
