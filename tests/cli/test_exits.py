from __future__ import annotations

from typing import Any, cast

import pytest

from flux_nodes.cli.complaint import error_document
from flux_nodes.cli.exits import Interrupted, exit_code, gravest
from flux_nodes.core.errors import (
    GenerationFailed,
    ImageUnavailable,
    KeyRefused,
    MissingKey,
    PartlyFailed,
    ServiceUnreachable,
    StillRunning,
    StorageError,
    SubmitUnconfirmed,
    UnknownGeneration,
)
from flux_nodes.graph import Failed, NodeFailed, WorkflowNode

NODE = WorkflowNode(id="4", class_type="FluxImagine", title="Painter", inputs={})
FAILED = GenerationFailed("failed", generation_id="g-1", task_id=None)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FAILED, 1),
        (ImageUnavailable("not there"), 1),
        (MissingKey("no key"), 2),
        (UnknownGeneration("unknown"), 2),
        (StorageError("full"), 2),
        (KeyRefused("refused", status=401), 3),
        (ServiceUnreachable("down"), 3),
        (SubmitUnconfirmed("lost"), 3),
        (StillRunning(["g-1"]), 4),
        (Interrupted(["g-1"]), 130),
    ],
)
def test_every_cause_has_its_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_of_several_errors_the_gravest_counts() -> None:
    running, refused, unknown = StillRunning(["g-1"]), KeyRefused("refused", status=401), UnknownGeneration("unknown")
    assert gravest([]) is None
    assert gravest([running, FAILED]) is FAILED
    assert gravest([FAILED, refused, running]) is refused
    assert gravest([refused, unknown, FAILED]) is unknown


def test_of_several_generations_that_failed_in_one_node_the_first_counts() -> None:
    partly = PartlyFailed({"seed 2": FAILED, "seed 3": KeyRefused("refused", status=401)}, stored=["g-9"])
    assert exit_code(partly) == 1
    assert exit_code(NodeFailed([Failed(NODE, partly), Failed(NODE, UnknownGeneration("unknown"))])) == 2


def test_the_document_of_an_error_tells_all_that_it_is_made_of() -> None:
    partly = PartlyFailed({"seed 2": FAILED, "seed 3": KeyRefused("refused", status=401)}, stored=["g-9"])
    document = error_document(NodeFailed([Failed(NODE, partly)]))
    assert document["ids"] == ["g-1"]
    (node,) = cast("list[dict[str, Any]]", document["nodes"])
    assert (node["node"], node["title"], node["type"], node["stored"]) == ("4", "Painter", "PartlyFailed", ["g-9"])
    assert [error["type"] for error in node["errors"]] == ["GenerationFailed", "KeyRefused"]


def test_an_interruption_names_what_goes_on_and_says_that_collecting_is_free() -> None:
    words = str(Interrupted(["g-1", "g-2"]))
    assert "flux-nodes wait g-1 g-2" in words
    assert "free" in words
    assert "wait" not in str(Interrupted([]))
