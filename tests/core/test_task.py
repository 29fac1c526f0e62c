from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_nodes.core.errors import ServiceUnreachable
from flux_nodes.core.task import Task, error_words

URL = "https://cdn.example/a.png"


@pytest.mark.parametrize(
    ("reply", "state", "percentage", "url"),
    [
        # flux-imagine page, Response
        ({"task_id": "t", "task_type": "flux-imagine", "status": "processing", "percentage": 40}, "running", 40, None),
        ({"task_id": "t", "original_image_url": URL, "image_url": URL}, "finished", None, URL),
        # apiframe wire notes, section 3
        ({"task_id": "t", "status": "staged"}, "running", None, None),
        ({"task_id": "t", "status": "finished", "image_url": URL}, "finished", None, URL),
        ({"task_id": "t", "status": "completed", "image_url": URL}, "finished", None, URL),
        ({"task_id": "t", "status": "FINISHED", "image_urls": [URL, "https://other"]}, "finished", None, URL),
        ({"task_id": "t", "status": "processing", "percentage": "40"}, "running", 40, None),
        ({"task_id": "t", "status": "processing", "percentage": "40%"}, "running", 40, None),
        ({"task_id": "t", "status": "processing", "percentage": None}, "running", None, None),
        ({"task_id": "t", "status": "processing", "percentage": True}, "running", None, None),
        ({"task_id": "t", "status": "processing", "percentage": "40X"}, "running", None, None),
        ({"task_id": "t", "status": "processing", "percentage": float("nan")}, "running", None, None),
        ({"task_id": "t", "status": "processing", "percentage": float("inf")}, "running", 100, None),
        ({"task_id": "t", "status": "processing", "percentage": "soon"}, "running", None, None),
        ({"task_id": "t", "status": "processing", "percentage": 140}, "running", 100, None),
        ({"task_id": "t", "status": "processing", "percentage": -3.6}, "running", 0, None),
        ({"task_id": "t", "status": "retrying"}, "running", None, None),
        ({"task_id": "t", "status": "a word of tomorrow"}, "running", None, None),
        ({"task_id": "t", "status": "finished"}, "running", None, None),
        ({"task_id": "t", "status": "failed", "actions": [], "message": "no"}, "failed", None, None),
        ({"task_id": "t", "status": "failed", "image_url": URL}, "failed", None, URL),
        ({}, "running", None, None),
    ],
)
def test_every_shape_that_was_seen_is_understood(
    reply: dict[str, Any], state: str, percentage: int | None, url: str | None
) -> None:
    task = Task.parse(reply, task_id="t")
    assert (task.task_id, task.state, task.percentage, task.image_url) == ("t", state, percentage, url)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"errors": [{"msg": "one", "path": "width"}, {"msg": "two"}], "message": "three"}, ("one", "two")),
        ({"message": "three", "error": "four"}, ("three",)),
        ({"error": "four"}, ("four",)),
        ({"errors": [], "error": "four"}, ("four",)),
        ({"errors": ["plain"]}, ("plain",)),
        ({"errors": {"msg": "odd"}, "message": 5}, ("odd",)),
        ({"errors": [{"message": "one"}, {"msg": "", "message": "two"}]}, ("one", "two")),
        ({"detail": "five", "message": ""}, ("five",)),
        ({"errors": [{"msg": str(number)} for number in range(11)]}, tuple(map(str, range(10)))),
        ({}, ()),
        (None, ()),
        ("text", ()),
    ],
)
def test_the_services_words_are_found_wherever_they_stand(reply: object, words: tuple[str, ...]) -> None:
    assert error_words(reply) == words


def test_a_long_message_of_the_service_is_cut() -> None:
    (words,) = error_words({"message": "long " * 1_000})
    assert 0 < len(words) <= 1_000


def test_the_status_and_the_words_of_a_task_are_the_services_own() -> None:
    task = Task.parse({"status": " Retrying ", "message": "wait"})
    assert (task.task_id, task.status, task.messages) == ("", "retrying", ("wait",))


@pytest.mark.parametrize("reply", [None, [], "finished", 7])
def test_a_reply_that_is_no_object_is_no_task(reply: object) -> None:
    with pytest.raises(ServiceUnreachable) as raised:
        Task.parse(reply)
    assert str(raised.value) == "The service answered with something that is no task object."


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
_KEYS = (
    "task_id",
    "status",
    "percentage",
    "image_url",
    "image_urls",
    "original_image_url",
    "errors",
    "message",
    "error",
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(_KEYS, _JSON)))
def test_any_object_at_all_is_read_without_an_exception(reply: dict[str, Any]) -> None:
    task = Task.parse(reply, task_id="t")
    assert task.percentage is None or 0 <= task.percentage <= 100
    assert task.state != "finished" or task.image_url
