"""Lists between nodes, as ComfyUI has them: every output is a list of values, and a node runs once for each.

With each value travel the generations that it comes from, so that a file tells of its own picture and no other, and
with pictures whether a model made them.
Source: ComfyUI's `execution.py` (_async_map_node_over_list, merge_result_data). One thing differs: where an input is an
empty list there is nothing to run for; ComfyUI would call the node without any input.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from ..nodes.face import Result
from .events import Files
from .pixel_sources import sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..core.generation import Generation
    from ..nodes.face import Node
    from .pixel_sources import Sources

Made: TypeAlias = "Mapping[str, tuple[Generation, ...]]"
"""Generations, by the id of the node that made them."""


@dataclass(frozen=True)
class Value:
    """A value on its way to an input, the generations that it comes from, and where its pixels come from."""

    value: Any
    made: Made = field(default_factory=dict)
    sources: Sources = ()


@dataclass(frozen=True, kw_only=True)
class Call:
    """What one run of a node is given, the generations that all of it comes from, and the sources of its pictures."""

    inputs: Mapping[str, Any]
    made: Made
    sources: tuple[Sources, ...] = ()


@dataclass(frozen=True)
class Ran:
    """One run of a node that has ended."""

    call: Call
    result: Result


def calls(face: Node, inputs: Mapping[str, Sequence[Value]]) -> list[Call]:
    """Return what a node is called with, once for each of its runs.

    There are as many runs as the longest list has values; a shorter one repeats its last. A node that takes lists runs
    once and is given them whole.
    """
    if face.takes_lists:
        whole = {name: [each.value for each in values] for name, values in inputs.items()}
        values = list(chain.from_iterable(inputs.values()))
        return [Call(inputs=whole, made=_together(values), sources=tuple(each.sources for each in values))]
    lengths = {len(values) for values in inputs.values()}
    runs = 0 if 0 in lengths else max(lengths, default=1)
    return [_call({name: values[min(at, len(values) - 1)] for name, values in inputs.items()}) for at in range(runs)]


def _call(inputs: Mapping[str, Value]) -> Call:
    values = {name: each.value for name, each in inputs.items()}
    return Call(inputs=values, made=_together(inputs.values()), sources=tuple(each.sources for each in inputs.values()))


def _together(values: Iterable[Value]) -> Made:
    """Return the generations of several values, each once."""
    found: dict[str, dict[str, Generation]] = {}
    for value in values:
        for node_id, generations in value.made.items():
            found.setdefault(node_id, {}).update({generation.id: generation for generation in generations})
    return {node_id: tuple(generations.values()) for node_id, generations in found.items()}


def require_promised(face: Node, result: Result | None) -> Result:
    """Return the result of one run if it holds what the node's face promises. Raises TypeError."""
    if result is None or len(result.values) != len(face.outputs):
        raise TypeError(f"{face.id} must end with a Result of {len(face.outputs)} values")
    for output, value in zip(face.outputs, result.values, strict=True):
        if output.is_list and not isinstance(value, (list, tuple)):
            raise TypeError(f"{face.id} must give a list as {output.name}, not {type(value).__name__}")
    return result


def listed(face: Node, node_id: str, runs: Sequence[Ran]) -> tuple[list[Value], ...]:
    """Return the values of each output over all runs of a node; what runs give as lists becomes one list."""
    made = [_made(node_id, ran) for ran in runs]
    return tuple(
        [
            Value(value, own, sources(ran.result, ran.call.sources, value))
            for ran, own in zip(runs, made, strict=True)
            for value in (ran.result.values[slot] if output.is_list else (ran.result.values[slot],))
        ]
        for slot, output in enumerate(face.outputs)
    )


def _made(node_id: str, ran: Ran) -> Made:
    own = ran.result.generations
    return {**ran.call.made, node_id: own} if own else ran.call.made


def merged(runs: Sequence[Ran], values: tuple[list[Value], ...]) -> Result:
    """Return one result for all runs of a node: that of the only one, or a list for each output and the rest in order.

    Texts are joined by newlines.
    """
    results = [ran.result for ran in runs]
    if len(results) == 1:
        return results[0]
    whole = Result(
        tuple([each.value for each in column] for column in values),
        text="\n".join(result.text for result in results if result.text),
        generations=tuple(chain.from_iterable(result.generations for result in results)),
    )
    written = [result.files for result in results if isinstance(result, Files)]
    if not written:
        return whole
    files = tuple(chain.from_iterable(written))
    return Files(whole.values, text=whole.text, generations=whole.generations, files=files)
