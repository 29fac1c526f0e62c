"""Options: those of the catalog, made in a loop, and those that several commands share."""

from __future__ import annotations

import functools
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.catalog import DEFAULT_MODEL, PARAMETERS, Parameter, allowed, guide_in_words, models_in_words
from .delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Decorator = Callable[[Callable[..., int]], Callable[..., int]]

_SECTIONS = {"picture": "The picture", "delivery": "Delivery by webhook"}
_TYPES: dict[str, Any] = {
    "text": click.STRING,
    "integer": click.INT,
    "number": click.FLOAT,
    "ratio": click.STRING,
    "image": click.Path(exists=True, dir_okay=False, path_type=Path),
    "url": click.STRING,
    "secret": click.STRING,
}
_METAVARS = {"image": "FILE", "ratio": "W:H", "url": "URL", "secret": "TEXT"}

json_option = click.option("--json", "as_json", is_flag=True, help="Write one JSON document on stdout, for programs.")

output_option = click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Folder for the images; made when it is not there.  [default: the current folder]",
)


def delivery_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command `--output` and `--original`, and what they mean as its argument `delivery`."""

    @output_option
    @click.option("--original", is_flag=True, help="Deliver the service's own bytes: no graph in them, in any format.")
    @functools.wraps(command)
    def run(*, output: Path, original: bool, **options: Any) -> int:
        return command(delivery=Delivery(folder=output, original=original), **options)

    return run


class Seconds(click.FloatRange):
    """A number of seconds: not below 0, and a number indeed, which nan is not."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail with what is allowed."""
        seconds = float(super().convert(value, param, ctx))
        if seconds != seconds:
            self.fail(f"{value!r} is not a number of seconds; 0 or more is allowed.", param, ctx)
        return seconds


timeout_option = click.option(
    "--timeout",
    type=Seconds(min=0),
    metavar="SECONDS",
    help="How long to wait; what still runs then can be collected later.  [default: FLUX_NODES_TIMEOUT, or 600]",
)


class CatalogOption(click.Option):
    """An option made from a parameter of the catalog."""

    def __init__(self, *args: Any, section: str, **options: Any) -> None:
        self.section = section
        super().__init__(*args, **options)


class SectionedCommand(click.Command):
    """A command whose help shows its own options first, then those of the catalog in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        sections: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                sections[getattr(parameter, "section", "Options")].append(record)
        for title in sorted(sections, key=["Options", *_SECTIONS.values()].index):
            with formatter.section(title):
                formatter.write_dl(sections[title])


def catalog_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command one option for each parameter of the catalog but the prompt, which is its argument."""
    for item in reversed(PARAMETERS):
        if item.name != "prompt":
            command = _option(item)(command)
    return command


def catalog_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given for the catalog's parameters; an image prompt as its file's bytes."""
    values = {item.name: given[item.name] for item in PARAMETERS if given.get(item.name) is not None}
    return {name: _read(value) if isinstance(value, Path) else value for name, value in values.items()}


def flag(name: str) -> str:
    """Return how a parameter is spelled as an option."""
    return f"--{name.replace('_', '-')}"


def _read(file: Path) -> bytes:
    from ..core.image_prompt import MAX_BYTES  # Pillow is wanted only when an image is given

    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)  # one more tells that there is too much; a device has no end
    except OSError as error:
        raise click.BadParameter(f"{file} cannot be read: {error.strerror}.") from error


def _option(item: Parameter) -> Decorator:
    spelled = flag(item.name)
    options: dict[str, Any] = {"help": _help(item), "section": _SECTIONS[item.group], "cls": CatalogOption}
    if item.kind == "boolean":
        return click.option(f"{spelled}/--no-{spelled[2:]}", default=None, **options)
    if item.choices:
        default = DEFAULT_MODEL if item.name == "model" else None
        return click.option(
            spelled, type=click.Choice(item.choices), default=default, show_default=True, metavar="NAME", **options
        )
    return click.option(spelled, type=_TYPES[item.kind], metavar=_METAVARS.get(item.kind), **options)


_LEFT_OUT = {"seed": "Chosen at random when it is left out."}


def _help(item: Parameter) -> str:
    """Say what a parameter is, what it accepts, who takes it, and what is usual."""
    sentences = [item.description]
    if item.kind in {"integer", "number"} or item.choices:
        sentences.append(f"{_first_upper(allowed(item))}.")
    if not item.universal:
        sentences.append(f"Only with {models_in_words(item)}.")
    if item.default is not None:
        sentences.append(f"The service's default is {item.default}.")
    sentences += [guide_in_words(item), _LEFT_OUT.get(item.name, "")]
    return " ".join(filter(None, sentences))


def _first_upper(text: str) -> str:
    return text if text.startswith("flux-") else text[:1].upper() + text[1:]
