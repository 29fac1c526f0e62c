"""Seeds that move from run to run, as ComfyUI moves them when it queues."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tests.graph.drawings import drawing, node, slot

if TYPE_CHECKING:
    from pathlib import Path

    from flux_nodes.sandbox import Sandbox
    from tests.cli.terminal import Ended, Terminal


def saved(folder: Path, control: str, prefix: str = "p") -> Path:
    values = ["flux-schnell", "a red kite", 0.1, False, 256, 256, "16:9", 0, 0, 2, 7, control, 2, False, False, 1]
    nodes = [node(2, "FluxImagine", values), node(3, "SaveImage", [prefix], slot("images", "IMAGE", 2))]
    file = folder / "kite.json"
    file.write_text(json.dumps(drawing(nodes, [[2, 2, 0, 3, 0, "IMAGE"]])))
    return file


def seeds(sandbox: Sandbox) -> list[Any]:
    return [task.body["seed"] for task in sandbox.tasks]


def run(terminal: Terminal, *options: str) -> Ended:
    ended = terminal.type("run", "kite.json", *options)
    assert ended.code == 0, ended.err
    return ended


@pytest.mark.parametrize(("control", "sent"), [("increment", [7, 8]), ("decrement", [7, 6]), ("fixed", [7])])
def test_each_run_takes_the_next_seed(
    terminal: Terminal, sandbox: Sandbox, folder: Path, control: str, sent: list[int]
) -> None:
    saved(folder, control)
    for _ in range(2):
        run(terminal)
    assert seeds(sandbox) == sent


def test_a_random_seed_is_another_one_at_each_run_and_is_said(
    terminal: Terminal, sandbox: Sandbox, folder: Path
) -> None:
    saved(folder, "randomize")
    ended = [run(terminal) for _ in range(3)]
    assert len(set(seeds(sandbox))) == 3
    assert "FLUX Imagine: seed 7, as saved; the next run moves it" in ended[0].err
    for seed, each in zip(seeds(sandbox)[1:], ended[1:], strict=True):
        assert f"FLUX Imagine: seed {seed} (randomize; --keep-seeds takes the saved 7)" in each.err


def test_the_picture_carries_the_seed_that_was_taken_and_the_file_stays_as_it_is(
    terminal: Terminal, sandbox: Sandbox, folder: Path
) -> None:
    file = saved(folder, "randomize")
    before = file.read_bytes()
    run(terminal)
    picture = run(terminal).out.strip()
    with Image.open(folder / picture) as image:
        prompt, ui = json.loads(image.info["prompt"]), json.loads(image.info["workflow"])
    assert prompt["2"]["inputs"]["seed"] == ui["nodes"][0]["widgets_values"][10] == seeds(sandbox)[1]
    assert file.read_bytes() == before
    assert "reused, free" in terminal.type("run", picture).err


def test_keep_seeds_takes_what_the_file_holds_and_moves_nothing(
    terminal: Terminal, sandbox: Sandbox, folder: Path
) -> None:
    saved(folder, "increment")
    told = [run(terminal, *options).err for options in ((), (), ("--keep-seeds",), ())]
    assert seeds(sandbox) == [7, 8, 9]
    assert "FLUX Imagine: seed 7, as saved (--keep-seeds)" in told[2]
    (document,) = run(terminal, "--keep-seeds", "--json").document["seeds"]
    assert (document["seed"], document["control"], document["why"]) == (7, "increment", "kept")


def test_a_seed_that_is_set_is_taken_and_moves_nothing(terminal: Terminal, sandbox: Sandbox, folder: Path) -> None:
    saved(folder, "increment")
    told = [run(terminal, *options).err for options in (("--set", "seed=50"), ("--set", "seed=50"), (), ())]
    assert seeds(sandbox) == [50, 7, 8]
    assert "FLUX Imagine: seed 50 (--set)" in told[1]
    for value in (50, 7):
        (document,) = run(terminal, "--set", f"2.seed={value}", "--keep-seeds", "--json").document["seeds"]
        assert (document["seed"], document["why"]) == (value, "set")


def test_a_fixed_seed_is_the_files_own_and_is_not_said(terminal: Terminal, folder: Path) -> None:
    saved(folder, "fixed")
    assert ": seed" not in run(terminal).err
    assert run(terminal, "--keep-seeds", "--json").document["seeds"] == []


def test_a_run_that_failed_takes_its_seed_again_so_that_what_was_paid_is_free(
    terminal: Terminal, sandbox: Sandbox, folder: Path
) -> None:
    saved(folder, "increment", prefix="%width%/p")
    run(terminal)
    place = folder / "256"
    away = place.rename(folder / "away")
    place.write_text("a file in its place")
    failed = terminal.type("run", "kite.json")
    assert failed.code != 0
    place.unlink()
    away.rename(place)
    again = run(terminal)
    assert seeds(sandbox) == [7, 8]
    assert "seed 8 again, for the last run with it did not end well" in again.err
    assert "reused, free" in again.err


def test_a_workflow_with_faults_takes_no_seed(terminal: Terminal, sandbox: Sandbox, folder: Path) -> None:
    file = saved(folder, "increment")
    good = file.read_text()
    file.write_text(good.replace("SaveImage", "SaveImageAdvanced"))
    assert terminal.type("run", "kite.json").code == 2
    file.write_text(good)
    run(terminal)
    assert seeds(sandbox) == [7]


def test_the_document_of_a_run_tells_its_seeds(terminal: Terminal, sandbox: Sandbox, folder: Path) -> None:
    saved(folder, "increment")
    told = [run(terminal, "--json").document["seeds"] for _ in range(2)]
    assert told[1] == [
        {"node": "2", "title": "FLUX Imagine", "input": "seed", "seed": 8, "control": "increment", "why": "next"}
    ]
    assert [each["why"] for each in told[0]] == ["saved"]
    assert seeds(sandbox) == [7, 8]


def test_the_sandbox_of_this_machine_has_a_series_of_its_own(bare: Terminal, folder: Path) -> None:
    saved(folder, "increment")
    found = [run(bare, "--sandbox", "--json").document["generations"][0]["seed"] for _ in range(2)]
    assert found == [7, 8]


def test_a_home_where_nothing_can_be_kept_is_told_before_anything_is_paid(
    terminal: Terminal, sandbox: Sandbox, folder: Path, tmp_path: Path
) -> None:
    saved(folder, "increment")
    (tmp_path / "home" / "seeds.sqlite3").mkdir(parents=True)
    ended = terminal.type("run", "kite.json")
    assert ended.code == 2
    assert "--keep-seeds" in ended.err
    assert sandbox.charges == 0
    run(terminal, "--keep-seeds")
