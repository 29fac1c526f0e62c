"""`flux-nodes run` and `flux-nodes check`: saved workflows of ComfyUI, without ComfyUI."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...core.errors import InvalidWorkflow
from ..complaint import complain_of, error_document
from ..delivery import near, prepare_folder
from ..documents import generation_document
from ..exits import BAD_INPUT, DONE, exit_code
from ..inline import show_pictures
from ..options import json_option, output_option
from ..progress import progress
from ..screen import Column, say, write_json, write_rows
from ..seeds import moved_seeds, still_seeds
from ..service import with_service
from ..workflow_run import Ledger, registry_for, run_workflow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...core.settings import Settings
    from ...graph import Folders, Registry, Setting, Workflow, WorkflowNode
    from ..seeds import Seeded

_NODES = (Column("node"), Column("title", wide=True), Column("type", wide=True), Column("costs"))
_SETTINGS = (Column("--set"), Column("type"), Column("now", wide=True, cut=True), Column("node", spare=True))
_FILES = (Column("file"), Column("node", spare=True, only="terminal"))

_workflow = click.argument("file", metavar="WORKFLOW", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_input_folder = click.option(
    "--input",
    "input_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder that nodes load images from.  [default: the workflow's own]",
)


def _changes(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Part names from values at the first equals sign."""
    changes = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not of the form NAME=VALUE, such as seed=7.", ctx, param)
        changes[name] = text
    return changes


@click.command()
@_workflow
@click.option(
    "--set",
    "changes",
    metavar="NAME=VALUE",
    callback=_changes,
    multiple=True,
    help="Change a value before running; may be repeated. `flux-nodes check` lists the names.",
)
@click.option(
    "--keep-seeds",
    is_flag=True,
    help="Take the seeds that the file holds, also where it says that they move at each run.",
)
@_input_folder
@output_option
@click.option("--original", is_flag=True, help="Deliver the service's own bytes, too, of each image that it makes.")
@json_option
@with_service
def run(
    *,
    file: Path,
    changes: dict[str, str],
    keep_seeds: bool,
    input_folder: Path | None,
    output: Path,
    original: bool,
    as_json: bool,
    settings: Settings,
) -> int:
    """Run a saved workflow.

    WORKFLOW is ComfyUI's JSON (saved or API format), a document that holds one, or an image that carries one. It is
    checked first, and nothing is paid when anything is wrong. What its nodes save or preview is written to the output
    folder. A seed that the workflow says to move (randomize, increment, decrement) moves at each run.
    """
    from ...graph import require
    from ..ctrl_c import carry_out

    registry = registry_for(_folders(file, input_folder, output))
    saved = _read(file, registry)
    workflow = saved.with_values(changes, registry)
    still = still_seeds(workflow, saved, registry, keep=keep_seeds)
    if keep_seeds:
        workflow = replace(workflow, controls={})
    require(workflow, registry)
    prepare_folder(output)
    ledger = Ledger()
    seeds = moved_seeds(workflow, registry, settings, file, lambda: ledger.error is None, still=still)
    with seeds as seeded, progress(silent=as_json) as shown:
        for line in seeded.lines():
            shown.note(line)
        work = run_workflow(seeded.workflow, registry, settings, ledger, shown, originals=output if original else None)
        carry_out(work, under_way=ledger.running)
    if as_json:
        write_json(_document(file, ledger, seeded))
    else:
        _show(ledger)
    if ledger.error is None:
        return DONE
    complain_of([ledger.error], on_sandbox=click.get_current_context().obj.sandbox)
    return exit_code(ledger.error)


def _folders(file: Path, input_folder: Path | None, output: Path) -> Folders:
    from ...graph import Folders

    # A terminal has no page to show previews on: they are written where the person looks for images.
    return Folders(input=input_folder or file.parent, output=output, temp=output)


def _read(file: Path, registry: Registry) -> Workflow:
    from ...graph import read_workflow

    return read_workflow(file, registry)


def _show(ledger: Ledger) -> None:
    for text, node in ledger.texts:
        say(f"{node.title}: {text}")
    rows = [(near(path), node.title) for path, node in ledger.files]
    if rows or ledger.originals:
        write_rows(_FILES, [*rows, *((near(path), "original") for path in ledger.originals)])
        show_pictures(path for path, _ in ledger.files)


def _document(file: Path, ledger: Ledger, seeded: Seeded) -> dict[str, object]:
    return {
        "workflow": str(file.absolute()),
        "seeds": seeded.documents(),
        "files": [{"file": str(path.absolute()), **_named(node)} for path, node in ledger.files],
        "originals": [str(path.absolute()) for path in ledger.originals],
        "texts": [{"text": text, **_named(node)} for text, node in ledger.texts],
        "generations": [
            generation_document(generation, ledger.stored.get(id_), ledger.stored.get(id_))
            for id_, generation in ledger.generations.items()
        ],
        "error": None if ledger.error is None else error_document(ledger.error),
    }


def _named(node: WorkflowNode) -> Mapping[str, str]:
    return {"node": node.id, "title": node.title}


@click.command()
@_workflow
@_input_folder
@json_option
def check(*, file: Path, input_folder: Path | None, as_json: bool) -> int:
    """Check a saved workflow without running it.

    Tells what it would do and what --set can change, or every fault. Nothing is sent and nothing is paid.
    """
    from ...graph import check as faults_of

    registry = registry_for(_folders(file, input_folder, Path()))
    workflow = _read(file, registry)
    faults = faults_of(workflow, registry)
    error = InvalidWorkflow(faults) if faults else None
    nodes = _would_run(workflow, registry)
    settings = workflow.settable(registry)
    if as_json:
        write_json(_checked(nodes, settings, registry, error))
    elif error is None:
        _show_checked(workflow, nodes, settings, registry)
    if error is None:
        return DONE
    complain_of([error], on_sandbox=False)
    return BAD_INPUT


def _would_run(workflow: Workflow, registry: Registry) -> list[WorkflowNode]:
    from ...graph.order import needed, outputs

    return [workflow.nodes[id_] for id_ in needed(workflow, outputs(workflow, registry))]


def _show_checked(
    workflow: Workflow, nodes: list[WorkflowNode], settings: tuple[Setting, ...], registry: Registry
) -> None:
    from ...graph import cost

    say(f"It can run. Nodes: {len(nodes)}. Generations that cost: {cost(workflow, registry)}.", to_stdout=True)
    say("", to_stdout=True)
    write_rows(
        _NODES, [(node.id, node.title, node.class_type, "yes" * (registry[node.class_type].paid)) for node in nodes]
    )
    say("", to_stdout=True)
    write_rows(_SETTINGS, [(item.name, item.type, _text(item), str(workflow.nodes[item.node])) for item in settings])


def _text(item: Setting) -> str:
    return "" if item.value is None else str(item.value)


def _checked(
    nodes: list[WorkflowNode], settings: tuple[Setting, ...], registry: Registry, error: InvalidWorkflow | None
) -> dict[str, object]:
    return {
        "ok": error is None,
        "nodes": [{**_named(node), "type": node.class_type, "costs": registry[node.class_type].paid} for node in nodes],
        "settings": [
            {"name": item.name, "type": item.type, "value": item.value, "node": item.node} for item in settings
        ],
        "error": None if error is None else error_document(error),
    }
