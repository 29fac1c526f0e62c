"""What lists between nodes mean: the same as in ComfyUI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import numpy as np
import pytest

from flux_nodes.core.errors import GenerationFailed, StorageError
from flux_nodes.core.images import decode
from flux_nodes.graph import (
    Event,
    Failed,
    Files,
    Finished,
    Folders,
    NodeFailed,
    Progress,
    Registry,
    Saved,
    Started,
    check,
    read_workflow,
    run,
    stock_nodes,
)
from flux_nodes.nodes.face import Context, Input, Node, Output, Result, Type

if TYPE_CHECKING:
    from flux_nodes.graph import Workflow

Work: TypeAlias = Callable[..., Awaitable[Any]]
Nodes: TypeAlias = dict[str, tuple[str, dict[str, Any]]]


def made(
    id_: str,
    work: Work,
    *inputs: str,
    gives: Type | None = "STRING",
    gives_list: bool = False,
    takes_lists: bool = False,
    paid: bool = False,
) -> Node:
    """Return a node of optional texts that gives what its work returns; one that gives nothing tells it instead."""

    async def go(context: Context, **values: Any) -> AsyncGenerator[Any, None]:
        del context
        value = await work(**values)
        yield value if isinstance(value, Result) else Result((value,)) if gives else Result((), text=str(value))

    texts = (Input(name=name, type="STRING", label="", tooltip="", optional=True, default="") for name in inputs)
    outputs = (Output(name="out", type=gives, label="", tooltip="", is_list=gives_list),) if gives else ()
    return Node(
        id=id_,
        label=id_,
        category="",
        description="",
        inputs=tuple(texts),
        outputs=outputs,
        run=go,
        is_output=gives is None,
        takes_lists=takes_lists,
        paid=paid,
    )


async def words(text: str) -> list[str]:
    return text.split()


async def letters(text: str) -> list[str]:
    return list(text)


async def join(text: str = "-", other: str = "-") -> str:
    return text + other


async def told(**values: Any) -> str:
    return json.dumps(values)


WORDS = made("Words", words, "text", gives_list=True)
LETTERS = made("Letters", letters, "text", gives_list=True)
JOIN = made("Join", join, "text", "other")
TELL = made("Tell", told, "text", "other", gives=None)
GATHER = made("Gather", told, "text", "other", gives=None, takes_lists=True)
STOCK = (WORDS, LETTERS, JOIN, TELL, GATHER)


def workflow(registry: Registry, nodes: Nodes) -> Workflow:
    data = {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()}
    return read_workflow(json.dumps(data), registry)


async def events_of(context: Context, nodes: Nodes, *more: Node) -> list[Event]:
    registry = Registry([*STOCK, *more])
    with anyio.fail_after(60):
        return [event async for event in run(workflow(registry, nodes), registry, context)]


async def until_failed(context: Context, nodes: Nodes, registry: Registry) -> tuple[list[Event], NodeFailed]:
    events: list[Event] = []

    async def collect() -> None:
        async for event in run(workflow(registry, nodes), registry, context):
            events.append(event)  # noqa: PERF401  # what came before the error is looked at

    with anyio.fail_after(60), pytest.raises(NodeFailed) as caught:
        await collect()
    return events, caught.value


def result(events: Sequence[Event], node_id: str) -> Result:
    (found,) = (event.result for event in events if isinstance(event, Finished) and event.node.id == node_id)
    return found


def lines(events: Sequence[Event], node_id: str) -> list[Any]:
    return [json.loads(line) for line in result(events, node_id).text.splitlines()]


async def test_a_node_runs_once_for_each_value_of_a_list_and_hands_the_list_on(context: Context) -> None:
    nodes: Nodes = {
        "words": ("Words", {"text": "red green blue"}),
        "join": ("Join", {"text": ["words", 0], "other": "!"}),
        "tell": ("Tell", {"text": ["join", 0]}),
    }
    events = await events_of(context, nodes)
    assert lines(events, "tell") == [{"text": "red!"}, {"text": "green!"}, {"text": "blue!"}]
    assert result(events, "words").values == (["red", "green", "blue"],)
    assert result(events, "join").values == (["red!", "green!", "blue!"],)


async def test_a_node_begins_and_ends_once_however_often_it_runs(context: Context) -> None:
    nodes: Nodes = {"words": ("Words", {"text": "a b c"}), "tell": ("Tell", {"text": ["words", 0]})}
    events = await events_of(context, nodes)
    assert [(type(event), event.node.id) for event in events] == [
        (Started, "words"),
        (Finished, "words"),
        (Started, "tell"),
        (Finished, "tell"),
    ]


async def test_a_shorter_list_repeats_its_last_value(context: Context) -> None:
    nodes: Nodes = {
        "long": ("Words", {"text": "a b c d"}),
        "short": ("Words", {"text": "1 2"}),
        "tell": ("Tell", {"text": ["long", 0], "other": ["short", 0]}),
    }
    told_ = lines(await events_of(context, nodes), "tell")
    assert [each["text"] + each["other"] for each in told_] == ["a1", "b2", "c2", "d2"]


async def test_lists_of_several_runs_become_one(context: Context) -> None:
    nodes: Nodes = {
        "words": ("Words", {"text": "ab cde"}),
        "letters": ("Letters", {"text": ["words", 0]}),
        "gather": ("Gather", {"text": ["letters", 0]}),
    }
    events = await events_of(context, nodes)
    assert lines(events, "gather") == [{"text": ["a", "b", "c", "d", "e"]}]
    assert result(events, "letters").values == (["a", "b", "c", "d", "e"],)


async def test_a_node_that_takes_lists_runs_once_with_every_input_as_a_list(context: Context) -> None:
    nodes: Nodes = {"words": ("Words", {"text": "a b"}), "gather": ("Gather", {"text": ["words", 0], "other": "x"})}
    assert lines(await events_of(context, nodes), "gather") == [{"text": ["a", "b"], "other": ["x"]}]


async def test_an_empty_list_means_no_run_at_all(context: Context) -> None:
    nodes: Nodes = {
        "none": ("Words", {"text": " "}),
        "join": ("Join", {"text": ["none", 0], "other": "x"}),
        "tell": ("Tell", {"text": ["join", 0]}),
        "gather": ("Gather", {"text": ["join", 0]}),
    }
    events = await events_of(context, nodes)
    assert result(events, "join").values == ([],)
    assert result(events, "tell").text == ""
    assert lines(events, "gather") == [{"text": []}]


def test_an_output_that_is_a_list_may_be_linked_wherever_its_type_fits(folders: Folders) -> None:
    registry = Registry([*STOCK, *stock_nodes(folders)])
    nodes: Nodes = {"words": ("Words", {"text": "a"}), "int": ("PrimitiveInt", {"value": ["words", 0]})}
    good: Nodes = {"tell": ("Tell", {"text": ["words", 0]}), "gather": ("Gather", {"text": ["words", 0]})}
    assert check(workflow(registry, nodes | good), registry) == ()
    (fault,) = check(workflow(registry, nodes | {"tell": ("Tell", {"text": ["int", 0]})}), registry)[:1]
    assert "STRING" in str(fault)


async def test_runs_of_a_node_go_side_by_side_but_no_more_than_twenty_at_once(context: Context) -> None:
    running, most, full = 0, 0, asyncio.Event()

    async def work(text: str) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 20:
            full.set()
        await full.wait()
        await asyncio.sleep(0)  # a twenty-first would begin here
        running -= 1
        return text

    numbers = [str(number) for number in range(50)]
    nodes: Nodes = {
        "words": ("Words", {"text": " ".join(numbers)}),
        "slow": ("Slow", {"text": ["words", 0]}),
        "gather": ("Gather", {"text": ["slow", 0]}),
    }
    events = await events_of(context, nodes, made("Slow", work, "text", paid=True))
    assert lines(events, "gather") == [{"text": numbers}]
    assert most == 20


async def test_when_a_run_fails_the_others_go_on_to_their_end_and_then_the_node_has_failed(context: Context) -> None:
    failed, ended = asyncio.Event(), []

    async def work(text: str) -> str:
        if text.startswith("bad"):
            failed.set()
            raise GenerationFailed(f"{text} was moderated", generation_id="g", task_id=None)
        await failed.wait()
        for _ in range(50):  # the failure has every chance to be told before this run ends
            await asyncio.sleep(0)
        ended.append(text)
        return text

    nodes: Nodes = {
        "words": ("Words", {"text": "a bad1 b bad2"}),
        "pay": ("Pay", {"text": ["words", 0]}),
        "tell": ("Tell", {"text": ["pay", 0]}),
    }
    registry = Registry([*STOCK, made("Pay", work, "text", paid=True)])
    when_told: list[str] = []

    async def consume() -> None:
        async for event in run(workflow(registry, nodes), registry, context):
            when_told.extend(ended if isinstance(event, Failed) else ())
            assert event.node.id != "tell"

    with anyio.fail_after(60), pytest.raises(NodeFailed) as caught:
        await consume()
    assert sorted(when_told) == ["a", "b"]
    assert "bad1" in str(caught.value)
    assert "bad2" not in str(caught.value)


async def test_progress_of_every_run_is_told(context: Context) -> None:
    async def go(context: Context, text: str) -> AsyncGenerator[Any, None]:
        del context
        yield f"{text} moves"
        yield Result((), text=text)

    slow = replace(made("Slow", words, "text", gives=None), run=go)
    nodes: Nodes = {"words": ("Words", {"text": "a b"}), "slow": ("Slow", {"text": ["words", 0]})}
    events = await events_of(context, nodes, slow)
    moves: list[Any] = [event.generation for event in events if isinstance(event, Progress)]
    assert sorted(moves) == ["a moves", "b moves"]


@pytest.mark.parametrize("given", ["not a list", None])
async def test_a_node_that_promises_a_list_and_gives_none_has_failed(context: Context, given: Any) -> None:
    async def work() -> Any:
        return given

    nodes: Nodes = {"wrong": ("Wrong", {}), "tell": ("Tell", {"text": ["wrong", 0]})}
    _, error = await until_failed(context, nodes, Registry([*STOCK, made("Wrong", work, gives_list=True)]))
    assert isinstance(error.cause, TypeError)


async def test_a_value_that_cannot_be_used_fails_a_node_before_any_of_its_runs(context: Context) -> None:
    began = []

    async def some() -> list[Any]:
        return ["a", None]

    async def pay(text: str) -> str:
        began.append(text)
        return text

    nodes: Nodes = {
        "some": ("Some", {}),
        "pay": ("Pay", {"text": ["some", 0]}),
        "tell": ("Tell", {"text": ["pay", 0]}),
    }
    some_ = made("Some", some, gives_list=True)
    await until_failed(context, nodes, Registry([*STOCK, some_, made("Pay", pay, "text", paid=True)]))
    assert began == []


async def test_cancelling_cancels_every_run_and_waits_until_it_has_let_go(context: Context) -> None:
    running, let_go = asyncio.Event(), []

    async def work(text: str) -> str:
        if text == "c":
            running.set()
        try:
            await asyncio.Event().wait()
        finally:
            let_go.append(text)
        return text

    nodes: Nodes = {
        "words": ("Words", {"text": "a b c"}),
        "wait": ("Wait", {"text": ["words", 0]}),
        "tell": ("Tell", {"text": ["wait", 0]}),
    }
    task = asyncio.create_task(events_of(context, nodes, made("Wait", work, "text")))
    with anyio.fail_after(60):
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert sorted(let_go) == ["a", "b", "c"]


async def shades() -> Any:
    """Give images of which the first takes longest to write."""
    return [np.full((1, side, side, 3), side / 1024, np.float32) for side in (1024, 256, 16)]


SHADES = made("Shades", shades, gives="IMAGE", gives_list=True)


async def test_a_list_of_images_is_saved_in_its_order(folders: Folders, context: Context) -> None:
    nodes: Nodes = {
        "shades": ("Shades", {}),
        "save": ("SaveImage", {"images": ["shades", 0], "filename_prefix": "fox"}),
    }
    events = await events_of(context, nodes, SHADES, *stock_nodes(folders))
    files = [event.file for event in events if isinstance(event, Saved)]
    assert [file.filename for file in files] == [f"fox_0000{number}_.png" for number in (1, 2, 3)]
    assert [decode(file.path.read_bytes()).shape[1] for file in files] == [1024, 256, 16]
    whole = result(events, "save")
    assert isinstance(whole, Files)
    assert list(whole.files) == files


async def test_files_of_runs_that_went_well_are_told_although_another_run_failed(
    folders: Folders, context: Context
) -> None:
    registry = Registry([*STOCK, SHADES, *stock_nodes(folders)])
    nodes: Nodes = {
        "shades": ("Shades", {}),
        "words": ("Words", {"text": "one ../two three"}),
        "save": ("SaveImage", {"images": ["shades", 0], "filename_prefix": ["words", 0]}),
    }
    events, error = await until_failed(context, nodes, registry)
    assert [event.file.filename for event in events if isinstance(event, Saved)] == [
        "one_00001_.png",
        "three_00001_.png",
    ]
    assert isinstance(error.cause, StorageError)
