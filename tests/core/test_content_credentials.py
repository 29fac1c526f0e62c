"""Whether a file is signed is seen without a library; whether the signature holds is checked with one."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flux_nodes.core.content_credentials import check, has_manifest, is_signed
from flux_nodes.core.xmp import COMPOSITE, KEYWORD, TRAINED, marked, packet, source_type
from tests import signing


def written(form: str, **options: Any) -> bytes:
    pixels = np.random.default_rng(3).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, form, **options)
    return target.getvalue()


FORMS = ["png", "jpeg", "webp"]


@pytest.mark.parametrize("form", FORMS)
def test_a_signature_is_seen_and_holds_until_a_byte_of_the_picture_is_changed(form: str) -> None:
    plain = written(form.upper())
    signed = signing.sign(plain, f"image/{form}")
    at = signed.index({"png": b"IDAT", "jpeg": b"\xff\xda", "webp": b"VP8"}[form]) + 40
    tampered = signed[:at] + bytes([signed[at] ^ 0x55]) + signed[at + 1 :]

    assert [is_signed(each) for each in (plain, signed, tampered)] == [False, True, True]
    assert check(plain).state == "none"
    found = check(signed)
    assert (found.state, found.signer, found.software, found.problems) == (
        "valid",
        signing.SIGNER,
        "pretended-service",
        (),
    )
    assert check(signed, anchors=signing.root()).state == "trusted"
    broken = check(tampered, anchors=signing.root())
    assert (broken.state, broken.problems) == ("invalid", ("assertion.dataHash.mismatch",))


@pytest.mark.parametrize("form", FORMS)
def test_a_signed_file_that_is_cut_is_still_called_signed_and_not_valid(form: str) -> None:
    signed = signing.sign(written(form.upper()), f"image/{form}")
    for size in (len(signed) - 9, len(signed) * 3 // 4):
        assert check(signed[:size]).state in {"invalid", "none"}


def test_other_boxes_of_the_same_kind_are_no_signature() -> None:
    plain = written("JPEG")
    other = b"JP\x00\x01\x00\x00\x00\x01\x00\x00\x00\x30jumb\x00\x00\x00\x28jumdjson\x00\x11\x00\x10" + b"\0" * 20
    segment = b"\xff\xeb" + (len(other) + 2).to_bytes(2, "big") + other

    assert not is_signed(plain[:2] + segment + plain[2:])


def test_a_box_in_an_avif_or_heic_file_is_seen() -> None:
    uuid = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
    kind = b"\0\0\0\x10ftypavif\0\0\0\0"

    assert has_manifest(kind + b"\0\0\0\x1cuuid" + uuid + b"\0\0\0\0")
    assert not has_manifest(kind + b"\0\0\0\x1cuuid" + uuid[::-1] + b"\0\0\0\0")


@pytest.mark.parametrize("form", ["gif", "tiff"])
def test_a_signature_in_any_other_format_is_seen_and_checked(form: str) -> None:
    plain = written(form.upper())
    signed = signing.sign(plain, f"image/{form}")

    assert (is_signed(plain), check(signed).state) == (False, "valid")


@given(st.binary(max_size=200))
def test_no_bytes_whatever_end_in_an_error(tail: bytes) -> None:
    for head in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xeb", b"RIFF\xff\xff\xff\xffWEBP", b"\0\0\0\x01ftyp"):
        source_type(head + tail)
        is_signed(head + tail)


def test_without_the_library_a_signature_is_told_but_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    signed = signing.sign(written("PNG"), "image/png")
    monkeypatch.setitem(sys.modules, "c2pa", None)

    assert check(signed).state == "unchecked"
    assert check(written("PNG")).state == "none"


@pytest.mark.parametrize("form", FORMS)
def test_the_source_type_is_read_from_every_format_that_holds_it(form: str) -> None:
    options: dict[str, Any] = {"xmp": packet(TRAINED).encode()}
    if form == "png":
        from flux_nodes.core.image_chunks import png_info

        options = {"pnginfo": png_info({KEYWORD: packet(TRAINED)})}

    assert source_type(written(form.upper(), **options)) == TRAINED
    assert source_type(written(form.upper())) is None


def with_xmp(text: str) -> bytes:
    return written("WEBP", xmp=text.encode())


OTHERS = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/"
 dcterms:provenance="https://example.com/manifest.c2pa" dc:format="image/webp">
 <Iptc4xmpExt:DigitalSourceType xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">old</Iptc4xmpExt:DigitalSourceType>
 <dc:creator><rdf:Seq><rdf:li>Grüße &amp; Co</rdf:li></rdf:Seq></dc:creator>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


def test_what_a_packet_says_of_other_things_is_kept_and_a_link_to_a_manifest_is_not() -> None:
    before = with_xmp(OTHERS)
    after = marked(before, COMPOSITE)

    assert (source_type(before), source_type(with_xmp(after))) == ("old", COMPOSITE)
    assert "<rdf:li>Grüße &amp; Co</rdf:li>" in after
    assert 'dc:format="image/webp"' in after
    assert "manifest.c2pa" not in after
    assert (is_signed(before), check(before).state) == (True, "elsewhere")
    assert not is_signed(with_xmp(after))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no markup",
        "<a/>",
        "<x:xmpmeta",
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        "<a>" * 5000,
        packet(TRAINED) + " " * 2**20,
    ],
)
def test_a_packet_that_cannot_be_read_is_replaced(text: str) -> None:
    assert marked(with_xmp(text), TRAINED) == packet(TRAINED)
