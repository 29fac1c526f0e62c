"""`flux-nodes models`: the models and their parameters, out of the catalog."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ...core.catalog import MODELS, PARAMETERS, Parameter, allowed, guide_in_words, models_in_words
from ..exits import DONE
from ..options import flag, json_option
from ..screen import Column, is_terminal, write_json, write_rows

if TYPE_CHECKING:
    from ...core.catalog import Model

_MODELS = (
    Column("model"),
    Column("credits", spare=True),
    Column("good for", wide=True),
    Column("takes besides", wide=True),
)
_PARAMETERS = tuple(map(Column, ("option", "accepts", "default", "taken by", "description", "source")))


@click.command()
@click.option("--parameters", is_flag=True, help="Show the parameters: what each accepts, and which models take it.")
@json_option
def models(*, parameters: bool, as_json: bool) -> int:
    """Show the models and what they take."""
    if as_json:
        write_json(
            {"models": [_model(model) for model in MODELS], "parameters": [_fields(item) for item in PARAMETERS]}
        )
    elif parameters and is_terminal(sys.stdout):
        _draw_parameters()
    elif parameters:
        write_rows(_PARAMETERS, [_parameter_row(item) for item in PARAMETERS])
    else:
        write_rows(_MODELS, [_model_row(model) for model in MODELS])
    return DONE


def _model_row(model: Model) -> tuple[str, ...]:
    special = [flag(item.name) for item in PARAMETERS if not item.universal and item.taken_by(model.name)]
    return model.name, str(model.credits), model.description, " ".join(special)


def _draw_parameters() -> None:
    from ..tables import draw_entries

    draw_entries([_entry(item) for item in PARAMETERS])


def _entry(item: Parameter) -> tuple[str, list[str]]:
    name, accepts, default, taken, words, source = _parameter_row(item)
    facts = [accepts, f"default {default}" if default else "", taken]
    return name, [words, f"{'; '.join(filter(None, facts))} ({source})"]


def _parameter_row(item: Parameter) -> tuple[str, ...]:
    name = "PROMPT" if item.name == "prompt" else flag(item.name)
    words = " ".join(filter(None, (item.description, guide_in_words(item))))
    default = "" if item.default is None else str(item.default)
    return name, allowed(item), default, models_in_words(item), words, item.source


def _model(model: Model) -> dict[str, object]:
    return {
        "name": model.name,
        "label": model.label,
        "description": model.description,
        "credits": model.credits,
        "parameters": [item.name for item in PARAMETERS if item.taken_by(model.name)],
    }


def _fields(item: Parameter) -> dict[str, object]:
    return {
        "name": item.name,
        "label": item.label,
        "kind": item.kind,
        "description": item.description,
        "required": item.required,
        "models": list(item.models),
        "choices": list(item.choices),
        "minimum": item.minimum,
        "maximum": item.maximum,
        "default": item.default,
        "group": item.group,
        "guide": guide_in_words(item),
        "source": item.source,
    }
