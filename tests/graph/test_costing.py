from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flux_nodes.graph import Folders, Registry, cost, read_workflow, stock_nodes
from flux_nodes.nodes import NODES

WORKFLOWS = Path(__file__).parents[2] / "workflows"
REGISTRY = Registry([*NODES, *stock_nodes(Folders(input=WORKFLOWS, output=WORKFLOWS, temp=WORKFLOWS))])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("text_to_image", "1"),
        ("five_models", "5"),
        ("variations", "4"),
        ("prompt_list", "at least 1"),
        ("image_to_image", "at least 1"),
    ],
)
def test_a_workflow_tells_how_many_generations_it_would_start(name: str, told: str) -> None:
    assert str(cost(read_workflow(WORKFLOWS / f"{name}.json", REGISTRY), REGISTRY)) == told


def graph(**inputs: Any) -> str:
    given = {"model": "flux-dev", "prompt": "x", **inputs}
    nodes = {
        "1": {"class_type": "FluxImagine", "inputs": given},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
        "3": {"class_type": "FluxImagine", "inputs": given},
        "4": {"class_type": "FluxPromptList", "inputs": {"prompts": "a\nb"}},
        "5": {"class_type": "PrimitiveString", "inputs": {"value": ["4", 0]}},
        "6": {"class_type": "PrimitiveInt", "inputs": {"value": 3}},
    }
    return json.dumps(nodes)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [({}, "1"), ({"count": 7}, "7"), ({"count": ["6", 0]}, "at least 1"), ({"prompt": ["5", 0]}, "at least 1")],
)
def test_what_no_output_needs_is_not_counted_and_a_list_may_bring_more(inputs: dict[str, Any], told: str) -> None:
    assert str(cost(read_workflow(graph(**inputs), REGISTRY), REGISTRY)) == told
