"""One service has one name, one budget and one set of pictures, however its address is spelled."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.core import Generations, Settings
from flux_nodes.core.errors import BudgetReached, OtherService
from flux_nodes.core.journal import Intent, Journal
from flux_nodes.core.request import ImagineRequest
from flux_nodes.core.service_name import service_name
from tests.core.test_generations import field
from tests.core.test_journal_large import VERSION_3

if TYPE_CHECKING:
    from pathlib import Path

    from flux_nodes.sandbox import Sandbox

ONE_SERVICE = [
    [
        "https://api.apiframe.pro",
        "https://API.Apiframe.PRO",
        "HTTPS://api.apiframe.pro",
        "https://api.apiframe.pro:443",
        "https://api.apiframe.pro/",
        "https://api.apiframe.pro.",
        "https://api.apiframe.pro.:443//",
        "https://api.apiframe.pro/a/..",
        " https://%61pi.apiframe.pro ",
    ],
    ["https://bücher.example", "https://BÜCHER.example", "https://xn--bcher-kva.example", "https://bücher.example。"],
    ["https://[2001:DB8:0:0::1]:443/v1", "https://[2001:db8::1]/v1/", "https://[2001:0db8:0000::0001]/%761"],
    ["http://127.0.0.1:80", "http://127.0.0.1", "http://127.1"],
    ["http://localhost:8080", "http://LOCALHOST:8080/"],
    ["sandbox"],
]


@pytest.mark.parametrize("spellings", ONE_SERVICE, ids=lambda spellings: spellings[0])
def test_all_spellings_of_an_address_have_one_name(spellings: list[str]) -> None:
    assert len({service_name(spelled) for spelled in spellings}) == 1


def test_addresses_of_different_services_keep_different_names() -> None:
    others = [
        "https://api.apiframe.pro:8443",
        "https://api.apiframe.pro/v1",
        "https://api.apiframe.pro/V1",
        "https://api.apiframe.pro/v%2F1",
        "http://localhost:443",
        "https://localhost",
        "https://127.0.0.1",
        "https://[::1]",
        "https://apiframe.pro",
    ]
    names = [service_name(address) for address in [*others, *(spellings[0] for spellings in ONE_SERVICE)]]
    assert len(set(names)) == len(names)
    assert [service_name(name) for name in names] == names


def test_no_password_becomes_part_of_a_name() -> None:
    assert service_name("https://me:secret@api.apiframe.pro/") == "https://api.apiframe.pro"


@pytest.mark.parametrize("odd", ["https://[half", "https://a b", "https://host:99999999", "://", "https://"])
def test_what_is_no_address_keeps_its_name(odd: str) -> None:
    assert service_name(odd) in {odd, odd.rstrip("/")}


async def test_a_budget_holds_for_all_spellings_of_a_service_together(settings: Settings, sandbox: Sandbox) -> None:
    port = settings.base_url.rpartition(":")[2]
    spellings = [f"http://127.0.0.1:{port}", f"HTTP://127.0.0.1:0{port}", f"http://127.0.0.1:{port}/"]
    for number, spelled in enumerate(spellings):
        theirs = Settings.model_validate({**dict(settings), "base_url": spelled, "budget": 2.0})
        async with Generations.open(theirs, door="test") as generations:
            if number < 2:
                await generations.start(field(seed=number))
                continue
            assert (await generations.start(field(seed=0))).reused
            with pytest.raises(BudgetReached):
                await generations.start(field(seed=number))
            assert len({item.service for item in await generations.spending()}) == 1
    assert sandbox.charges == 2


def old_journal(file: Path, *rows: dict[str, Any]) -> None:
    """Write a journal as version 0.3.0 did, where each spelling was a service of its own."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(VERSION_3)
        connection.execute("DELETE FROM generations")
        connection.execute("UPDATE flux_nodes_schema SET version = 4")
        connection.execute("CREATE INDEX generations_by_status ON generations (status, created_at)")
        connection.execute("CREATE INDEX generations_by_fingerprint ON generations (fingerprint)")
        for row in rows:
            names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
            connection.execute(f"INSERT INTO generations ({names}) VALUES ({marks})", row)  # noqa: S608 - columns
        connection.commit()


def old_row(id_: str, service: str, status: str, *, task_id: str | None = None, seed: int = 1) -> dict[str, Any]:
    """Return a row of the picture of `asked`, as version 0.3.0 wrote it for this spelling of the service."""
    request = field(seed=seed)
    digest = request.fingerprints[0]
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    return {
        "id": id_,
        "door": "test",
        "service": service,
        "fingerprint": digest,
        "request": json.dumps(request.record()),
        "status": status,
        "created_at": now,
        "updated_at": now,
        "task_id": task_id,
        "credits": 1.0,
        "claim": hashlib.sha256(f"{service}\n{digest}".encode()).hexdigest(),
        "owner": "studio:1227",
    }


async def test_a_journal_that_has_the_service_under_other_spellings_is_counted_and_collected(
    settings: Settings, sandbox: Sandbox
) -> None:
    async with Generations.open(settings, door="first") as first:
        task = (await first.start(field(seed=1))).task_id
    file = settings.home / "journal.sqlite3"
    file.unlink()
    shouted = settings.base_url.replace("http", "HTTP")
    old_journal(file, old_row("g-old000001", shouted, "submitted", task_id=task))

    limited = settings.model_copy(update={"budget": 1.5})
    async with Generations.open(limited, door="test") as generations:
        assert [row.id for row in await generations.unfinished()] == ["g-old000001"]
        again = await generations.start(field(seed=1))
        assert (again.id, again.reused) == ("g-old000001", True)
        assert (await generations.wait("g-old000001")).status == "stored"
        with pytest.raises(BudgetReached):
            await generations.start(field(seed=2))
    assert sandbox.charges == 1


def test_of_two_spellings_that_hold_one_picture_the_one_that_has_it_is_given(tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite3"
    rows = [
        old_row("g-old000001", "https://a.example", "unconfirmed"),
        old_row("g-old000002", "https://A.example", "stored", task_id="t"),
        old_row("g-old000003", "https://a.example:443", "submitted", task_id="u"),
    ]
    old_journal(file, *rows)
    for _ in range(2):
        journal = Journal(f"sqlite:///{file}")
        request = ImagineRequest(**field(seed=1).values)
        asked = Intent(request=request, door="test", service="https://A.EXAMPLE:443", credits=1.0)
        found = journal.intend(asked)
        assert (found.id, found.reused, found.service) == ("g-old000002", True, "https://a.example")
        assert {row.service for row in journal.recent(most=None)} == {"https://a.example"}
        assert len(journal.recent(most=None, service="HTTPS://a.example/")) == 3
        journal.close()


async def test_another_service_is_another_service_all_the_same(generations: Generations, settings: Settings) -> None:
    started = await generations.start(field())
    started.require_service(settings.base_url.upper().replace("HTTP", "http"))
    with pytest.raises(OtherService):
        started.require_service("https://api.apiframe.pro")
