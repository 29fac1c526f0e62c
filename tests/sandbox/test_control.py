from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.sandbox import Sandbox

if TYPE_CHECKING:
    from tests.sandbox.conftest import Clock, Encoded, Order, Talk


async def test_faults_are_added_listed_and_cleared_over_http_without_a_key(talk: Talk, order: Order) -> None:
    async with talk(Sandbox(), key="") as client:
        added = await client.post("/sandbox/faults", json="submit:429:times=2")
        more = await client.post("/sandbox/faults", json=[{"where": "fetch", "kind": "html"}, "image:bomb"])
        submit: dict[str, Any] = {"json": order(), "headers": {"authorization": "sandbox"}}
        first = await client.post("/flux-imagine", **submit)
        cleared = await client.delete("/sandbox/faults")
        second = await client.post("/flux-imagine", **submit)
    assert added.json() == {"faults": [{"where": "submit", "kind": "refuse", "times": 2, "skip": 0,
                                        "status": 429, "retry_as": "seconds"}]}  # fmt: skip
    assert len(more.json()["faults"]) == 3
    assert (first.status_code, cleared.json(), second.status_code) == (429, {"faults": []}, 200)


@pytest.mark.parametrize("raw", ["", "5", '"submit"', '{"where": "submit"}', '{"where": "submit", "kind": "x"}',
                                 '{"where": "submit", "kind": "html", "color": 1}', "[null]"])  # fmt: skip
async def test_a_fault_that_cannot_be_is_refused_over_http(talk: Talk, raw: Any) -> None:
    async with talk(Sandbox()) as client:
        reply = await client.post("/sandbox/faults", content=raw, headers={"content-type": "application/json"})
        left = await client.get("/sandbox/faults")
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["msg"]
    assert left.json() == {"faults": []}


async def test_the_state_counts_submits_charges_requests_and_tasks(talk: Talk, order: Order, clock: Clock) -> None:
    sandbox = Sandbox(seconds=10, clock=clock)
    async with talk(sandbox) as client:
        task = (await client.post("/flux-imagine", json=order())).json()
        await client.post("/flux-imagine", json={})
        await client.post("/fetch", json=task)
        state = (await client.get("/sandbox/state")).json()
    assert (state["submits"], state["charges"]) == (2, 1)
    assert state["requests"] == {"/flux-imagine": 2, "/fetch": 1}
    assert state["tasks"] == [{**task, "status": "staged", "percentage": 0}]


async def test_requests_are_recorded_without_the_key(talk: Talk, order: Order, encoded: Encoded) -> None:
    sandbox = Sandbox(keys={"key-of-mine": 5})
    body = order(image_prompt=encoded())
    async with talk(sandbox, key="key-of-mine") as client:
        await client.post("/flux-imagine", json=body)
        await client.get("/account", headers={"authorization": "Bearer key-of-mine"})
        await client.post("/fetch", content=b"{broken")
        told = (await client.get("/sandbox/requests")).text
    first, second, third = sandbox.requests
    assert (first.method, first.path, first.json) == ("POST", "/flux-imagine", body)
    assert first.headers["content-type"] == "application/json"
    assert (first.headers["authorization"], second.headers["authorization"]) == ("***", "Bearer ***")
    assert third.json is None
    assert body["image_prompt"] in told
    assert "key-of-mine" not in told + repr(sandbox.requests) + repr(sandbox.tasks) + repr(vars(first))


def test_importing_the_room_loads_nothing_heavy() -> None:
    script = (
        "import sys, flux_nodes.sandbox as room; dir(room); room.Quirks; room.Fault; room.parse_fault\n"
        "print(sorted({'starlette', 'uvicorn', 'numpy', 'PIL', 'httpx2'} & set(sys.modules)))\n"
        "room.Sandbox; room.serving\n"
        "print(sorted({'numpy', 'PIL', 'httpx2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]


def test_the_room_shows_what_it_lists_and_nothing_else() -> None:
    import flux_nodes.sandbox as room

    assert all(getattr(room, name) for name in room.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = room.nothing
