from __future__ import annotations

import pytest

from flux_nodes.core.catalog import (
    DEFAULT_MODEL,
    MODEL_NAMES,
    PARAMETERS,
    allowed,
    guide_in_words,
    models_in_words,
    parameter,
)

# Typed from the page's table Body by hand, so that a slip in the catalog does not pass on both sides:
# name, type, who takes it, minimum, maximum, default.
PAGE = """
model                  text     all                 -    -    -
prompt                 text     all                 -    -    -
image_prompt           image    all                 -    -    -
image_prompt_strength  number   flux-pro-1.1-ultra  0    1    -
prompt_upsampling      boolean  all                 -    -    -
width                  integer  all                 256  1440 1024
height                 integer  all                 256  1440 768
aspect_ratio           ratio    flux-pro-1.1-ultra  9/21 21/9 16:9
steps                  integer  flux-dev,flux-pro   -    -    -
guidance               number   flux-dev,flux-pro   -    -    -
interval               integer  flux-pro            1    4    2
seed                   integer  all                 -    -    -
safety_tolerance       integer  all                 0    6    -
raw                    boolean  flux-pro-1.1-ultra  -    -    -
webhook_url            url      all                 -    -    -
webhook_secret         secret   all                 -    -    -
"""
LINES = [line.split() for line in PAGE.strip().splitlines()]


def number(text: str) -> float | None:
    if text == "-":
        return None
    over, _, under = text.partition("/")
    return float(over) / float(under or 1)


def test_the_catalog_has_the_five_models_and_sixteen_fields_of_the_page() -> None:
    assert set(MODEL_NAMES) == {"flux-schnell", "flux-pro", "flux-dev", "flux-pro-1.1", "flux-pro-1.1-ultra"}
    assert [item.name for item in PARAMETERS] == [line[0] for line in LINES]
    assert [item.name for item in PARAMETERS if item.required] == ["model", "prompt"]
    assert DEFAULT_MODEL in MODEL_NAMES


@pytest.mark.parametrize("line", LINES, ids=[line[0] for line in LINES])
def test_a_field_stands_in_the_catalog_as_on_the_page(line: list[str]) -> None:
    name, kind, models, minimum, maximum, default = line
    item = parameter(name)
    assert item.kind == kind
    assert set(item.models) == (set(MODEL_NAMES) if models == "all" else set(models.split(",")))
    assert (item.minimum, item.maximum) == (number(minimum), number(maximum))
    assert ("-" if item.default is None else str(item.default)) == default


@pytest.mark.parametrize("item", PARAMETERS, ids=lambda item: item.name)
def test_every_field_says_what_it_is_what_it_allows_and_where_that_stands(item: object) -> None:
    found = parameter(item.name)  # type: ignore[attr-defined]  # parametrize tells no type
    assert found.description.endswith(".")
    assert found.source
    assert allowed(found)
    assert models_in_words(found)


def test_upstream_facts_guide_and_do_not_refuse() -> None:
    assert "1 to 50" in guide_in_words(parameter("steps"))
    assert "40 on flux-pro" in guide_in_words(parameter("steps"))
    assert parameter("steps").minimum is None
    assert "multiples of 32" in guide_in_words(parameter("width"))
