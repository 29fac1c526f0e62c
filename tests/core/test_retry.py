from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_nodes.core.retry import Policy, may_repeat, pause, retry_after

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 500, 502, 503, 504, 200])
def test_a_submit_that_was_answered_is_never_repeated(status: int) -> None:
    assert not may_repeat(httpx2.Response(status), charges=True)


def test_a_submit_answered_by_429_is_repeated() -> None:
    assert may_repeat(httpx2.Response(429), charges=True)


@pytest.mark.parametrize(
    ("error", "safe"),
    [
        (httpx2.ConnectError("x"), True),
        (httpx2.ConnectTimeout("x"), True),
        (httpx2.PoolTimeout("x"), True),
        (httpx2.ReadTimeout("x"), False),
        (httpx2.ReadError("x"), False),
        (httpx2.WriteError("x"), False),
        (httpx2.WriteTimeout("x"), False),
        (httpx2.RemoteProtocolError("x"), False),
        (httpx2.CloseError("x"), False),
        (httpx2.ProxyError("x"), True),
    ],
)
def test_a_submit_is_repeated_only_when_it_never_reached_the_service(error: httpx2.TransportError, safe: bool) -> None:
    assert may_repeat(error, charges=True) is safe
    assert may_repeat(error, charges=False)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (format_datetime(NOW + timedelta(seconds=90)), 90),
        (format_datetime(NOW - timedelta(seconds=90)), 0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("1.5", None),
        ("٣", None),
        ("Mon, 99 Nov 2026", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": header}, now=NOW) == seconds


@pytest.mark.parametrize(("date", "seconds"), [(NOW - timedelta(days=400), 90), (None, 34_560_090)])
def test_a_date_is_measured_from_the_answers_own_clock(date: datetime | None, seconds: float) -> None:
    headers = {"retry-after": format_datetime(NOW - timedelta(days=400) + timedelta(seconds=90))}
    if date is not None:
        headers["date"] = format_datetime(date)
    assert retry_after(headers, now=NOW - timedelta(days=800)) == seconds


@pytest.mark.parametrize("date", ["", "now", "Mon, 99 Nov 2026"])
def test_an_answer_whose_own_date_cannot_be_read_is_measured_from_ours(date: str) -> None:
    headers = {"retry-after": format_datetime(NOW + timedelta(seconds=9)), "date": date}
    assert retry_after(headers, now=NOW) == 9


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1e9))
def test_a_wish_makes_a_pause_no_shorter(attempt: int, chance: float, wish: float) -> None:
    policy = Policy()
    assert pause(attempt, policy, chance=chance, wish=wish) >= pause(attempt, policy, chance=chance)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_a_pause_is_never_longer_than_the_policy_says(attempt: int, chance: float) -> None:
    policy = Policy(first=0.5, longest=8)
    assert 0 <= pause(attempt, policy, chance=chance) <= min(8, 0.5 * 2 ** min(attempt, 5) if attempt < 5 else 8)


@given(st.floats(0, 1e9), st.floats(0, 1))
def test_a_wish_is_obeyed_up_to_the_cap(wish: float, chance: float) -> None:
    wait = pause(0, Policy(longest_wish=60), chance=chance, wish=wish)
    assert min(wish, 60) <= wait <= 66
