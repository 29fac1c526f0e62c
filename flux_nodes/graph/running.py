"""Running a workflow: only what outputs need, in the order of its links, independent nodes side by side.

A node runs once for each value of its longest list (`lists`), and these runs go side by side too.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from ..nodes.face import Result
from .checking import require
from .events import Event, Failed, Files, Finished, GraphContext, NodeFailed, Progress, Saved, Started
from .link import Link
from .lists import Ran, Value, calls, listed, merged, require_promised
from .order import needed, needs, outputs
from .sketch import drawing
from .values import coerced

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ..core.generations import Graph
    from ..nodes.face import Context, Node
    from .lists import Call
    from .registry import Registry
    from .workflow import Workflow, WorkflowNode

_MOST_AT_ONCE = 20
"""Runs of one node that go side by side: each may hold images, and a service has its limits."""


async def run(workflow: Workflow, registry: Registry, context: Context) -> AsyncGenerator[Event, None]:
    """Run a workflow, and yield what happens.

    When a node fails, those that already run go on to their end, through all of their list: their work may be paid, and
    one prompt that is refused says nothing of the next. No node that costs is started any more, and the others go on
    with what is there, so that it is saved. Then NodeFailed rises. Closing the iterator, or cancelling who consumes it,
    cancels every node. Raises InvalidWorkflow before anything starts.

    Nodes are lent the context with the graph that runs in it, as image files and generations keep it.
    """
    await asyncio.to_thread(require, workflow, registry)
    work = _Work(workflow, registry, context, await asyncio.to_thread(_graph, workflow, registry))
    try:
        work.start_ready()
        while work.tasks or not work.news.empty():
            news = await work.news.get()
            if isinstance(news, _Ended):
                for event in work.settle(news):
                    yield event
            else:
                yield news
    finally:
        await work.stop()
    if work.failures:
        raise NodeFailed(work.failures, stored=work.made()) from work.failures[0].error


def _graph(workflow: Workflow, registry: Registry) -> Graph:
    """Return the graph as ComfyUI's files carry it; of one that came without a drawing, what runs is drawn."""
    ui = workflow.ui
    if ui is None:
        # The rest has not been checked: it may be nothing that can be drawn.
        ui = drawing({id_: workflow.nodes[id_] for id_ in needed(workflow, outputs(workflow, registry))}, registry)
    return {"prompt": workflow.to_api(), "workflow": ui}


@dataclass(frozen=True)
class _Ended:
    node: WorkflowNode
    task: asyncio.Task[list[Ran]]


class _Work:
    """What still waits, what runs and what is done; `news` is what to tell."""

    def __init__(self, workflow: Workflow, registry: Registry, context: Context, graph: Graph) -> None:
        self._workflow = workflow
        self._registry = registry
        self._lent = {item.name: getattr(context, item.name) for item in fields(context)} | {"graph": graph}
        self._waiting = {id_: needs(workflow, id_) for id_ in needed(workflow, outputs(workflow, registry))}
        self._users = {id_: sum(id_ in wanted for wanted in self._waiting.values()) for id_ in self._waiting}
        self._values: dict[str, tuple[list[Value], ...]] = {}
        self.tasks: dict[str, asyncio.Task[list[Ran]]] = {}
        self.failures: list[Failed] = []
        self._made: dict[str, None] = {}
        self.news: asyncio.Queue[Event | _Ended] = asyncio.Queue()

    def start_ready(self) -> None:
        """Start every node that has all it takes."""
        for id_ in [id_ for id_, wanted in self._waiting.items() if not wanted]:
            node = self._workflow.nodes[id_]
            if self.failures and self._registry[node.class_type].paid:
                continue
            del self._waiting[id_]
            self.news.put_nowait(Started(node))
            task = asyncio.create_task(self._run(node, self._inputs(node)), name=str(node))
            self.tasks[id_] = task
            task.add_done_callback(partial(self._ended, node))

    def _ended(self, node: WorkflowNode, task: asyncio.Task[list[Ran]]) -> None:
        self.news.put_nowait(_Ended(node, task))

    def settle(self, ended: _Ended) -> list[Event]:
        """Take in how a node ended, start what waited for it, and return what to tell."""
        node = ended.node
        del self.tasks[node.id]
        error = asyncio.CancelledError() if ended.task.cancelled() else ended.task.exception()
        told = self._done(node, ended.task.result()) if error is None else self._failed(node, error)
        self.start_ready()
        return [told]

    def _failed(self, node: WorkflowNode, error: BaseException) -> Event:
        self.failures.append(Failed(node, error))
        return self.failures[-1]

    def _done(self, node: WorkflowNode, runs: list[Ran]) -> Event:
        values = listed(self._registry[node.class_type], node.id, runs)
        if self._users[node.id]:
            self._values[node.id] = values
        for wanted in self._waiting.values():
            wanted.discard(node.id)
        return Finished(node, merged(runs, values))

    def _inputs(self, node: WorkflowNode) -> dict[str, list[Value]]:
        """Return what a node is run with, and let go of values that nothing else waits for: images are large."""
        inputs: dict[str, list[Value]] = {}
        for item in self._registry[node.class_type].inputs:
            value = node.inputs.get(item.name)
            if isinstance(value, Link):
                inputs[item.name] = self._values[value.node][value.slot]
            elif item.name in node.inputs:
                inputs[item.name] = [Value(value)]
        for id_ in needs(self._workflow, node.id):
            self._users[id_] -= 1
            if not self._users[id_]:
                del self._values[id_]
        return inputs

    async def _run(self, node: WorkflowNode, inputs: dict[str, list[Value]]) -> list[Ran]:
        """Run a node once for each of its values; when a run fails, the others go on, for they may be paid."""
        face = self._registry[node.class_type]
        given = {
            item.name: [replace(each, value=coerced(item, each.value)) for each in inputs[item.name]]
            for item in face.inputs
            if item.name in inputs
        }
        room = asyncio.Semaphore(_at_once(face))

        async def once(call: Call) -> Ran:
            async with room:
                return Ran(call, await self._once(node, face, call))

        runs = []
        for ran in await asyncio.gather(*(once(call) for call in calls(face, given)), return_exceptions=True):
            if isinstance(ran, BaseException):
                raise ran
            runs.append(ran)
        return runs

    async def _once(self, node: WorkflowNode, face: Node, call: Call) -> Result:
        result: Result | None = None
        async with aclosing(face.run(self._context_of(node, call), **call.inputs)) as steps:
            async for step in steps:
                if isinstance(step, Result):
                    result = step
                else:
                    self.news.put_nowait(Progress(node, step))
        result = require_promised(face, result)
        self._made |= dict.fromkeys(generation.id for generation in result.generations)
        # At once, not when the node ends: the files of a run are there even if another run of the node fails.
        for file in result.files if isinstance(result, Files) else ():
            self.news.put_nowait(Saved(node, file))
        return result

    def _context_of(self, node: WorkflowNode, call: Call) -> GraphContext:
        sources = tuple(chain.from_iterable(call.sources))
        return GraphContext(
            **(self._lent | {"workflow": self._workflow, "node_id": node.id, "made": call.made, "sources": sources})
        )

    def made(self) -> tuple[str, ...]:
        """Return the ids of the generations that nodes have given, also in runs whose node failed in another one."""
        return tuple(self._made)

    async def stop(self) -> None:
        """Cancel what still runs and wait until it has let go."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


def _at_once(face: Node) -> int:
    """Return how many runs of a node may go side by side; files are written in turn, numbered as their list goes."""
    return 1 if face.is_output and not face.paid else _MOST_AT_ONCE
