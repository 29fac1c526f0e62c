from __future__ import annotations

import io
import json
import zlib
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from flux_nodes.core.errors import InvalidWorkflow
from flux_nodes.core.images import encode
from flux_nodes.graph import Link, Registry, embedded, read_workflow

if TYPE_CHECKING:
    from pathlib import Path

API: dict[str, Any] = {
    "3": {"class_type": "Colour", "inputs": {"seed": 7, "tint": "green"}, "_meta": {"title": "Mine"}},
    "4": {"class_type": "Show", "inputs": {"image": ["3", 0]}},
}
UI: dict[str, Any] = {
    "nodes": [
        {
            "id": 3,
            "type": "Colour",
            "mode": 0,
            "outputs": [{"name": "image", "type": "IMAGE", "links": [1]}],
            "widgets_values": [7, "fixed", "green", 2],
        },
        {"id": 4, "type": "Show", "mode": 0, "inputs": [{"name": "image", "type": "IMAGE", "link": 1}]},
    ],
    "links": [[1, 3, 0, 4, 0, "IMAGE"]],
    "version": 0.4,
}


def png(**texts: str) -> bytes:
    return encode(np.zeros((2, 2, 3), np.float32), text=texts)


def test_the_api_format_is_read_with_titles_values_and_links(registry: Registry) -> None:
    workflow = read_workflow(json.dumps(API), registry)
    assert workflow.nodes["3"].title == "Mine"
    assert workflow.nodes["3"].inputs == {"seed": 7, "tint": "green"}
    assert workflow.nodes["4"].title == "Show"
    assert workflow.nodes["4"].inputs == {"image": Link("3", 0)}
    assert workflow.ui is None


def test_what_is_written_for_comfyui_reads_back_the_same(registry: Registry) -> None:
    API["3"]["inputs"]["extra"] = {"__value__": [1, 2]}
    workflow = read_workflow(json.dumps(API), registry)
    assert workflow.nodes["3"].inputs["extra"] == [1, 2]
    assert workflow.to_api()["3"] == API["3"]
    assert read_workflow(json.dumps(workflow.to_api()), registry) == workflow
    del API["3"]["inputs"]["extra"]


def test_a_file_with_a_byte_order_mark_is_read(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "w.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(API).encode())
    assert set(read_workflow(path, registry).nodes) == {"3", "4"}


def test_the_saved_format_is_converted_and_its_drawing_kept(registry: Registry) -> None:
    workflow = read_workflow(json.dumps(UI).encode(), registry)
    assert workflow.nodes["3"].inputs == {"seed": 7, "tint": "green", "size": 2}
    assert workflow.nodes["4"].inputs["image"] == Link("3", 0)
    assert workflow.ui == UI


def test_of_a_png_the_prompt_runs_and_the_drawing_is_kept(registry: Registry) -> None:
    changed = json.loads(json.dumps(API))
    changed["3"]["inputs"]["seed"] = 99
    workflow = read_workflow(png(prompt=json.dumps(changed), workflow=json.dumps(UI)), registry)
    assert workflow.nodes["3"].inputs["seed"] == 99
    assert workflow.ui == UI


def test_a_png_with_only_a_drawing_is_converted(registry: Registry) -> None:
    workflow = read_workflow(png(workflow=json.dumps(UI)), registry)
    assert workflow.nodes["3"].inputs["seed"] == 7


@pytest.mark.parametrize("drawing", ["{", "[]", '{"nodes": [7], "links": []}'])
def test_a_png_whose_drawing_is_broken_still_runs(registry: Registry, drawing: str) -> None:
    workflow = read_workflow(png(prompt=json.dumps(API), workflow=drawing), registry)
    assert workflow.nodes["3"].inputs["seed"] == 7
    assert workflow.ui is None


def test_text_that_is_not_ascii_survives_in_a_png(registry: Registry) -> None:
    words = json.dumps({"1": {"class_type": "Show", "inputs": {"text": "Fuchs 狐"}}}, ensure_ascii=False)
    assert read_workflow(png(prompt=words), registry).nodes["1"].inputs["text"] == "Fuchs 狐"


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt", b"comf"])
def test_every_kind_of_png_text_is_read(registry: Registry, kind: bytes) -> None:
    text = json.dumps(API).encode()
    bodies = {b"zTXt": b"\0" + zlib.compress(text), b"iTXt": b"\1\0\0\0" + zlib.compress(text)}
    image = png()
    data = image[:33] + chunk(kind, b"prompt\0" + bodies.get(kind, text)) + image[33:]
    assert set(read_workflow(data, registry).nodes) == {"3", "4"}


@pytest.mark.parametrize("form", ["WEBP", "JPEG"])
def test_webp_and_jpeg_carry_a_workflow_in_their_exif(registry: Registry, form: str) -> None:
    exif = Image.Exif()
    exif[0x0110] = "prompt:" + json.dumps(API)
    exif[0x010F] = "workflow:" + json.dumps(UI)
    target = io.BytesIO()
    Image.new("RGB", (4, 4)).save(target, form, exif=exif)
    workflow = read_workflow(target.getvalue(), registry)
    assert workflow.nodes["3"].inputs["seed"] == 7
    assert workflow.ui == UI


def test_nan_is_read_as_null_for_old_comfyui_files_hold_it(registry: Registry) -> None:
    text = '{"1": {"class_type": "Show", "inputs": {"text": "x"}, "is_changed": [NaN]}}'
    assert read_workflow(text, registry).nodes["1"].inputs == {"text": "x"}


DEEP = "[" * 150 + "]" * 150
BROKEN = {
    "nothing": "",
    "no JSON": "{",
    "a number": "3",
    "a list": "[]",
    "an object of something else": '{"name": "x"}',
    "a node without a type": '{"1": {"class_type": "Show", "inputs": {}}, "2": {"inputs": {}}}',
    "inputs that are a list": '{"1": {"class_type": "Show", "inputs": {}}, "2": {"class_type": "Show", "inputs": []}}',
    "a drawn node without an id": '{"nodes": [{"type": "Show"}], "links": []}',
    "a drawn node that is a number": '{"nodes": [7], "links": []}',
    "a wire without ends": '{"nodes": [], "links": [[1, 2]]}',
    "a wire to nowhere": '{"nodes": [], "links": [[1, 2, "x", 3, 0, "*"]]}',
    "depth": f'{{"nodes": [], "links": [], "extra": {DEEP}}}',
    "great depth": "[" * 200_000,
    "a number too long to read": '{"nodes": ' + "9" * 5000 + "}",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_workflow_is_refused_with_what_was_expected(registry: Registry, text: str) -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        read_workflow(text, registry)
    assert caught.value.faults
    assert all(fault.allowed for fault in caught.value.faults)


def test_every_unreadable_node_is_named_at_once(registry: Registry) -> None:
    text = '{"1": {"class_type": "Show", "inputs": {}}, "2": {}, "3": []}'
    with pytest.raises(InvalidWorkflow) as caught:
        read_workflow(text, registry)
    assert [fault.where for fault in caught.value.faults] == ["node 2", "node 3"]


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff garbage"])
def test_bytes_that_carry_no_workflow_are_refused(registry: Registry, data: bytes) -> None:
    with pytest.raises(InvalidWorkflow):
        read_workflow(data, registry)


def test_a_picture_without_a_workflow_says_so(registry: Registry) -> None:
    with pytest.raises(InvalidWorkflow, match="without a workflow"):
        read_workflow(png(), registry)


def test_a_text_that_unpacks_to_gigabytes_is_not_unpacked(registry: Registry) -> None:
    image = png()
    bomb = zlib.compress(json.dumps(API).encode() + b" " * (40 * 2**20), 9)
    with pytest.raises(InvalidWorkflow):
        read_workflow(image[:33] + chunk(b"zTXt", b"prompt\0\0" + bomb) + image[33:], registry)


def test_a_missing_file_is_named(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(InvalidWorkflow, match=r"none\.json"):
        read_workflow(tmp_path / "none.json", registry)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-30, 30) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@given(
    nodes=st.lists(
        json_values
        | st.fixed_dictionaries(
            {"id": st.integers(0, 3), "type": st.sampled_from(["Colour", "Show", "Reroute", "sub", "Odd"])},
            optional={
                "mode": json_values,
                "inputs": st.lists(st.fixed_dictionaries({"name": json_values, "link": st.integers(0, 3)})),
                "widgets_values": json_values,
                "properties": st.fixed_dictionaries({"proxyWidgets": json_values}),
            },
        ),
        max_size=4,
    ),
    links=st.lists(st.lists(st.integers(-20, 4), min_size=5, max_size=6) | json_values, max_size=4),
    inside=json_values,
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_no_drawing_ends_in_anything_but_a_workflow_or_a_refusal(
    registry: Registry, nodes: list[Any], links: list[Any], inside: Any
) -> None:
    sub = {"id": "sub", "nodes": nodes[:2], "links": [], "inputs": inside, "outputs": inside}
    data = {"nodes": nodes, "links": links, "definitions": {"subgraphs": [sub, inside]}}
    try:
        workflow = read_workflow(json.dumps(data), registry)
    except InvalidWorkflow:
        return
    json.dumps(workflow.to_api())


def test_a_small_image_whose_texts_unpack_to_very_much_is_read_no_further_than_it_must() -> None:
    body = b"prompt\0\0" + zlib.compress(b"\0" * (32 * 2**20), 9)
    chunk = len(body).to_bytes(4, "big") + b"zTXt" + body + bytes(4)
    begun = process_time()
    embedded.texts(b"\x89PNG\r\n\x1a\n" + chunk * 40)
    assert process_time() - begun < 1.5
