from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeAlias

import anyio
import pytest

from flux_nodes.core.errors import InvalidWorkflow, ServiceUnreachable
from flux_nodes.graph import (
    Event,
    Failed,
    Finished,
    NodeFailed,
    Progress,
    Registry,
    Started,
    read_workflow,
    run,
)
from flux_nodes.nodes.face import Context, Input, Node, Output, Result

Work: TypeAlias = Callable[..., Awaitable[Any]]


def step(id_: str, work: Work, *, takes: int = 0, gives: bool = True, paid: bool = False) -> Node:
    """Return a node that does some work with up to `takes` texts; one that gives nothing is an output."""

    async def go(context: Context, **inputs: Any) -> AsyncGenerator[Any, None]:
        del context
        value = await work(*inputs.values())
        yield Result((value,) if gives else ())

    inputs = tuple(
        Input(name=f"in{n}", type="STRING", label="", tooltip="", optional=True, default="") for n in range(takes)
    )
    outputs = (Output(name="out", type="STRING", label="", tooltip=""),) if gives else ()
    return Node(
        id=id_,
        label=id_,
        category="",
        description="",
        inputs=inputs,
        outputs=outputs,
        run=go,
        is_output=not gives,
        paid=paid,
    )


async def give(*values: str) -> str:
    return "".join(values) or "x"


END = step("End", give, takes=9, gives=False)


def graph(registry: Registry, **nodes: tuple[str, list[str]]) -> Any:
    """Return a workflow of {name: (type, names it takes from)}."""
    data = {
        name: {"class_type": kind, "inputs": {f"in{n}": [source, 0] for n, source in enumerate(sources)}}
        for name, (kind, sources) in nodes.items()
    }
    return read_workflow(json.dumps(data), registry)


async def told(registry: Registry, context: Context, **nodes: tuple[str, list[str]]) -> list[Event]:
    with anyio.fail_after(60):
        return [event async for event in run(graph(registry, **nodes), registry, context)]


def names(events: list[Event], kind: type[Any]) -> list[str]:
    return [event.node.id for event in events if isinstance(event, kind)]


async def test_nodes_run_once_each_after_those_they_take_from(context: Context) -> None:
    registry = Registry([step("Give", give, takes=2), END])
    events = await told(
        registry,
        context,
        end=("End", ["both"]),
        both=("Give", ["left", "right"]),
        left=("Give", ["top"]),
        right=("Give", ["top"]),
        top=("Give", []),
    )
    order = names(events, Started)
    assert sorted(order) == ["both", "end", "left", "right", "top"]
    assert order[0] == "top"
    assert order[-2:] == ["both", "end"]
    assert {event.node.id: event.result.values for event in events if isinstance(event, Finished)}["both"] == ("xx",)


async def test_only_what_an_output_needs_runs(context: Context) -> None:
    registry = Registry([step("Give", give), END])
    events = await told(registry, context, a=("Give", []), b=("Give", []), end=("End", ["a"]))
    assert sorted(names(events, Finished)) == ["a", "end"]


async def test_independent_nodes_run_at_the_same_time(context: Context) -> None:
    here, there = asyncio.Event(), asyncio.Event()

    async def first() -> str:
        here.set()
        await there.wait()
        return "1"

    async def second() -> str:
        there.set()
        await here.wait()
        return "2"

    registry = Registry([step("First", first), step("Second", second), END])
    events = await told(registry, context, a=("First", []), b=("Second", []), end=("End", ["a", "b"]))
    assert names(events, Finished)[-1] == "end"


async def test_a_faulty_workflow_is_refused_before_anything_starts(context: Context) -> None:
    started = False

    async def note() -> str:
        nonlocal started
        started = True
        return ""

    registry = Registry([step("Note", note), END])
    with pytest.raises(InvalidWorkflow):
        await told(registry, context, a=("Note", []), end=("End", ["a", "nowhere"]))
    assert not started


async def test_progress_is_told_while_a_node_runs(context: Context) -> None:
    moves: list[Any] = ["a quarter", "half"]

    async def go(context: Context) -> AsyncGenerator[Any, None]:
        del context
        for move in moves:
            yield move
        yield Result(())

    slow = Node(id="Slow", label="", category="", description="", inputs=(), outputs=(), run=go, is_output=True)
    events = await told(Registry([slow]), context, a=("Slow", []))
    assert [event.generation for event in events if isinstance(event, Progress)] == moves
    assert [type(event) for event in events] == [Started, Progress, Progress, Finished]


async def test_when_a_node_fails_running_ones_end_and_are_saved_but_nothing_that_costs_is_started(
    context: Context,
) -> None:
    failed, paid_started = asyncio.Event(), []

    async def fail() -> str:
        failed.set()
        raise ServiceUnreachable("the service is down")

    async def wait_for_paid_work() -> str:
        await failed.wait()
        return "paid"

    async def pay(*values: str) -> str:
        paid_started.append(values)
        return ""

    costly = [
        step("Fail", fail, paid=True),
        step("Wait", wait_for_paid_work, paid=True),
        step("Pay", pay, takes=1, paid=True),
    ]
    registry = Registry([*costly, END])
    workflow = graph(
        registry,
        bad=("Fail", []),
        good=("Wait", []),
        more=("Pay", ["good"]),
        save=("End", ["good"]),
        lost=("End", ["more"]),
        gone=("End", ["bad"]),
    )
    events: list[Event] = []

    async def collect() -> None:
        async for event in run(workflow, registry, context):
            events.append(event)  # noqa: PERF401  # what came before the error is looked at

    with anyio.fail_after(60), pytest.raises(NodeFailed) as caught:
        await collect()
    assert names(events, Failed) == ["bad"]
    assert sorted(names(events, Finished)) == ["good", "save"]
    assert paid_started == []
    assert isinstance(caught.value.cause, ServiceUnreachable)
    assert caught.value.node.id == "bad"
    assert 'node bad "Fail"' in str(caught.value)
    assert "the service is down" in str(caught.value)


async def test_every_failure_is_in_the_error(context: Context) -> None:
    async def fail() -> str:
        raise ServiceUnreachable("down")

    registry = Registry([step("Fail", fail), END])
    with pytest.raises(NodeFailed) as caught:
        await told(registry, context, a=("Fail", []), b=("Fail", []), end=("End", ["a", "b"]))
    assert [failure.node.id for failure in caught.value.failures] == ["a", "b"]


async def test_a_node_that_ends_without_the_promised_result_has_failed(context: Context) -> None:
    async def go(context: Context) -> AsyncGenerator[Any, None]:
        del context
        yield Result((1, 2))

    wrong = Node(id="Wrong", label="", category="", description="", inputs=(), outputs=(), run=go, is_output=True)
    with pytest.raises(NodeFailed):
        await told(Registry([wrong]), context, a=("Wrong", []))


async def test_cancelling_a_run_cancels_every_node_and_waits_until_it_has_let_go(context: Context) -> None:
    running, let_go = asyncio.Event(), []

    async def wait_forever() -> str:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            let_go.append(True)
        return ""

    registry = Registry([step("Wait", wait_forever), END])
    workflow = graph(registry, a=("Wait", []), b=("Wait", []), end=("End", ["a", "b"]))

    async def consume() -> None:
        async for _ in run(workflow, registry, context):
            pass

    task = asyncio.create_task(consume())
    with anyio.fail_after(60):
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert let_go == [True, True]


async def test_closing_the_iterator_early_cancels_what_runs(context: Context) -> None:
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def wait_forever() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            let_go.set()
        return ""

    registry = Registry([step("Wait", wait_forever), END])
    events = run(graph(registry, a=("Wait", []), end=("End", ["a"])), registry, context)
    with anyio.fail_after(60):
        assert isinstance(await anext(events), Started)
        await begun.wait()
        await events.aclose()
    assert let_go.is_set()


async def test_values_are_converted_and_optional_ones_that_are_not_set_are_not_given(
    registry: Registry, context: Context
) -> None:
    nodes = {
        "1": {"class_type": "PrimitiveInt", "inputs": {"value": "3"}},
        "2": {"class_type": "Show", "inputs": {"number": ["1", 0], "flag": 1, "unknown": 5}},
    }
    workflow = read_workflow(json.dumps(nodes), registry)
    events = [event async for event in run(workflow, registry, context)]
    texts = [event.result.text for event in events if isinstance(event, Finished)]
    assert texts[-1] == repr({"number": 3.0, "flag": True})
