"""Which scene a prompt asks for, read from its words; chance decides where they say nothing."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from .scene_abstract import PALETTES, glass, silk
from .scene_field import FLOWERS, SUMMER, field
from .scene_land import MORNINGS, NIGHTS, SUNSETS, Mood, hills, night
from .scene_sea import sea

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from .brushes import Canvas, Pixels

    _T = TypeVar("_T")

_WORDS = {
    "field": "flower flowers sunflower sunflowers daisy daisies poppy poppies cosmos cornflower cornflowers meadow "
    "field garden blossom blossoms bloom rose roses tulip tulips lavender spring summer",
    "night": "night star stars starry moon moonlit moonlight galaxy aurora space cosmic midnight nocturne lake",
    "sea": "sea ocean wave waves beach coast shore harbour harbor ship boat sailing island water whale lighthouse surf",
    "glass": "glass window mosaic crystal cathedral stained geometric polygon church kaleidoscope gem",
    "silk": "abstract flow silk fabric cloth fluid liquid dream swirl smoke portrait dress texture marble ink",
    "hills": "hill hills mountain mountains sunset sunrise dawn dusk landscape valley forest tree trees mist misty "
    "desert autumn morning evening fox deer castle village",
}
_SCENES = tuple(_WORDS)
_FLOWER_WORDS = {
    "sunflower": "sunflower",
    "daisy": "daisy",
    "daisie": "daisy",
    "poppy": "poppy",
    "poppie": "poppy",
    "rose": "poppy",
    "tulip": "poppy",
    "lavender": "cornflower",
    "cornflower": "cornflower",
    "cosmo": "cosmos",
}


def scene_for(canvas: Canvas, prompt: str) -> Pixels:
    """Paint the scene that a prompt's words point to, [H, W, 3]."""
    words = re.findall(r"[a-z]+", prompt.lower())
    painter: dict[str, Callable[[], Pixels]] = {
        "field": partial(_field, canvas, words),
        "night": lambda: night(canvas, _one_of(canvas, NIGHTS)),
        "sea": lambda: sea(canvas, _hour(canvas, words)),
        "glass": lambda: glass(canvas, _one_of(canvas, PALETTES)),
        "silk": lambda: silk(canvas, _one_of(canvas, PALETTES)),
        "hills": lambda: hills(canvas, _hour(canvas, words)),
    }
    return painter[_named(words) or _one_of(canvas, _SCENES)]()


def _named(words: Sequence[str]) -> str | None:
    scores = {scene: len(set(words) & set(known.split())) for scene, known in _WORDS.items()}
    best = max(_SCENES, key=lambda scene: scores[scene])
    return best if scores[best] else None


def _field(canvas: Canvas, words: Sequence[str]) -> Pixels:
    named = [_FLOWER_WORDS[stem] for word in words if (stem := word.removesuffix("s")) in _FLOWER_WORDS]
    kind = named[0] if named else _one_of(canvas, tuple(FLOWERS))
    return field(canvas, _one_of(canvas, SUMMER), FLOWERS[kind])


def _hour(canvas: Canvas, words: Sequence[str]) -> Mood:
    if set(words) & {"sunset", "dusk", "evening", "twilight", "golden", "red"}:
        return _one_of(canvas, SUNSETS)
    if set(words) & {"morning", "dawn", "sunrise", "mist", "misty", "fog", "day", "blue"}:
        return _one_of(canvas, MORNINGS)
    return _one_of(canvas, SUNSETS + MORNINGS)


def _one_of(canvas: Canvas, choices: Sequence[_T]) -> _T:
    return choices[int(canvas.chance.integers(len(choices)))]
