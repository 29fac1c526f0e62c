"""A saved workflow as it runs: nodes by id, each with its inputs, and the drawing it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .link import Link
from .setting import list_settings, with_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .link import Home, Json
    from .registry import Registry
    from .setting import Setting


_LONGEST_NAME = 60


def shortened(name: str) -> str:
    """Return a name out of a file as an error can repeat it: on one line, and not longer than 60 characters."""
    line = " ".join(name.split())
    return line if len(line) <= _LONGEST_NAME else f"{line[:_LONGEST_NAME]}…"


@dataclass(frozen=True, kw_only=True)
class WorkflowNode:
    """A node of a workflow: which one it is (`class_type` is a `Node.id`), what it is called, and its inputs.

    `alias` is the other name that file name tokens such as %Node.input% may call it by.
    """

    id: str
    class_type: str
    title: str
    inputs: Mapping[str, Link | Json]
    alias: str = ""

    def __str__(self) -> str:
        return f'node {shortened(self.id)} "{shortened(self.title)}"'

    @property
    def links(self) -> dict[str, Link]:
        """The inputs that are linked, by name."""
        return {name: value for name, value in self.inputs.items() if isinstance(value, Link)}


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """A workflow that can be checked, changed, run and written.

    `nodes` is what runs, by id. `ui` is the drawing that ComfyUI shows, if there was one. `homes` says where in the
    drawing each value is kept, so that a changed workflow is drawn with its changed values. `controls` says of seeds
    that move from run to run how they do; one that was set by `with_values` stays. `named` is every node of the
    drawing, also those that do not run: the name of a file may tell what their widgets hold.
    """

    nodes: Mapping[str, WorkflowNode]
    ui: Mapping[str, Json] | None = field(default=None, repr=False)
    homes: Mapping[tuple[str, str], tuple[Home, ...]] = field(default_factory=dict, repr=False)
    controls: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False, compare=False)
    named: Mapping[str, WorkflowNode] = field(default_factory=dict, repr=False, compare=False)

    def to_api(self) -> dict[str, Json]:
        """Return what ComfyUI's `POST /prompt` takes under `prompt`, and what its PNG files carry as `prompt`."""
        return {node.id: _api(node) for node in self.nodes.values()}

    def settable(self, registry: Registry) -> tuple[Setting, ...]:
        """Return every value that `with_values` can change, under the shortest name that means it and no other."""
        return list_settings(self, registry)

    def with_values(self, values: Mapping[str, Json], registry: Registry) -> Workflow:
        """Return this workflow with other values; each is named `input`, `id.input` or `title.input`.

        A text is converted to the input's type. Raises InvalidWorkflow with every name that means nothing, or more
        than one thing, and every value that cannot be converted.
        """
        return with_values(self, values, registry)


def _api(node: WorkflowNode) -> dict[str, Json]:
    inputs = {name: _api_value(value) for name, value in node.inputs.items()}
    return {"inputs": inputs, "class_type": node.class_type, "_meta": {"title": node.title}}


def _api_value(value: Link | Json) -> Json:
    if isinstance(value, Link):
        return [value.node, value.slot]
    # A bare list would be read as a link (ComfyUI frontend, graphToPrompt).
    return {"__value__": value} if isinstance(value, list) else value
