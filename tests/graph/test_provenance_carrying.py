"""Image files that are made to carry texts keep every pixel."""

from __future__ import annotations

import io
import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from flux_nodes.core.errors import InvalidImage, TooManyPixels
from flux_nodes.core.images import MAX_PIXELS
from flux_nodes.core.xmp import COMPOSITE, KEYWORD, TRAINED, packet, source_type
from flux_nodes.graph.carry import carrying
from flux_nodes.graph.embedded import texts as embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXTS = {"prompt": '{"1": {}}', "workflow": '{"nodes": []}', "flux_nodes": '{"nodes": {}}'}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def noise(mode: str = "RGB", size: tuple[int, int] = (17, 11)) -> Image.Image:
    """A picture in which no two neighbours are alike."""
    chance = np.random.default_rng(5)
    if mode == "I;16":
        return Image.fromarray(chance.integers(0, 65536, size[::-1], dtype=np.uint16))
    pixels = chance.integers(0, 256, (*size[::-1], 4), dtype=np.uint8)
    if mode == "P":
        return Image.fromarray(pixels[..., :3]).quantize(200)
    return Image.fromarray(pixels, "RGBA").convert(mode)


def written(image: Image.Image, form: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            data[at + 4 : at + 8] + body
        )
        yield data[at + 4 : at + 8], body
        at += 12 + length


def chunk(kind: bytes, body: bytes) -> bytes:
    target = io.BytesIO()
    PngImagePlugin.putchunk(target, kind, body)
    return target.getvalue()


def with_chunks(data: bytes, *more: bytes) -> bytes:
    """A PNG with more chunks behind its header."""
    end = len(SIGNATURE) + 25
    return data[:end] + b"".join(more) + data[end:]


def test_a_png_keeps_every_chunk_byte_for_byte_and_gains_the_texts_before_its_pixels() -> None:
    sixteen_bits = written(noise("I;16"), "PNG", icc_profile=PROFILE)
    gamma = chunk(b"gAMA", (45455).to_bytes(4, "big"))
    before = with_chunks(sixteen_bits, gamma, chunk(b"tEXt", b"Author\0somebody"))

    after = list(chunks(carrying(before, TEXTS)))

    named = [body.partition(b"\0")[0].decode() for kind, body in after if kind == b"tEXt"]
    assert named == ["Author", *TEXTS]
    kept = [(kind, body) for kind, body in after if body.partition(b"\0")[0].decode("latin-1") not in TEXTS]
    assert kept == list(chunks(before))
    kinds = [kind for kind, _ in after]
    assert kinds.index(b"IDAT") == len(kinds) - 1 - kinds[::-1].index(b"tEXt") + 1


def test_texts_of_the_same_names_are_replaced_however_they_were_written() -> None:
    old = (
        chunk(b"tEXt", b"prompt\0old"),
        chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"old")),
        chunk(b"iTXt", b"flux_nodes\0\0\0\0\0old"),
        chunk(b"comf", b"prompt\0old"),
    )

    once = carrying(with_chunks(written(noise(), "PNG"), *old), dict.fromkeys(TEXTS, "older"))
    twice = carrying(once, TEXTS)

    assert opened(twice).info == TEXTS
    assert twice == carrying(with_chunks(written(noise(), "PNG"), *old), TEXTS)


def test_a_manifest_stays_behind_wherever_it_is_and_however_often() -> None:
    plain, manifest = written(noise(), "PNG"), chunk(b"caBX", b"\0\0\0\x08jumb")
    signed = with_chunks(plain, manifest, manifest)[:-12] + manifest + plain[-12:]

    assert carrying(signed, TEXTS) == carrying(plain, TEXTS)


def test_xmp_is_written_as_xmp_is_looked_for_and_replaces_what_was_there() -> None:
    once = carrying(written(noise(), "PNG"), {KEYWORD: packet(COMPOSITE)})
    twice = carrying(once, {KEYWORD: packet(TRAINED)})

    assert [kind for kind, body in chunks(twice) if body.startswith(KEYWORD.encode())] == [b"iTXt"]
    assert (source_type(once), source_type(twice)) == (COMPOSITE, TRAINED)


@given(st.text())
def test_any_words_are_read_back_as_they_were(words: str) -> None:
    told = json.dumps({"prompt": words})

    assert embedded(carrying(written(noise(), "PNG"), {"prompt": told})) == {"prompt": told}


@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("JPEG", "RGB", {"quality": 80, "icc_profile": PROFILE}),
        ("JPEG", "L", {}),
        ("WEBP", "RGB", {"lossless": True, "icc_profile": PROFILE}),
        ("WEBP", "RGBA", {"lossless": True, "exact": True}),
        ("BMP", "RGB", {}),
        ("GIF", "P", {"transparency": 3}),
        ("TIFF", "I;16", {}),
        ("TIFF", "LA", {}),
        ("TIFF", "1", {}),
    ],
)
def test_another_format_becomes_a_png_of_the_same_pixels_and_profile(
    form: str, mode: str, options: dict[str, Any]
) -> None:
    before = written(noise(mode), form, **options)

    after = opened(carrying(before, TEXTS))

    assert (after.format, after.info["prompt"]) == ("PNG", TEXTS["prompt"])
    assert after.convert("RGBA").tobytes() == opened(before).convert("RGBA").tobytes()
    assert after.mode == opened(before).mode
    assert after.info.get("icc_profile") == options.get("icc_profile")


def test_colours_that_a_png_cannot_hold_become_rgb_without_the_profile_of_the_others() -> None:
    before = written(noise("CMYK"), "TIFF", icc_profile=PROFILE)

    after = opened(carrying(before, TEXTS))

    assert (after.mode, after.info.get("icc_profile")) == ("RGB", None)
    assert after.tobytes() == opened(before).convert("RGB").tobytes()


def test_whole_numbers_of_32_bits_become_grey_of_16() -> None:
    before = written(noise("I;16").convert("I"), "TIFF")

    assert opened(carrying(before, TEXTS)).tobytes() == noise("I;16").tobytes()


def test_a_photo_lying_on_its_side_stands_upright_as_it_is_shown() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    before = written(noise(), "JPEG", exif=exif)

    after = opened(carrying(before, TEXTS))

    assert after.size == (11, 17)
    assert after.tobytes() == opened(before).transpose(Image.Transpose.ROTATE_270).tobytes()
    assert "exif" not in after.info


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no image",
        SIGNATURE,
        written(noise(), "PNG")[:-20],
        written(noise(), "JPEG")[:200],
        SIGNATURE + chunk(b"IEND", b""),
        SIGNATURE + b"\xff\xff\xff\xffIDAT",
    ],
)
def test_what_is_no_whole_image_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        carrying(data, TEXTS)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    header = struct.pack("<IiiHHIIiiII", 40, MAX_PIXELS, 2, 1, 24, 0, 0, 0, 0, 0, 0)
    bomb = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header

    with pytest.raises(TooManyPixels):
        carrying(bomb, TEXTS)
