"""Graphs in other encodings, inside larger documents, and in images beside texts that are no graph."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image

from flux_nodes.core.errors import InvalidWorkflow
from flux_nodes.graph import Registry, read_workflow
from tests.graph.test_reading import API, UI, chunk, png

GREEN = {"1": {"class_type": "Show", "inputs": {"text": "im Grünen"}}}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_graph_is_read_in_every_form_of_unicode(registry: Registry, encoding: str) -> None:
    data = json.dumps(GREEN, ensure_ascii=False).encode(encoding)
    assert read_workflow(data, registry).nodes["1"].inputs["text"] == "im Grünen"


@pytest.mark.parametrize("mark", [b"\xfe\xff", b"\xff\xfe"], ids=["big-endian", "little-endian"])
def test_a_byte_order_mark_tells_the_order_of_utf_16(registry: Registry, mark: bytes) -> None:
    body = json.dumps(API).encode("utf-16-be" if mark == b"\xfe\xff" else "utf-16-le")
    assert set(read_workflow(mark + body, registry).nodes) == {"3", "4"}


@pytest.mark.parametrize(("encoding", "text"), [("latin-1", "im Grünen"), ("gbk", "狐"), ("shift-jis", "狐の絵")])
def test_another_encoding_is_said_to_be_one(registry: Registry, encoding: str, text: str) -> None:
    graph = json.dumps({"1": {"class_type": "Show", "inputs": {"text": text}}}, ensure_ascii=False)
    with pytest.raises(InvalidWorkflow, match=r"another encoding.*Latin-1.*save it as UTF-8"):
        read_workflow(graph.encode(encoding), registry)


def test_half_a_character_of_utf_16_is_said_to_be_damage(registry: Registry) -> None:
    text = json.dumps({"1": {"class_type": "Show", "inputs": {"text": "half \ud83d"}}}, ensure_ascii=False)
    with pytest.raises(InvalidWorkflow, match="UTF-16-LE that is damaged at byte"):
        read_workflow(text.encode("utf-16-le", "surrogatepass"), registry)


@pytest.mark.parametrize("data", [b"", b" \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_said_to_be_empty(registry: Registry, data: bytes) -> None:
    with pytest.raises(InvalidWorkflow, match="is empty"):
        read_workflow(data, registry)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"GIF89a\x01\x00", b"PK\x03\x04\xff\xff", b"\0\0\0\x20ftypisom"])
def test_bytes_of_another_kind_are_no_text(registry: Registry, data: bytes) -> None:
    with pytest.raises(InvalidWorkflow, match=r"neither text nor a PNG|is no JSON"):
        read_workflow(data, registry)


QUEUED = [4, "9b1c", API, {"extra_pnginfo": {"workflow": UI}, "client_id": "c"}, ["4"]]
ENVELOPES: dict[str, Any] = {
    "a request": {"prompt": API, "client_id": "c"},
    "a request with its drawing": {"prompt": API, "extra_data": {"extra_pnginfo": {"workflow": UI}}},
    "a worker's job": {"input": {"workflow": API}},
    "a worker's job with a drawing": {"input": {"workflow": UI, "images": []}},
    "a worker's job as text": {"input": {"workflow": json.dumps(API), "id": "{x"}},
    "a worker's request": {"id": "x", "input": {"prompt": API, "client_id": "c"}, "webhook": "https://example.org"},
    "what the frontend converts": {"workflow": UI, "output": API},
    "both of an image": {"prompt": json.dumps(API), "workflow": json.dumps(UI)},
    "an entry of the history": {"9b1c": {"prompt": QUEUED, "outputs": {"4": {"images": []}}, "status": {}}},
    "the queue": {"queue_running": [QUEUED], "queue_pending": []},
    "a job": {"id": "9b1c", "workflow": {"prompt": API, "extra_data": {"extra_pnginfo": {"workflow": UI}}}},
    "a list": [UI],
    "JSON in a text": json.dumps(API),
    "the same twice": {"prompt": API, "before": API},
    "a prompt that is unusable beside a drawing": {"prompt": {**API, "5": {}}, "workflow": UI},
    "words beside a drawing": {"prompt": "a fox", "workflow": UI},
}


@pytest.mark.parametrize("document", ENVELOPES.values(), ids=ENVELOPES.keys())
def test_a_graph_is_found_inside_a_larger_document(registry: Registry, document: Any) -> None:
    workflow = read_workflow(json.dumps(document), registry)
    assert workflow.nodes["3"].inputs["seed"] == 7
    assert workflow.nodes["4"].links["image"].node == "3"


def test_a_drawing_beside_the_nodes_that_ran_is_kept_with_them(registry: Registry) -> None:
    changed = json.loads(json.dumps(API))
    changed["3"]["inputs"]["seed"] = 99
    document = {"prompt": changed, "extra_data": {"extra_pnginfo": {"workflow": UI}}}
    workflow = read_workflow(json.dumps(document), registry)
    assert workflow.nodes["3"].inputs["seed"] == 99
    assert workflow.ui == UI
    assert workflow.with_values({"seed": 5}, registry).ui["nodes"][0]["widgets_values"][0] == 5  # type: ignore[index]  # it is there


def test_of_several_graphs_none_is_chosen_and_their_places_are_named(registry: Registry) -> None:
    other = json.loads(json.dumps(API))
    other["3"]["inputs"]["seed"] = 8
    history = {"a": {"prompt": [1, "a", API, {}, []]}, "b": {"prompt": [2, "b", other, {}, []]}}
    with pytest.raises(InvalidWorkflow, match=r"holds 2 graphs \(at \.a\.prompt\[2\], at \.b\.prompt\[2\]\)"):
        read_workflow(json.dumps(history), registry)


def test_a_history_of_hundreds_of_graphs_is_refused_in_few_words(registry: Registry) -> None:
    many = [{"1": {"class_type": "Show", "inputs": {"number": at}}} for at in range(600)]
    with pytest.raises(InvalidWorkflow, match="50 or more graphs") as caught:
        read_workflow(json.dumps({"x" * 10_000: many}), registry)
    assert len(str(caught.value)) < 1_500


@pytest.mark.parametrize(
    "document",
    [{"prompt": "a fox"}, {"prompt_id": "x", "number": 3, "node_errors": {}}, {"graph": {"nodes": [{}]}}, [[]]],
)
def test_a_document_without_a_graph_says_what_was_expected(registry: Registry, document: Any) -> None:
    with pytest.raises(InvalidWorkflow, match=r"holds no nodes\. Allowed: a workflow saved by ComfyUI"):
        read_workflow(json.dumps(document), registry)


USELESS = {
    "words": "a fox in the snow",
    "cut": json.dumps(API)[:40],
    "a list": "[]",
    "text": '"a fox"',
    "a number": "3",
    "an object of something else": '{"seed": 7}',
    "nodes that are none": '{"1": {"class_type": "Show", "inputs": {}}, "2": 3}',
    "nothing": "",
}


def exif(form: str, **texts: str) -> bytes:
    tags = Image.Exif()
    for tag, (name, text) in zip((0x0110, 0x010F), texts.items(), strict=False):
        tags[tag] = f"{name}:{text}"
    target = io.BytesIO()
    Image.new("RGB", (4, 4)).save(target, form, exif=tags)
    return target.getvalue()


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("useless", USELESS.values(), ids=USELESS.keys())
def test_a_good_text_in_an_image_is_taken_beside_one_that_is_useless(
    registry: Registry, form: str, useless: str
) -> None:
    for texts in ({"prompt": useless, "workflow": json.dumps(UI)}, {"prompt": json.dumps(API), "workflow": useless}):
        data = png(**texts) if form == "PNG" else exif(form, **texts)
        assert read_workflow(data, registry).nodes["3"].inputs["seed"] == 7


@pytest.mark.parametrize("packed", [b"\0damaged", b"", b"\0\x78\x9c"])
def test_a_text_that_does_not_unpack_leaves_the_other_one(registry: Registry, packed: bytes) -> None:
    image = png(workflow=json.dumps(UI))
    data = image[:33] + chunk(b"zTXt", b"prompt\0" + packed) + image[33:]
    assert read_workflow(data, registry).nodes["3"].inputs["seed"] == 7


def test_an_image_whose_texts_are_both_useless_says_what_is_wrong_with_each(registry: Registry) -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        read_workflow(png(prompt="a fox", workflow="{"), registry)
    assert [fault.where for fault in caught.value.faults] == [
        "the text `prompt` in the image",
        "the text `workflow` in the image",
    ]


def test_letters_beyond_ascii_in_exif_are_read_as_utf_8(registry: Registry) -> None:
    data = bytearray(exif("JPEG", prompt=json.dumps(GREEN, ensure_ascii=False).replace("ü", "__")))
    at = data.index(b"im Gr__nen")
    data[at : at + 10] = "im Grünen".encode()
    assert read_workflow(bytes(data), registry).nodes["1"].inputs["text"] == "im Grünen"
