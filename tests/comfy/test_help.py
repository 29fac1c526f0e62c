"""The help pages, and the English texts that are made from code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from flux_nodes.comfy import help as pages
from flux_nodes.core.catalog import MODELS, PARAMETERS, parameter
from flux_nodes.nodes import NODES

if TYPE_CHECKING:
    from flux_nodes.nodes import Node


def test_the_files_are_what_the_generator_makes() -> None:
    stale = [place.name for place, text in pages.files().items() if not place.exists() or place.read_text() != text]
    assert stale == [], "run: python -m flux_nodes.comfy.help"


def test_no_page_is_left_of_a_node_or_a_language_that_is_no_more() -> None:
    assert set((pages.WEB / "docs").rglob("*.md")) == {place for place in pages.files() if place.suffix == ".md"}


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.id)
def test_a_page_tells_every_input_and_output_with_its_tooltip_range_and_default(node: Node) -> None:
    text = (pages.WEB / "docs" / f"{node.id}.md").read_text("utf-8")
    entries = [(re.match(r"\*\*[^*]+\*\* `(\w+)`", part), part) for part in text.split("\n\n")]
    told = {found[1]: part for found, part in reversed(entries) if found}
    for item in node.inputs:
        if re.fullmatch(r"image_([2-9]|10)", item.name):
            continue
        bounds = [f"{bound:.10g}" for bound in (item.minimum, item.maximum) if bound is not None]
        default = (
            []
            if item.default in (None, "", False)
            else [f"{item.default:.10g}" if isinstance(item.default, float) else str(item.default)]
        )
        assert all(words in told[item.name] for words in (item.label, item.tooltip, *item.choices, *bounds, *default))
    assert all(output.tooltip in text for output in node.outputs)


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.id)
def test_a_page_shows_a_picture_that_is_there_and_small(node: Node) -> None:
    folder = pages.WEB / "docs"
    text = (folder / f"{node.id}.md").read_text("utf-8")
    (picture,) = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert (folder / picture).stat().st_size < 60_000


@pytest.mark.parametrize("language", pages.LANGUAGES)
def test_a_node_that_costs_tells_of_every_model_its_price_and_what_only_some_take(language: str) -> None:
    text = (pages.WEB / "docs" / "FluxImagine" / f"{language}.md").read_text("utf-8")
    for model in MODELS:
        (told,) = [part for part in text.split("\n\n") if part.startswith(f"**{model.name}**")]
        assert told.splitlines()[0].rstrip("\\").endswith(f": {model.credits:g}")
        some = {item.name for item in PARAMETERS if item.group == "picture" and not item.universal}
        assert set(re.findall(r"`(\w+)`", told)) == {name for name in some if parameter(name).taken_by(model.name)}


def test_the_page_of_a_node_that_asks_nothing_has_no_heading_for_inputs() -> None:
    text = (pages.WEB / "docs" / "FluxAccount.md").read_text("utf-8")
    assert "## Inputs" not in text
    assert "## Outputs" in text
