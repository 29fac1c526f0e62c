from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.core.generation import Generation
from flux_nodes.nodes.words import in_words, submitted, summary

if TYPE_CHECKING:
    from flux_nodes.core.generation import Status

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE = Generation(
    id="g-a",
    door="test",
    service="https://api.apiframe.pro",
    fingerprint="",
    request={"model": "flux-pro-1.1", "prompt": "a field"},
    status="stored",
    created_at=NOW,
    updated_at=NOW,
    width=1024,
    height=768,
    credits=1.0,
)


def at(status: Status, **more: Any) -> Generation:
    return replace(ONE, status=status, **more)


@pytest.mark.parametrize(
    ("generation", "words"),
    [
        (at("intent"), "sending"),
        (at("submitted"), "waiting"),
        (at("running", percentage=40), "40 %"),
        (at("running"), "running"),
        (at("finished", percentage=100), "fetching"),
        (at("stored"), "stored"),
        (at("stored", reused=True), "reused, free"),
        (at("running", percentage=40, reused=True), "40 %"),
        (at("failed"), "failed"),
        (at("refused"), "failed"),
        (at("unconfirmed"), "unconfirmed"),
    ],
)
def test_one_is_told_by_its_state(generation: Generation, words: str) -> None:
    assert in_words([generation]) == words


@pytest.mark.parametrize(
    ("generations", "words"),
    [
        ([at("submitted"), at("intent")], "0 of 2 stored"),
        (
            [at("stored"), at("stored"), at("running", percentage=30), at("running", percentage=50)],
            "2 of 4 stored · 40 %",
        ),
        ([at("stored"), at("failed"), at("running")], "1 of 3 stored · 1 failed · 0 %"),
        ([at("stored"), at("stored", reused=True)], "2 of 2 stored"),
        ([at("stored", reused=True), at("stored", reused=True)], "2 of 2 stored · reused, free"),
    ],
)
def test_several_are_counted_with_the_mean_of_those_that_run(generations: list[Generation], words: str) -> None:
    assert in_words(generations) == words


def named(*ids: str, **more: Any) -> list[Generation]:
    return [replace(ONE, id=id_, **more) for id_ in ids]


@pytest.mark.parametrize(
    ("generations", "words"),
    [
        (named("g-a"), "flux-pro-1.1 1024×768 · 1 credit · g-a"),
        (named("g-a", reused=True), "flux-pro-1.1 1024×768 · reused, free · g-a"),
        (named("g-a", "g-b", "g-c"), "3 images · flux-pro-1.1 1024×768 · 3 credits · g-a g-b g-c"),
        (
            [*named("g-a", reused=True), *named("g-b", width=512)],
            "2 images · flux-pro-1.1 1024×768, flux-pro-1.1 512×768 · 1 credit · 1 reused, free · g-a g-b",
        ),
        (named("g-a", "g-a"), "2 images · flux-pro-1.1 1024×768 · 1 credit · g-a"),
        (named("g-a", service="sandbox"), "flux-pro-1.1 1024×768 · sandbox, free · g-a"),
        (named("g-a", service="sandbox", reused=True), "flux-pro-1.1 1024×768 · reused, free · g-a"),
    ],
)
def test_what_came_of_them_is_told_with_its_price_and_ids(generations: list[Generation], words: str) -> None:
    assert summary(generations) == words


def test_what_was_submitted_is_told_with_its_price_and_ids() -> None:
    started = [at("submitted"), *named("g-b", reused=True)]
    told = "2 generations · flux-pro-1.1 submitted, flux-pro-1.1 stored · 1 credit · 1 reused, free · g-a g-b"
    assert submitted(started) == told
