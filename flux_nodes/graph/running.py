"""Running a workflow: only what outputs need, in the order of its links, independent nodes side by side, each once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

from ..nodes.face import Result
from .checking import require
from .events import Event, Failed, Files, Finished, GraphContext, NodeFailed, Progress, Saved, Started
from .link import Link
from .order import needed, needs, outputs
from .values import coerced

if TYPE_CHECKING:
    from ..nodes.face import Context
    from .registry import Registry
    from .workflow import Workflow, WorkflowNode


async def run(workflow: Workflow, registry: Registry, context: Context) -> AsyncGenerator[Event, None]:
    """Run a workflow, and yield what happens.

    When a node fails, those that already run go on to their end, for their work may be paid; nothing that costs is
    started any more, and the others go on with what is there, so that it is saved. Then NodeFailed rises. Closing the
    iterator, or cancelling who consumes it, cancels every node. Raises InvalidWorkflow before anything starts.
    """
    await asyncio.to_thread(require, workflow, registry)
    work = _Work(workflow, registry, context)
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
        raise NodeFailed(work.failures) from work.failures[0].error


@dataclass(frozen=True)
class _Ended:
    node: WorkflowNode
    task: asyncio.Task[Result]


class _Work:
    """What still waits, what runs and what is done; `news` is what to tell."""

    def __init__(self, workflow: Workflow, registry: Registry, context: Context) -> None:
        self._workflow = workflow
        self._registry = registry
        self._context = context
        self._waiting = {id_: needs(workflow, id_) for id_ in needed(workflow, outputs(workflow, registry))}
        self._users = {id_: sum(id_ in wanted for wanted in self._waiting.values()) for id_ in self._waiting}
        self._values: dict[str, tuple[Any, ...]] = {}
        self.tasks: dict[str, asyncio.Task[Result]] = {}
        self.failures: list[Failed] = []
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

    def _ended(self, node: WorkflowNode, task: asyncio.Task[Result]) -> None:
        self.news.put_nowait(_Ended(node, task))

    def settle(self, ended: _Ended) -> list[Event]:
        """Take in how a node ended, start what waited for it, and return what to tell."""
        node = ended.node
        del self.tasks[node.id]
        error = asyncio.CancelledError() if ended.task.cancelled() else ended.task.exception()
        told = self._done(node, ended.task.result()) if error is None else self._failed(node, error)
        self.start_ready()
        return told

    def _failed(self, node: WorkflowNode, error: BaseException) -> list[Event]:
        self.failures.append(Failed(node, error))
        return [self.failures[-1]]

    def _done(self, node: WorkflowNode, result: Result) -> list[Event]:
        self._values[node.id] = result.values
        for wanted in self._waiting.values():
            wanted.discard(node.id)
        files = result.files if isinstance(result, Files) else ()
        return [*(Saved(node, file) for file in files), Finished(node, result)]

    def _inputs(self, node: WorkflowNode) -> dict[str, Any]:
        """Return what a node is called with, and let go of values that nothing else waits for: images are large."""
        inputs: dict[str, Any] = {}
        for item in self._registry[node.class_type].inputs:
            value = node.inputs.get(item.name)
            if isinstance(value, Link):
                inputs[item.name] = self._values[value.node][value.slot]
            elif item.name in node.inputs:
                inputs[item.name] = value
        for id_ in needs(self._workflow, node.id):
            self._users[id_] -= 1
            if not self._users[id_]:
                del self._values[id_]
        return inputs

    async def _run(self, node: WorkflowNode, inputs: dict[str, Any]) -> Result:
        face = self._registry[node.class_type]
        result: Result | None = None
        given = {item.name: coerced(item, inputs[item.name]) for item in face.inputs if item.name in inputs}
        steps = face.run(self._context_of(node), **given)
        try:
            async for step in steps:
                if isinstance(step, Result):
                    result = step
                else:
                    self.news.put_nowait(Progress(node, step))
        finally:
            if isinstance(steps, AsyncGenerator):
                await steps.aclose()
        if result is None or len(result.values) != len(face.outputs):
            raise TypeError(f"{face.id} must end with a Result of {len(face.outputs)} values")
        return result

    def _context_of(self, node: WorkflowNode) -> GraphContext:
        lent = {item.name: getattr(self._context, item.name) for item in fields(self._context)}
        return GraphContext(**(lent | {"workflow": self._workflow, "node_id": node.id}))

    async def stop(self) -> None:
        """Cancel what still runs and wait until it has let go."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
