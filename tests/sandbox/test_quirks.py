from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.sandbox import Quirks, Sandbox, parse_fault
from flux_nodes.sandbox.quirks import QuirkError

if TYPE_CHECKING:
    from tests.sandbox.conftest import Clock, Encoded, Order, Talk


@pytest.mark.parametrize(
    ("unknown", "status", "body"),
    [
        ("errors", 400, {"errors"}),
        ("not-found", 404, {"message"}),
        ("empty", 200, set()),
        ("failed", 200, {"task_id", "task_type", "status", "actions", "message"}),
    ],
)
async def test_a_quirk_changes_the_reply_for_an_unknown_task(talk: Talk, unknown: Any, status: Any, body: Any) -> None:
    async with talk(Sandbox(quirks=Quirks(unknown_task=unknown))) as client:
        reply = await client.post("/fetch", json={"task_id": "no-such-task"})
    assert (reply.status_code, set(reply.json())) == (status, body)


async def test_fetch_many_keeps_the_asked_order_and_leaves_unknown_ids_out(talk: Talk, order: Order) -> None:
    async with talk(Sandbox()) as client:
        ids = [(await client.post("/flux-imagine", json=order())).json()["task_id"] for _ in range(3)]
        asked = [ids[2], "unknown", ids[0], ids[1]]
        tasks = (await client.post("/fetch-many", json={"task_ids": asked})).json()["tasks"]
    assert [task["task_id"] for task in tasks] == [ids[2], ids[0], ids[1]]


async def test_quirks_change_fetch_many_s_order_shape_and_unknown_ids(talk: Talk, order: Order) -> None:
    reverse = Quirks(fetch_many_order="reversed", fetch_many_shape="list", fetch_many_unknown="reported")
    async with talk(Sandbox(quirks=reverse)) as client:
        task = (await client.post("/flux-imagine", json=order())).json()["task_id"]
        reply = (await client.post("/fetch-many", json={"task_ids": [task, "unknown"]})).json()
    assert [(each["task_id"], each["status"]) for each in reply] == [("unknown", "failed"), (task, "staged")]


async def test_a_quirk_keys_fetch_many_s_reply_by_id(talk: Talk, order: Order) -> None:
    async with talk(Sandbox(quirks=Quirks(fetch_many_shape="by-id"))) as client:
        task = (await client.post("/flux-imagine", json=order())).json()["task_id"]
        reply = (await client.post("/fetch-many", json={"task_ids": [task, task]})).json()
    assert list(reply) == [task]


FOREIGN = [
    {"model": "flux-schnell", "steps": "nonsense"},
    {"model": "flux-dev", "interval": 99},
    {"model": "flux-pro-1.1", "guidance": 3},
    {"model": "flux-pro", "raw": True},
    {"model": "flux-pro", "aspect_ratio": "16:9"},
    {"model": "flux-dev", "image_prompt_strength": 0.5},
]


@pytest.mark.parametrize("changes", FOREIGN, ids=str)
async def test_another_model_s_parameter_is_ignored_unless_a_quirk_refuses_it(
    talk: Talk, order: Order, changes: Any
) -> None:
    async with talk(Sandbox()) as client:
        assert (await client.post("/flux-imagine", json=order(**changes))).status_code == 200
    async with talk(Sandbox(quirks=Quirks(foreign_parameters="refused"))) as client:
        reply = await client.post("/flux-imagine", json=order(**changes))
    assert "only for" in reply.json()["errors"][0]["msg"]


@pytest.mark.parametrize(
    ("quirks", "changes"),
    [
        (Quirks(multiples_of_32=True), {"width": 257}),
        (Quirks(upstream_ranges=True), {"steps": 51}),
        (Quirks(upstream_ranges=True), {"steps": 0}),
        (Quirks(upstream_ranges=True), {"guidance": 1.4}),
        (Quirks(upstream_ranges=True), {"guidance": 5.1}),
        (Quirks(prompt_limit=10), {"prompt": "eleven char"}),
    ],
    ids=str,
)
async def test_a_quirk_makes_a_check_stricter(talk: Talk, order: Order, quirks: Any, changes: Any) -> None:
    async with talk(Sandbox()) as client:
        assert (await client.post("/flux-imagine", json=order(**changes))).status_code == 200
    async with talk(Sandbox(quirks=quirks)) as client:
        reply = await client.post("/flux-imagine", json=order(**changes))
    assert reply.json()["errors"][0]["msg"].startswith(next(iter(changes)))


async def test_quirks_loosen_unknown_parameters_and_data_uris(talk: Talk, order: Order, encoded: Encoded) -> None:
    loose = Quirks(unknown_parameters="ignored", data_uri="accepted")
    body = order(output_format="png", image_prompt=f"data:image/png;base64,{encoded()}")
    async with talk(Sandbox(quirks=loose)) as client:
        assert (await client.post("/flux-imagine", json=body)).status_code == 200
    async with talk(Sandbox()) as client:
        reply = await client.post("/flux-imagine", json=body)
    assert len(reply.json()["errors"]) == 2


@pytest.mark.parametrize("form", ["message", "error", "errors"])
async def test_a_quirk_changes_where_a_failed_task_tells_why(talk: Talk, order: Order, form: Any) -> None:
    sandbox = Sandbox(seconds=0, quirks=Quirks(failed_body=form), faults=[parse_fault("submit:fail")])
    async with talk(sandbox) as client:
        task = (await client.post("/flux-imagine", json=order())).json()
        reply = (await client.post("/fetch", json=task)).json()
    assert (reply["status"], reply["actions"]) == ("failed", [])
    assert reply[form] == ([{"msg": "Request Moderated"}] if form == "errors" else "Request Moderated")


@pytest.mark.parametrize(("refunds", "credits"), [(True, 1000), (False, 999)])
async def test_a_quirk_gives_a_failed_task_s_credit_back_once(
    talk: Talk, order: Order, clock: Clock, refunds: Any, credits: Any
) -> None:
    quirks = Quirks(failure_refunds=refunds)
    sandbox = Sandbox(seconds=10, clock=clock, quirks=quirks, faults=[parse_fault("submit:fail")])
    async with talk(sandbox) as client:
        await client.post("/flux-imagine", json=order())
        assert (await client.get("/account")).json()["credits"] == 999
        clock.now += 60
        await client.get("/account")
        assert (await client.get("/account")).json()["credits"] == credits


@pytest.mark.parametrize(("form", "status"), [("errors", 400), ("payment-required", 402), ("forbidden", 403)])
async def test_a_quirk_changes_the_reply_when_no_credit_is_left(
    talk: Talk, order: Order, form: Any, status: Any
) -> None:
    sandbox = Sandbox(keys={"sandbox": 0}, quirks=Quirks(out_of_credits=form))
    async with talk(sandbox) as client:
        reply = await client.post("/flux-imagine", json=order())
    assert reply.status_code == status
    assert "credits" in reply.text


@pytest.mark.parametrize(("form", "raw", "bearer"), [("either", 200, 200), ("raw", 200, 401), ("bearer", 401, 200)])
async def test_a_quirk_narrows_the_authorization_header(talk: Talk, form: Any, raw: Any, bearer: Any) -> None:
    async with talk(Sandbox(quirks=Quirks(authorization=form))) as client:
        assert (await client.get("/account")).status_code == raw
        reply = await client.get("/account", headers={"authorization": "Bearer sandbox"})
    assert reply.status_code == bearer


@pytest.mark.parametrize("wrong", [{"percentage": "float"}, {"retrying": "yes"}, {"prompt_limit": 0}], ids=str)
def test_a_quirk_outside_its_set_is_refused_by_name(wrong: Any) -> None:
    with pytest.raises(QuirkError, match=next(iter(wrong))):
        Quirks(**wrong)
