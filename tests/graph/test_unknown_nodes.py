from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flux_nodes.core.errors import InvalidWorkflow
from flux_nodes.graph import check, read_workflow, require
from tests.graph.drawings import drawing, node

if TYPE_CHECKING:
    from flux_nodes.graph import Registry


def words(registry: Registry, document: Any) -> str:
    try:
        require(read_workflow(json.dumps(document), registry), registry)
    except InvalidWorkflow as error:
        return str(error)
    raise AssertionError("it can run")


def test_a_graph_whose_saver_is_unknown_has_that_one_fault(registry: Registry) -> None:
    graph = drawing([node(1, "Colour", [1, "fixed", "red", 4]), node(2, "SaveImageAdvanced", ["p"])])
    (fault,) = check(read_workflow(json.dumps(graph), registry), registry)
    assert fault.where == 'node 2 "SaveImageAdvanced"'
    assert "SaveImage," in fault.allowed or fault.allowed.endswith("Show")


def test_unknown_types_are_named_once_with_their_nodes_and_packs(registry: Registry) -> None:
    of_pack = {"properties": {"cnr_id": "comfyui-kjnodes", "ver": "1.0"}}
    graph = drawing(
        [
            *(node(id_, "KSampler", properties={"cnr_id": "comfy-core"}) for id_ in range(1, 8)),
            node(8, "ImageResizeKJv2", **of_pack),
            node(9, "UpscaleModelLoader"),
            node(10, "Show"),
        ]
    )
    (fault,) = check(read_workflow(json.dumps(graph), registry), registry)
    assert "this graph is for ComfyUI" in str(fault) or "is for ComfyUI: 9 of its nodes" in str(fault)
    assert "'KSampler' of ComfyUI itself (nodes 1, 2, 3, 4 and 3 more)" in fault.problem
    assert "'ImageResizeKJv2' of the pack comfyui-kjnodes (node 8)" in fault.problem
    assert "'UpscaleModelLoader' (node 9)" in fault.problem
    assert fault.problem.count("KSampler") == 1


def test_thousands_of_unknown_nodes_are_told_in_a_few_kilobytes(registry: Registry) -> None:
    long = "x" * 5_000
    kinds = {str(id_): {"class_type": f"{id_}{long}", "inputs": {}} for id_ in range(3_000)}
    assert len(words(registry, kinds)) < 4_000
    assert "2,985 more types" in words(registry, kinds)


def test_thousands_of_faults_are_told_in_a_few_kilobytes(registry: Registry) -> None:
    shows = {
        str(id_): {"class_type": "Show", "inputs": {"number": "x" * 2_000}, "_meta": {"title": "T\n" * 2_000}}
        for id_ in range(2_000)
    }
    said = words(registry, shows)
    assert len(said) < 5_000
    assert said.endswith(" more")


def test_a_circle_of_thousands_of_links_is_told_in_short(registry: Registry) -> None:
    count = 3_000
    links = [[str((at + 1) % count), 0] for at in range(count)]
    nodes = {
        str(at): {"class_type": "ImageBatch", "inputs": {"image1": link, "image2": link}}
        for at, link in enumerate(links)
    }
    said = words(registry, {**nodes, "x": {"class_type": "Show", "inputs": {"image": ["0", 0]}}})
    assert "circle" in said
    assert len(said) < 1_000


def test_names_out_of_a_file_are_told_on_one_line(registry: Registry) -> None:
    said = words(registry, {"1\n2": {"class_type": "A\nB", "inputs": {}, "_meta": {"title": "one\n\ttwo"}}})
    assert "node 1 2 \"one two\": there is no node 'A B' here: this graph is for ComfyUI" in said
