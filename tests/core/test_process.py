"""Whether the program that was sending an intent still runs: known, not known, and known to be unknown."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from flux_nodes.core.process import Owner, boot_id, is_gone, this_process

if TYPE_CHECKING:
    from flux_nodes.core import Generations, Settings

HERE = socket.gethostname()
NOW = datetime.now(UTC)
ELSEWHERE = "another-machine"


@pytest.mark.parametrize(
    ("owner", "in_a_local_journal", "in_a_shared_one"),
    [
        (this_process(), False, False),
        (f"{HERE}:{os.getpid()}", False, False),
        (f"{HERE}:{os.getpid()}.0123456789abcdef", True, True),
        (f"{HERE}:999999999.0123456789abcdef", True, True),
        (f"{HERE}:{os.getpid()}.0123456789abcdef.the-boot-before-this", True, True),
        (f"{ELSEWHERE}:4711", True, False),
        (f"{ELSEWHERE}:4711.0123456789abcdef", True, False),
        (f"{ELSEWHERE}:{os.getpid()}.0123456789abcdef.the-boot-of-that", True, False),
        (None, False, False),
        ("", False, False),
        ("no owner at all", False, False),
    ],
    ids=[  # the owners have numbers of this process in them, and every worker of a run must give the same ids
        "this run",
        "this process, before 0.3.0",
        "an earlier run of this process",
        "no process",
        "an earlier boot",
        "another machine, before 0.3.0",
        "another machine",
        "another machine's boot",
        "none",
        "empty",
        "no owner",
    ],
)
def test_a_sender_is_gone_where_that_can_be_known(
    owner: str | None, in_a_local_journal: bool, in_a_shared_one: bool
) -> None:
    since = datetime.now(UTC).isoformat()
    assert is_gone(owner, since=since, local=True) is in_a_local_journal
    assert is_gone(owner, since=since, local=False) is in_a_shared_one


@pytest.mark.skipif(not boot_id(), reason="only Linux tells one start of the machine from another")
def test_a_sender_in_another_container_of_this_machine_is_not_called_gone_at_once() -> None:
    owner = str(Owner(host="a-container", pid=7, run="0123456789abcdef", boot=boot_id()))
    assert not is_gone(owner, since=datetime.now(UTC).isoformat(), local=True)
    assert not Owner.parse(owner).can_be_looked_up


@pytest.mark.parametrize("age", [timedelta(minutes=11), timedelta(days=400), timedelta(days=-1)])
def test_no_sender_takes_longer_than_ten_minutes_whatever_the_clock_was_set_to(age: timedelta) -> None:
    since = (datetime.now(UTC) - age).isoformat()
    assert is_gone(this_process(), since=since)
    assert is_gone(f"{ELSEWHERE}:4711", since=since)


def test_an_owner_is_read_as_it_was_written() -> None:
    assert str(Owner.parse(this_process())) == this_process()
    assert Owner.parse(this_process()).can_be_looked_up
    assert str(Owner.parse("a:b:7.run")) == "a:b:7.run"


async def test_in_a_home_that_was_copied_with_an_intent_nobody_knows_and_that_is_said_at_once(
    generations: Generations, settings: Settings
) -> None:
    import sqlite3
    from contextlib import closing

    from tests.core.test_generations import field

    intent = await generations.intend(field(seed=1))
    with closing(sqlite3.connect(settings.home / "journal.sqlite3")) as connection:
        connection.execute("UPDATE generations SET owner = ?", (f"{ELSEWHERE}:4711.0123456789abcdef",))
        connection.commit()
    looked = await generations.refresh(intent.id)
    assert looked.status == "unconfirmed"
    assert "nobody knows" in str(looked.message)
