"""What the widgets of a drawn node hold, by name.

A drawing keeps the values of a node as a bare list, in the order of its widgets; which widget a value belongs to
follows from the node's face: required ones first, then optional ones, and after a seed what is to become of it.
Source: ComfyUI frontend, `litegraphService.ts`, `useIntWidget.ts` and `LGraphNode.configure`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .drawing import Slot
from .values import NOT_GIVEN, initial

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..nodes.face import Input, Node
    from .drawing import Drawn
    from .link import Home, Json

_SEEDS = frozenset({"seed", "noise_seed"})
"""Whole numbers of these names get the choice of what becomes of them, asked for or not."""


CONTROL = "control_after_generate"
"""The name of that choice, where values are kept by name."""


@dataclass(frozen=True)
class Held:
    """A value that the drawing holds, every place where it is kept, and what becomes of it after a run, if it says."""

    value: Json
    homes: tuple[Home, ...] = ()
    control: str = ""


def ordered(face: Node) -> tuple[Input, ...]:
    """Return a node's inputs in the order that ComfyUI knows them in: required, then optional."""
    return tuple(sorted(face.inputs, key=lambda item: item.optional))


def slots(drawn: Drawn, face: Node | None) -> tuple[Slot, ...]:
    """Return the inputs of a drawn node as they are once it is loaded: sockets, widgets, then what no face knows.

    A saved drawing leaves out widgets that nothing is linked to.
    """
    if face is None:
        return drawn.inputs
    saved = {slot.name: slot for slot in drawn.inputs}
    items = sorted(ordered(face), key=lambda item: item.is_widget)
    known = tuple(_slot(item, saved.get(item.name)) for item in items)
    return known + tuple(slot for slot in drawn.inputs if face.input(slot.name) is None)


def _slot(item: Input, saved: Slot | None) -> Slot:
    wire = saved.wire if saved else None
    return Slot(name=item.name, type=item.type, wire=wire, widget=item.name if item.is_widget else None)


def held(drawn: Drawn, face: Node | None) -> dict[str, Held]:
    """Return what the widgets of a drawn node hold, by name; without a face, what can be made out."""
    names = _names(drawn) if face is None else list(_places(face))
    found = dict(_kept(drawn, names))
    if face is not None:
        untouched = {item.name: Held(initial(item)) for item in ordered(face) if item.is_widget}
        found = {name: found.get(name, spare) for name, spare in untouched.items()}
    return {name: value for name, value in found.items() if value.value is not NOT_GIVEN}


def has_control(item: Input) -> bool:
    """Tell whether the frontend puts a fixed/increment/randomize choice behind a widget."""
    return item.type == "INT" and (item.seed_control or item.name in _SEEDS)


def _places(face: Node) -> Iterator[str | None]:
    """Yield the widgets' names in the order of their values; None is a value that never reaches the node."""
    for item in ordered(face):
        if item.is_widget:
            yield item.name
            if has_control(item):
                yield None


def _names(drawn: Drawn) -> Sequence[str | None]:
    """Return the names that the drawing itself tells: all of the widgets, or none can be placed."""
    names = [slot.widget for slot in drawn.inputs if slot.widget]
    return names if len(names) == len(drawn.values) else []


def _kept(drawn: Drawn, names: Sequence[str | None]) -> Iterator[tuple[str, Held]]:
    """Yield the values that a node keeps: in a list, which counts most, or by name."""
    if isinstance(drawn.values, dict):
        control = _word(drawn.values.get(CONTROL))
        for name, value in drawn.values.items():
            yield name, Held(value, ((*drawn.home, "widgets_values", name),), control)
        return
    if drawn.named and _has_holes(drawn.values, names):
        for name, value in drawn.named.items():
            yield name, Held(value, tuple(_both(drawn, names, name)), _word(drawn.named.get(CONTROL)))
        return
    for index, (name, value) in enumerate(zip(names, drawn.values, strict=False)):
        if name is not None:
            by_name = ((*drawn.home, "widgets_values_named", name),) if _agrees(drawn, name, value) else ()
            homes = (*by_name, (*drawn.home, "widgets_values", index))
            yield name, Held(value, homes, _behind(drawn, names, index))


def _has_holes(values: Iterable[Json], names: Sequence[str | None]) -> bool:
    """Tell whether a list lacks values: a widget that is not saved leaves a null, and what follows is misplaced."""
    return any(value is None for value, name in zip(values, names, strict=False) if name is not None)


def _agrees(drawn: Drawn, name: str, value: Json) -> bool:
    return name in drawn.named and drawn.named[name] == value


def _behind(drawn: Drawn, names: Sequence[str | None], index: int) -> str:
    """Return the choice that stands behind a value in the list, where the node's face has one there."""
    is_control = list(names[index + 1 : index + 2]) == [None]
    behind = drawn.values[index + 1 : index + 2] if is_control and isinstance(drawn.values, list) else []
    return _word(behind[0]) if behind else ""


def _word(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _both(drawn: Drawn, names: Sequence[str | None], name: str) -> Iterator[Home]:
    """Yield the two places of a value that newer frontends keep by name as well, if the list has it in its place."""
    yield (*drawn.home, "widgets_values_named", name)
    index = names.index(name) if name in names else len(drawn.values)
    if isinstance(drawn.values, list) and drawn.values[index : index + 1] == [drawn.named[name]]:
        yield (*drawn.home, "widgets_values", index)
