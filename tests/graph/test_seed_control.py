from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from flux_nodes.core.errors import StorageError
from flux_nodes.graph import SeedHistory, moving_seeds, read_workflow, with_seeds
from tests.graph.drawings import drawing, link, node, show, slot
from tests.graph.test_reading import API, png

if TYPE_CHECKING:
    from pathlib import Path

    from flux_nodes.graph import Registry, Workflow
    from flux_nodes.graph.seed_control import MovingSeed

LINK = [[1, 1, 0, 9, 0, "IMAGE"]]


def seeded(registry: Registry, control: Any, seed: Any = 5) -> Workflow:
    return read_workflow(json.dumps(drawing([node(1, "Colour", [seed, control, "blue", 3]), show(1)], LINK)), registry)


def only(workflow: Workflow, registry: Registry) -> MovingSeed:
    (seed,) = moving_seeds(workflow, registry)
    return seed


@pytest.mark.parametrize("control", ["randomize", "increment", "decrement"])
def test_a_seed_moves_as_the_choice_behind_it_says(registry: Registry, control: str) -> None:
    seed = only(seeded(registry, control), registry)
    assert (seed.places, seed.control, seed.saved) == ((("1", "seed"),), control, 5)
    assert {"increment": seed.after(5) == 6, "decrement": seed.after(5) == 4, "randomize": seed.after(5) != 5}[control]


@pytest.mark.parametrize("control", ["fixed", "increment-wrap", "", None, 3, ["randomize"], {}])
def test_any_other_choice_leaves_the_seed(registry: Registry, control: Any) -> None:
    assert moving_seeds(seeded(registry, control), registry) == ()


@pytest.mark.parametrize("seed", [None, "7", True, 7.5, [7]])
def test_what_is_no_whole_number_does_not_move(registry: Registry, seed: Any) -> None:
    assert moving_seeds(seeded(registry, "increment", seed), registry) == ()


@pytest.mark.parametrize(("control", "value", "after"), [("increment", 2**32 - 1, 2**32 - 1), ("decrement", 0, 0)])
def test_a_seed_stays_at_the_end_of_its_range(registry: Registry, control: str, value: int, after: int) -> None:
    assert only(flux(registry, control), registry).after(value) == after


def test_a_seed_at_random_is_another_one_within_its_range(registry: Registry) -> None:
    seed = only(flux(registry, "randomize"), registry)
    assert (seed.least, seed.most) == (0, 2**32 - 1)
    found = {seed.after(3) for _ in range(200)}
    assert len(found) == 200
    assert all(0 <= value < 2**32 for value in found)


def flux(registry: Registry, control: str) -> Workflow:
    values = ["flux-schnell", "a fox", 0.1, False, 256, 256, "16:9", 0, 0, 2, 7, control, 2, False, False, 1]
    nodes = [node(1, "FluxImagine", values), node(2, "SaveImage", ["x"], slot("images", "IMAGE", 1))]
    return read_workflow(json.dumps(drawing(nodes, [[1, 1, 0, 2, 0, "IMAGE"]])), registry)


def test_the_value_of_a_primitive_moves_within_the_range_of_what_it_is_for(registry: Registry) -> None:
    workflow = flux(registry, "fixed")
    ui = json.loads(json.dumps(workflow.ui))
    for kind, name in (("PrimitiveNode", ("1", "seed")), ("PrimitiveInt", ("7", "value"))):
        primitive = node(7, kind, [42, "randomize"], outputs=[slot("INT", "INT")])
        ui["nodes"][0]["inputs"] = [slot("seed", "INT", 3, "seed")]
        links = [*ui["links"], [3, 7, 0, 1, 0, "INT"]]
        changed = ui | {"nodes": [*ui["nodes"][:2], primitive], "links": links}
        read = read_workflow(json.dumps(changed), registry)
        seed = only(read, registry)
        assert (seed.places, seed.saved, seed.least, seed.most) == ((name,), 42, 0, 2**32 - 1)
        moved = with_seeds(read, {seed: 43}, registry).ui
        assert moved is not None
        assert moved["nodes"][2]["widgets_values"] == [43, "randomize"]


def test_a_primitive_that_stays_holds_a_seed_that_would_move(registry: Registry) -> None:
    primitive = node(7, "PrimitiveNode", [42, "fixed"], outputs=[slot("INT", "INT")])
    colour = node(1, "Colour", [5, "randomize", "blue", 3], slot("seed", "INT", 2, "seed"))
    links = [*LINK, [2, 7, 0, 1, 0, "INT"]]
    workflow = read_workflow(json.dumps(drawing([colour, show(1), primitive], links)), registry)
    assert workflow.nodes["1"].inputs["seed"] == 42
    assert moving_seeds(workflow, registry) == ()


def inside(*hosts: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Draw nodes that stand for one subgraph, with a node in it whose seed moves."""
    colour = node(5, "Colour", [5, "increment", "blue", 3], slot("seed", "INT", 2, "seed"))
    sub = drawing([colour], [link(1, 5, 0, -20, 0), link(2, -10, 0, 5, 0)], id="sub")
    sub |= {"inputs": [{"name": "seed", "type": "INT"}], "outputs": [{"name": "image", "type": "IMAGE"}]}
    shows = [show(id_, 20 + id_) for id_ in range(1, len(hosts) + 1)]
    links = [[id_, host["id"], 0, 20 + id_, 0, "IMAGE"] for id_, host in enumerate(hosts, 1)]
    return drawing([*hosts, *shows], links, definitions={"subgraphs": [sub]}, **more)


def host(id_: int, values: Any = None, **properties: Any) -> dict[str, Any]:
    return node(id_, "sub", values, outputs=[slot("image", "IMAGE")], properties=properties)


def test_a_seed_in_a_subgraph_moves_and_so_does_the_value_that_stands_outside(registry: Registry) -> None:
    for values in ([40], [41]):
        workflow = read_workflow(json.dumps(inside(host(1, values))), registry)
        seed = only(workflow, registry)
        assert (seed.places, seed.control, seed.saved) == ((("1:5", "seed"),), "increment", values[0])
        moved = with_seeds(workflow, {seed: 99}, registry)
        assert moved.nodes["1:5"].inputs["seed"] == 99
        assert read_workflow(json.dumps(moved.ui), registry).nodes["1:5"].inputs["seed"] == 99


def test_each_use_of_a_subgraph_with_a_value_of_its_own_moves_by_itself(registry: Registry) -> None:
    workflow = read_workflow(json.dumps(inside(host(1, [40]), host(2, [50]))), registry)
    seeds = moving_seeds(workflow, registry)
    assert sorted((seed.saved, seed.after(seed.saved)) for seed in seeds) == [(40, 41), (50, 51)]
    moved = with_seeds(workflow, {seed: seed.after(seed.saved) for seed in seeds}, registry)
    again = read_workflow(json.dumps(moved.ui), registry)
    assert (again.nodes["1:5"].inputs["seed"], again.nodes["2:5"].inputs["seed"]) == (41, 51)


def test_a_seed_that_two_uses_share_moves_in_both_though_only_one_runs(registry: Registry) -> None:
    document = inside(host(1), host(2))
    document["nodes"] = [each for each in document["nodes"] if each.get("inputs") != [slot("image", "IMAGE", 22)]]
    document["links"] = document["links"][:1]
    workflow = read_workflow(json.dumps(document), registry)
    seed = only(workflow, registry)
    moved = with_seeds(workflow, {seed: 6}, registry)
    assert moved.ui is not None
    assert read_workflow(json.dumps(moved.ui), registry).nodes["1:5"].inputs["seed"] == 6


def test_a_choice_that_stands_on_the_node_of_a_subgraph_goes_before_the_inner_one(registry: Registry) -> None:
    proxies = [["5", "seed"], ["5", "control_after_generate"]]
    workflow = read_workflow(json.dumps(inside(host(1, [40, "decrement"], proxyWidgets=proxies))), registry)
    assert only(workflow, registry).control == "decrement"
    fixed = read_workflow(json.dumps(inside(host(1, [40, "fixed"], proxyWidgets=proxies))), registry)
    assert moving_seeds(fixed, registry) == ()


def test_a_seed_that_is_set_by_hand_does_not_move(registry: Registry) -> None:
    workflow = seeded(registry, "randomize").with_values({"seed": 5}, registry)
    assert moving_seeds(workflow, registry) == ()


def test_a_seed_that_no_output_needs_does_not_move(registry: Registry) -> None:
    nodes = [node(1, "Colour", [5, "increment", "blue", 3]), node(9, "Show", [])]
    assert moving_seeds(read_workflow(json.dumps(drawing(nodes)), registry), registry) == ()


def test_nodes_in_the_api_format_have_no_choice(registry: Registry) -> None:
    assert moving_seeds(read_workflow(json.dumps(API), registry), registry) == ()


def test_an_image_moves_the_seed_that_ran(registry: Registry) -> None:
    ran = seeded(registry, "increment").with_values({"seed": 77}, registry)
    ui = seeded(registry, "increment").ui
    data = png(prompt=json.dumps(ran.to_api()), workflow=json.dumps(ui))
    seed = only(read_workflow(data, registry), registry)
    assert (seed.saved, seed.after(seed.saved)) == (77, 78)


def history(tmp_path: Path, file: str = "a.json", service: str = "sandbox") -> SeedHistory:
    return SeedHistory(tmp_path / "home", service=service, file=tmp_path / file)


def run(history_: SeedHistory, seed: MovingSeed, *, well: bool = True) -> tuple[int, str]:
    taken = history_.take([seed])
    history_.end(taken, well=well)
    return taken[0].value, taken[0].why


def test_the_first_run_takes_what_the_file_holds_and_each_later_one_the_next(
    registry: Registry, tmp_path: Path
) -> None:
    seed = only(seeded(registry, "increment"), registry)
    found = [run(history(tmp_path), seed) for _ in range(3)]
    assert found == [(5, "saved"), (6, "next"), (7, "next")]


def test_each_file_and_each_service_has_its_own_series(registry: Registry, tmp_path: Path) -> None:
    seed = only(seeded(registry, "increment"), registry)
    run(history(tmp_path), seed)
    assert run(history(tmp_path, "b.json"), seed) == (5, "saved")
    assert run(history(tmp_path, service="https://example.org"), seed) == (5, "saved")


def test_another_seed_in_the_file_begins_anew(registry: Registry, tmp_path: Path) -> None:
    run(history(tmp_path), only(seeded(registry, "increment"), registry))
    changed = only(seeded(registry, "increment", 50), registry)
    assert [run(history(tmp_path), changed) for _ in range(2)] == [(50, "saved"), (51, "next")]


def test_a_run_that_did_not_end_well_is_given_the_same_seed_again(registry: Registry, tmp_path: Path) -> None:
    seed = only(seeded(registry, "randomize"), registry)
    run(history(tmp_path), seed)
    value, _ = run(history(tmp_path), seed, well=False)
    assert [run(history(tmp_path), seed, well=False) for _ in range(2)] == [(value, "again")] * 2
    assert run(history(tmp_path), seed) == (value, "again")
    assert run(history(tmp_path), seed)[0] != value


def test_a_run_that_was_killed_is_given_the_same_seed_again(registry: Registry, tmp_path: Path) -> None:
    seed = only(seeded(registry, "increment"), registry)
    history(tmp_path).take([seed])
    with sqlite3.connect(tmp_path / "home" / "seeds.sqlite3") as database:
        database.execute("UPDATE seeds SET since = '2020-01-01T00:00:00+00:00'")
    database.close()
    assert run(history(tmp_path), seed) == (5, "again")


def test_runs_side_by_side_take_different_seeds(registry: Registry, tmp_path: Path) -> None:
    seed = only(seeded(registry, "increment"), registry)
    first, second = history(tmp_path).take([seed]), history(tmp_path).take([seed])
    assert [first[0].value, second[0].value] == [5, 6]
    history(tmp_path).end(first, well=True)
    history(tmp_path).end(second, well=True)
    assert run(history(tmp_path), seed) == (7, "next")


def test_seeds_beyond_what_a_database_holds_are_kept(registry: Registry, tmp_path: Path) -> None:
    seed = only(seeded(registry, "increment", 2**64 - 2), registry)
    assert [run(history(tmp_path), seed)[0] for _ in range(3)] == [2**64 - 2, 2**64 - 1, 2**64]


def test_a_home_that_cannot_be_written_is_one_sentence(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file in its place")
    with pytest.raises(StorageError, match="--keep-seeds"):
        history(tmp_path).take([only(seeded(registry, "increment"), registry)])
