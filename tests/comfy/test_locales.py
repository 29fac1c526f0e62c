"""ComfyUI's texts in eight languages: complete, without strays, and true to the English facts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.comfy import help as pages
from flux_nodes.core.catalog import MODEL_NAMES, PARAMETERS
from flux_nodes.nodes import NODES

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("nodeDefs", "main", "settings", "help")
FOREIGN = [language for language in pages.LANGUAGES if language != "en"]

# Where a language says what English says: names, and words that it has taken over.
SAME_EVERYWHERE = {"FLUX (APIFRAME)", "Flux Nodes", "FLUX", "ComfyUI", "SHA-256", "{percentage} %"}
SAME = {
    "de": {"Prompt", "Prompts", "Seed", "Guidance", "Sandbox", "Credits", "1 credit", "Text"},
    "es": {"Prompt", "Prompts", "terminal"},
    "fr": {"Image", *(f"Image {number}" for number in range(1, 11)), "image", "Service", "terminal", "assistant"},
}


def flat(texts: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Walk a file to its texts, each with its place in it."""
    if isinstance(texts, str):
        yield place, texts
        return
    items = texts.items() if isinstance(texts, dict) else enumerate(texts)
    for key, value in items:
        yield from flat(value, f"{place}/{key}")


def every_text(language: str) -> dict[str, str]:
    return {f"{name}{place}": text for name in NAMES for place, text in flat(pages.texts(language, name))}


def facts(text: str) -> set[str]:
    """Find what no translation may change: models, parameters, numbers, code, places for values."""
    models = {name for name in MODEL_NAMES if name in text}
    parameters = {item.name for item in PARAMETERS if "_" in item.name and item.name in text}
    rest = re.sub("|".join(sorted(MODEL_NAMES, key=len, reverse=True)), "", text)
    numbers = re.findall(r"\d+(?:\.\d+)?", rest)
    return {*models, *parameters, *numbers, *re.findall(r"`[^`]+`|\{\w+\}|[A-Z]+_[A-Z_]+", rest)}


def test_the_languages_are_those_of_the_folders() -> None:
    assert {folder.name for folder in pages.LOCALES.iterdir()} == set(pages.LANGUAGES)


@pytest.mark.parametrize("language", FOREIGN)
def test_a_language_has_every_text_and_no_stray_one(language: str) -> None:
    told, wanted = every_text(language), every_text("en")
    assert sorted(wanted.keys() - told.keys()) == [], "missing"
    assert sorted(told.keys() - wanted.keys()) == [], "stray"
    assert [place for place, text in told.items() if not text.strip()] == [], "empty"


@pytest.mark.parametrize("language", FOREIGN)
def test_a_translation_keeps_numbers_models_parameters_and_code(language: str) -> None:
    told = every_text(language)
    lost = {place: facts(text) - facts(told[place]) for place, text in every_text("en").items()}
    assert {place: names for place, names in lost.items() if names} == {}


@pytest.mark.parametrize("language", FOREIGN)
def test_a_translation_calls_our_nodes_by_the_names_that_it_gave_them(language: str) -> None:
    told = every_text(language)
    names = {node.label: told[f"nodeDefs/{node.id}/display_name"] for node in NODES if node.label.startswith("FLUX")}
    strangers = [
        (place, name)
        for place, text in every_text("en").items()
        for label, name in names.items()
        if label in text and name not in told[place]
    ]
    assert strangers == []


@pytest.mark.parametrize("language", FOREIGN)
def test_nothing_is_left_in_english(language: str) -> None:
    told, allowed = every_text(language), SAME_EVERYWHERE | SAME.get(language, set())
    same = {place: text for place, text in every_text("en").items() if told[place] == text and text not in allowed}
    assert same == {}


@pytest.mark.parametrize("language", pages.LANGUAGES)
def test_no_text_has_signs_that_comfyui_would_take_for_its_own(language: str) -> None:
    """Its frontend reads a pipe as a plural, an at sign as a link, braces as places; the extension fills its own."""
    theirs = {place: text for place, text in every_text(language).items() if not place.startswith("help/")}
    places_of_values = {place for place in theirs if place.startswith("main/fluxNodes/")}
    assert [place for place, text in theirs.items() if re.search(r"[@|]", text)] == []
    assert [place for place, text in theirs.items() if re.search(r"[{}]", text) and place not in places_of_values] == []
