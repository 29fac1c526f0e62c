"""The face of a node: what it takes, what it gives and how it runs, said once for every host.

A node is an async generator function. It yields a `Generation` whenever the one it waits for has moved, and last of
all a `Result`. A host (ComfyUI, the headless runner) shows the former and passes the latter on. An IMAGE is a numpy
array, float32, [B, H, W, C], values 0..1, C 3 or 4; a MASK is one of float32, [B, H, W], 1 where the image is masked
out; a FLUX_TASK names generations by their ids, one a line.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .widget_order import in_order

if TYPE_CHECKING:
    from ..core.errors import Fault
    from ..core.generation import Generation
    from ..core.generations import Generations, Graph

Type = Literal["STRING", "INT", "FLOAT", "BOOLEAN", "COMBO", "IMAGE", "MASK", "FLUX_TASK"]
"""The types that travel along the links of a graph, as ComfyUI spells them."""

WIDGET_TYPES: frozenset[str] = frozenset({"STRING", "INT", "FLOAT", "BOOLEAN", "COMBO"})
"""Types that a person can type in; the others only come along a link."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input of a node.

    `optional` ones may be left out; `seed_control` asks for the host's fixed/increment/randomize control. The choices
    of a `recent` COMBO are the newest generations, each as its id and words that tell it: a host that can shows them,
    and any text that begins with an id is accepted.
    """

    name: str
    type: Type
    label: str
    tooltip: str
    default: str | int | float | bool | None = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False
    multiline: bool = False
    advanced: bool = False
    slider: bool = False
    seed_control: bool = False
    recent: bool = False

    @property
    def is_widget(self) -> bool:
        """Whether it has a value of its own when nothing is linked to it."""
        return self.type in WIDGET_TYPES


@dataclass(frozen=True, kw_only=True)
class Output:
    """One output of a node. One that `is_list` gives a list: what it is linked to runs once for each of its values."""

    name: str
    type: Type
    label: str
    tooltip: str
    is_list: bool = False


@dataclass(frozen=True)
class Result:
    """What a node gives.

    One value for each output, in order (a list for one that `is_list`), words that a host may show on the node, and
    the generations that its images are of, in their order.
    """

    values: tuple[Any, ...]
    text: str = ""
    generations: tuple[Generation, ...] = ()


@dataclass(frozen=True)
class Context:
    """What a host lends a node for one run: the generations, and the graph that it runs in, to be kept with them."""

    generations: Generations
    graph: Graph | None = field(default=None, kw_only=True)


Step: TypeAlias = "Generation | Result"
"""What a node yields: how far the generation it waits for has come, and last of all its result."""

Run = Callable[..., AsyncGenerator[Step, None]]
"""`run(context, **inputs)`: an input that is optional and neither linked nor set is not given.

The context may be None for a node that needs no generations.
"""

Check: TypeAlias = "Callable[[Mapping[str, Any]], Sequence[Fault]]"
"""`check(inputs)`: what is wrong with values before anything runs; each fault's `where` is the name of an input.

It is given the values that are known by then and that suit their own input; one that a link brings is absent.
"""


Size: TypeAlias = "Callable[[Mapping[str, Any]], tuple[int, int] | None]"
"""`size(inputs)`: width and height in pixels of the images that a node will give, from its own values alone.

It is given what is known before anything runs. None where that does not tell the size. It may read files.
"""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node: its face and its function.

    One that `needs_generations` is lent them by its context; others run where there is no journal, too. `paid` ones
    start something that costs; `volatile` ones give something new at each run, so a host must not keep their result;
    `check` finds faults in the inputs that are known before anything runs, and `size` tells the size of the images that
    they make. One that `takes_lists` runs once and is given every input as a list, of all values that its links bring;
    others run once for each value. `inputs` come out in the order that `widget_order` prescribes for this id.
    """

    id: str
    label: str
    category: str
    description: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    run: Run
    is_output: bool = False
    needs_generations: bool = True
    volatile: bool = False
    paid: bool = False
    takes_lists: bool = False
    check: Check | None = None
    size: Size | None = None
    search: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", in_order(self.id, self.inputs))

    def input(self, name: str) -> Input | None:
        """Return the input of this name, or None."""
        return next((item for item in self.inputs if item.name == name), None)
