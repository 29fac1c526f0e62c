from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from pydantic import SecretStr

from flux_nodes.core.catalog import MODEL_NAMES, PARAMETERS, Parameter
from flux_nodes.core.client import ApiframeClient
from flux_nodes.core.errors import (
    KeyRefused,
    MissingKey,
    ServiceRefused,
    ServiceUnreachable,
    SubmitUnconfirmed,
    TooManyRequests,
)
from flux_nodes.core.request import ImagineRequest
from flux_nodes.core.retry import Policy
from flux_nodes.sandbox import Fault, Quirks, Sandbox, serving
from tests.core.test_request import png

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from flux_nodes.core import Generations

QUICK = Policy(first=0.01, longest=0.02, deadline=2, longest_wish=0.05)


@pytest.fixture
async def client(url: str) -> AsyncIterator[ApiframeClient]:
    async with ApiframeClient(key=SecretStr("sandbox"), base_url=url, policy=QUICK) as made:
        yield made


def field(**values: Any) -> ImagineRequest:
    return ImagineRequest(**{"model": "flux-pro-1.1", "prompt": "a sunflower field", **values})


def example(item: Parameter) -> Any:
    """A value of a parameter that is not its default."""
    if item.choices:
        return item.choices[0]
    if item.name == "prompt":
        return "a sunflower field in the wind"
    examples = {
        "image": png(),
        "ratio": "21:9",
        "boolean": True,
        "url": "https://example.com/hook",
        "secret": "a word",
        "number": 0.5 if item.maximum == 1 else 3.5,
        "integer": 3 if item.maximum is None or item.maximum < 10 else 512,
    }
    return examples[item.kind]


LINES = [(model, item) for model in MODEL_NAMES for item in PARAMETERS if item.taken_by(model)]


@pytest.mark.parametrize(("model", "item"), LINES, ids=[f"{model}-{item.name}" for model, item in LINES])
async def test_every_parameter_reaches_the_wire_as_the_page_spells_it(
    client: ApiframeClient, sandbox: Sandbox, model: str, item: Parameter
) -> None:
    values = {"model": model, "prompt": "x", item.name: example(item)}
    if item.name == "model":
        values["model"] = model
    request = ImagineRequest(**values)
    await client.submit(request)
    sent = sandbox.requests[-1]
    assert (sent.method, sent.path) == ("POST", "/flux-imagine")
    assert sent.json == request.wire()
    assert set(sent.json) == {"model", "prompt", item.name}
    assert item.kind == "image" or sent.json[item.name] == values[item.name]


async def test_the_key_travels_raw_in_the_authorization_header() -> None:
    with serving(strict := Sandbox(seconds=0, keys={"a-key": 5}, quirks=Quirks(authorization="raw"))) as server:
        async with ApiframeClient(key=SecretStr("a-key"), base_url=server.url) as client:
            assert (await client.account()).credits == 5
    strict.close()


async def test_the_account_is_read(client: ApiframeClient) -> None:
    account = await client.account()
    assert (account.credits, account.plan) == (1000, "sandbox")


async def test_a_wrong_key_is_refused_and_never_shown(url: str) -> None:
    async with ApiframeClient(key=SecretStr("wrong-key"), base_url=url) as client:
        with pytest.raises(KeyRefused) as caught:
            await client.submit(field())
    assert caught.value.status == 401
    assert "wrong-key" not in f"{caught.value!r}{caught.value}{client!r}{vars(client)}"


async def test_without_a_key_nothing_is_sent(url: str, sandbox: Sandbox) -> None:
    async with ApiframeClient(key=None, base_url=url) as client:
        with pytest.raises(MissingKey, match="APIFRAME_API_KEY"):
            await client.submit(field())
    assert sandbox.requests == []


async def test_a_key_that_the_service_repeats_is_struck_out(client: ApiframeClient, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="account", kind="refuse", status=403, body='{"message": "key sandbox is asleep"}'))
    with pytest.raises(ServiceRefused) as caught:
        await client.account()
    assert caught.value.messages == ("key *** is asleep",)


async def test_a_refusal_carries_the_services_own_words_and_is_not_repeated(
    client: ApiframeClient, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="credits", times=None))
    with pytest.raises(ServiceRefused) as caught:
        await client.submit(field())
    assert caught.value.status == 400
    assert "credits" in caught.value.messages[0]
    assert sandbox.counts()["submits"] == 1


@pytest.mark.parametrize("kind", ["lost-after", "lost-before", "html", "empty", "not-json"])
async def test_a_submit_whose_answer_is_lost_is_never_sent_again(
    client: ApiframeClient, sandbox: Sandbox, kind: Any
) -> None:
    sandbox.inject(Fault(where="submit", kind=kind))
    with pytest.raises(SubmitUnconfirmed, match="may have been"):
        await client.submit(field())
    assert sandbox.counts()["submits"] == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_submit_answered_by_a_server_error_is_never_sent_again(
    client: ApiframeClient, sandbox: Sandbox, status: int
) -> None:
    sandbox.inject(Fault(where="submit", kind="refuse", status=status))
    with pytest.raises(SubmitUnconfirmed):
        await client.submit(field())
    assert sandbox.counts()["submits"] == 1


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_submit_answered_by_429_is_sent_again_and_paid_once(
    client: ApiframeClient, sandbox: Sandbox, form: Any
) -> None:
    sandbox.inject(Fault(where="submit", kind="refuse", status=429, retry_after=1, retry_as=form, times=2))
    assert await client.submit(field())
    assert (sandbox.counts()["submits"], sandbox.charges) == (3, 1)


async def test_a_service_that_keeps_saying_429_is_given_up_at_the_deadline(url: str, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(where="submit", kind="refuse", status=429, retry_after=30, times=None))
    async with ApiframeClient(key=SecretStr("sandbox"), base_url=url, policy=Policy(deadline=0.1)) as client:
        with pytest.raises(TooManyRequests) as caught:
            await client.submit(field())
    assert caught.value.retry_after == 30
    assert sandbox.charges == 0


async def test_the_time_that_a_person_gave_ends_the_repetitions_of_a_submit(
    generations: Generations, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="refuse", status=429, body='{"message": "so many"}', times=None))
    with anyio.fail_after(30), pytest.raises(TooManyRequests, match="so many"):
        await generations.start(field(), seconds=0.5)
    assert [row.status for row in await generations.recent()] == ["refused"]


async def test_a_service_that_is_not_there_is_said_to_be_unreachable_and_nothing_was_paid(sandbox: Sandbox) -> None:
    with serving(sandbox) as server:
        gone = server.url
    async with ApiframeClient(key=SecretStr("sandbox"), base_url=gone, policy=QUICK) as client:
        with pytest.raises(ServiceUnreachable, match="could not be reached"):
            await client.submit(field())


@pytest.mark.parametrize("fault", ["html", "empty", "not-json", "reset", "lost-before"])
async def test_reading_rides_out_a_passing_fault_or_says_unreachable(
    client: ApiframeClient, sandbox: Sandbox, fault: Any
) -> None:
    task_id = await client.submit(field())
    sandbox.inject(Fault(where="fetch", kind=fault))
    try:
        task = await client.fetch(task_id)
    except ServiceUnreachable:
        task = await client.fetch(task_id)
    assert task.state == "finished"


async def test_any_number_of_tasks_is_asked_for_twenty_at_a_time(client: ApiframeClient, sandbox: Sandbox) -> None:
    ids = [await client.submit(field(seed=seed)) for seed in range(41)]
    tasks = await client.fetch_many([*ids, ids[0]])
    assert [task.task_id for task in tasks] == ids
    assert [request.path for request in sandbox.requests[41:]] == ["/fetch-many", "/fetch-many", "/fetch"]
    assert [len(request.json.get("task_ids", [1])) for request in sandbox.requests[41:]] == [20, 20, 1]


@pytest.mark.parametrize("shape", ["tasks", "list", "by-id"])
@pytest.mark.parametrize("unknown", ["omitted", "reported"])
async def test_every_shape_of_a_fetch_many_reply_is_read(shape: Any, unknown: Any) -> None:
    made = Sandbox(
        seconds=0, quirks=Quirks(fetch_many_shape=shape, fetch_many_unknown=unknown, fetch_many_order="reversed")
    )
    with serving(made) as server:
        async with ApiframeClient(key=SecretStr("sandbox"), base_url=server.url) as client:
            ids = [await client.submit(field(seed=seed)) for seed in range(3)]
            found = {task.task_id: task.state for task in await client.fetch_many([*ids, "nobody"])}
    made.close()
    assert {found[task_id] for task_id in ids} == {"finished"}
    assert found.get("nobody") in {None, "failed"}


async def test_an_answer_without_end_is_cut_off(client: ApiframeClient, sandbox: Sandbox) -> None:
    body = '{"credits": "' + "9" * 5_000_000 + '"}'
    sandbox.inject(Fault(where="account", kind="refuse", status=403, body=body))
    with pytest.raises(ServiceUnreachable, match="longer"):
        await client.account()
