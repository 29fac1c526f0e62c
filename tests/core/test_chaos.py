from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench.chaos import UNDER_WAY, Books, trial

if TYPE_CHECKING:
    from pathlib import Path

BALANCED = Books(
    pictures=20,
    kills=10,
    kills_in_work=8,
    seconds=9.0,
    charges=20,
    intents=21,
    unconfirmed=2,
    sent_again=1,
    stored=20,
    same_bytes=20,
    duplicates=0,
)


@pytest.mark.timeout(400)
async def test_programs_killed_at_random_moments_pay_once_for_each_picture_and_lose_none(tmp_path: Path) -> None:
    books = await trial(kills=10, pictures=20, workers=2, seed=7, home=tmp_path)
    assert books.balanced, books
    assert books.kills >= 10
    assert set(books.left) <= set(UNDER_WAY)
    assert books.left, "no kill has hit a generation"


def test_books_are_balanced_when_each_picture_was_paid_once_and_is_here() -> None:
    assert BALANCED.balanced


@pytest.mark.parametrize(
    "tampered",
    [
        replace(BALANCED, charges=21),
        replace(BALANCED, charges=19),
        replace(BALANCED, stored=19),
        replace(BALANCED, same_bytes=19),
        replace(BALANCED, duplicates=1),
        replace(BALANCED, intents=20),
        replace(BALANCED, intents=22),
        replace(BALANCED, pictures=21),
    ],
    ids=[
        "a charge more",
        "a charge less",
        "an image less",
        "other bytes",
        "a picture twice",
        "an intent less",
        "an intent more",
        "a picture more",
    ],
)
def test_books_that_miss_or_double_anything_are_not_balanced(tampered: Books) -> None:
    assert not tampered.balanced
