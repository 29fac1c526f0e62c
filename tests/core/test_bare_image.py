"""Pixels decide: what is beside them refuses no picture, and what is missing of them is noticed."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from flux_nodes.core import images
from flux_nodes.core.errors import InvalidImage

if TYPE_CHECKING:
    from collections.abc import Callable

NOISE = Image.fromarray(np.random.default_rng(3).integers(0, 255, (48, 64, 3), dtype=np.uint8))


def file(form: str, image: Image.Image = NOISE, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def chunk(kind: bytes, body: bytes, *, wrong: bool = False) -> bytes:
    checksum = zlib.crc32(kind + body) ^ wrong
    return len(body).to_bytes(4, "big") + kind + body + checksum.to_bytes(4, "big")


def png(*before: bytes, after: bytes = b"", end: bytes = chunk(b"IEND", b"")) -> bytes:
    """A PNG with chunks between its header and its pixels, and others behind those."""
    whole = file("PNG")
    return whole[:33] + b"".join(before) + whole[33:-12] + after + end


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def jpeg(*before: bytes, **options: Any) -> bytes:
    whole = file("JPEG", **options)
    return whole[:2] + b"".join(before) + whole[2:]


def webp(**options: Any) -> bytes:
    return file("WEBP", lossless=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0", icc_profile=b"x" * 50, **options)


MUCH = zlib.compress(b" " * (2 * 2**20))
TEXT_XMP = b"XML:com.adobe.xmp\0\0\0\0\0"

BESIDE: dict[str, Callable[[], bytes]] = {
    "png zTXt that unpacks to 2 MiB": lambda: png(chunk(b"zTXt", b"workflow\0\0" + MUCH)),
    "png zTXt that unpacks to 2 MiB behind the pixels": lambda: png(after=chunk(b"zTXt", b"workflow\0\0" + MUCH)),
    "png iTXt that unpacks to 2 MiB": lambda: png(chunk(b"iTXt", b"workflow\0\1\0\0\0" + MUCH)),
    "png iCCP that unpacks to 2 MiB": lambda: png(chunk(b"iCCP", b"p\0\0" + MUCH)),
    "png iCCP that is no zlib": lambda: png(chunk(b"iCCP", b"p\0\0nonsense")),
    "png iCCP without a name": lambda: png(chunk(b"iCCP", b"")),
    "png text with a wrong checksum": lambda: png(chunk(b"tEXt", b"Comment\0hello", wrong=True)),
    "png text with a wrong checksum behind the pixels": lambda: png(after=chunk(b"tEXt", b"a\0b", wrong=True)),
    "png profile with a wrong checksum": lambda: png(chunk(b"iCCP", b"p\0\0" + MUCH, wrong=True)),
    "png EXIF with a wrong checksum": lambda: png(chunk(b"eXIf", b"MM\0*", wrong=True)),
    "png EXIF of nonsense": lambda: png(chunk(b"eXIf", b"nonsense")),
    "png XMP that is no UTF-8": lambda: png(chunk(b"iTXt", TEXT_XMP + b"<x:xmpmeta \xff\xfe")),
    "png XMP that is cut": lambda: png(chunk(b"iTXt", TEXT_XMP + b"<x:xmpmeta><rdf")),
    "png pHYs too short": lambda: png(chunk(b"pHYs", b"\0")),
    "png gAMA too short": lambda: png(chunk(b"gAMA", b"\0")),
    "png cHRM too short": lambda: png(chunk(b"cHRM", b"\0\1\2")),
    "png sRGB empty": lambda: png(chunk(b"sRGB", b"")),
    "png acTL too short": lambda: png(chunk(b"acTL", b"\0")),
    "png many texts, of more than 64 MiB together": lambda: png(
        *(chunk(b"zTXt", b"n%d\0\0" % at + zlib.compress(b" " * 2**20)) for at in range(70))
    ),
    "png without its end mark": lambda: png(end=b""),
    "png with half its end mark": lambda: png(end=b"\0\0\0\0IE"),
    "png whose end mark has a wrong checksum": lambda: png(end=chunk(b"IEND", b"", wrong=True)),
    "png with a text that is cut off at its end": lambda: png(after=chunk(b"tEXt", b"a\0" + b"b" * 99)[:40], end=b""),
    "png with more behind its end": lambda: png() + b"more" * 1000,
    "jpeg without its end mark": lambda: jpeg()[:-2],
    "jpeg with half its end mark": lambda: jpeg()[:-1],
    "progressive jpeg without its end mark": lambda: jpeg(progressive=True)[:-2],
    "jpeg with more behind its end": lambda: jpeg() + b"more" * 1000,
    "jpeg JFIF too short": lambda: jpeg(segment(0xE0, b"JFIF\0\1")),
    "jpeg profile of nonsense": lambda: jpeg(segment(0xE2, b"ICC_PROFILE\0\7\3nonsense")),
    "jpeg Photoshop block of nonsense": lambda: jpeg(segment(0xED, b"Photoshop 3.0\x008BIM\4\4")),
    "jpeg multi-picture index of nonsense": lambda: jpeg(segment(0xE2, b"MPF\0II*\0nonsense")),
    "jpeg EXIF of nonsense": lambda: jpeg(segment(0xE1, b"Exif\0\0nonsense")),
    "jpeg XMP of nonsense": lambda: jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<\xff")),
    "webp whose EXIF is cut off": lambda: webp()[:-4],
    "webp with a wrong size of the whole": lambda: webp()[:4] + b"\5\0\0\0" + webp()[8:],
    "webp with more behind its end": lambda: webp() + b"more" * 1000,
    "gif without its end mark": lambda: file("GIF")[:-1],
}


@pytest.mark.parametrize("beside", BESIDE)
def test_what_is_beside_the_pixels_refuses_no_picture(beside: str) -> None:
    data = BESIDE[beside]()

    facts = images.inspect(data)

    assert (facts.width, facts.height) == (64, 48)
    exact = beside.startswith(("png", "webp"))
    expected = np.asarray(NOISE, np.float32) / 255
    if exact:
        assert np.abs(images.decode(data)[0] - expected).max() < 0.01
    assert images.decode(data).shape == (1, 48, 64, 3)


def lacking(form: str, **options: Any) -> bytes:
    whole = file(form, **options)
    return whole[: len(whole) * 2 // 3]


CUT: dict[str, Callable[[], bytes]] = {
    "png": lambda: lacking("PNG"),
    "png, a byte of its last checksum": lambda: png(end=b"")[:-1],
    "png whose pixels have a wrong checksum": lambda: png()[:60] + bytes([png()[60] ^ 1]) + png()[61:],
    "png, a third of its pixels, in a whole chunk": lambda: (
        file("PNG")[:33] + chunk(b"IDAT", zlib.compress((b"\0" + b"\7" * 192) * 48)[:20]) + chunk(b"IEND", b"")
    ),
    "jpeg": lambda: lacking("JPEG"),
    "jpeg that is closed all the same": lambda: lacking("JPEG")[:-1] + b"\0",
    "progressive jpeg": lambda: lacking("JPEG", progressive=True),
    "webp": lambda: lacking("WEBP"),
    "webp without loss": lambda: lacking("WEBP", lossless=True),
    "avif": lambda: lacking("AVIF"),
    "bmp": lambda: lacking("BMP"),
    "tiff": lambda: lacking("TIFF"),
}


@pytest.mark.parametrize("cut", CUT)
def test_pixels_that_are_cut_off_or_changed_are_noticed(cut: str) -> None:
    with pytest.raises(InvalidImage):
        images.inspect(CUT[cut]())


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_which_side_is_up_is_known_also_beside_what_is_broken(form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = file(form, exif=exif)
    broken = {
        "PNG": data[:33] + chunk(b"iCCP", b"p\0\0" + MUCH) + data[33:],
        "JPEG": data[:2] + segment(0xE0, b"JFIF\0\1") + data[2:-2],
        "WEBP": data[:4] + b"\5\0\0\0" + data[8:],
    }[form]

    facts = images.inspect(broken)

    assert (facts.width, facts.height) == (48, 64)


def test_the_first_of_several_pictures_in_a_jpeg_is_the_picture() -> None:
    several = file("MPO", save_all=True, append_images=[NOISE.rotate(180)])

    facts = images.inspect(several)

    assert (facts.media_type, facts.extension, facts.width) == ("image/jpeg", ".jpg", 64)


def test_avif_is_read() -> None:
    facts = images.inspect(file("AVIF"))

    assert (facts.media_type, facts.extension, facts.width, facts.height) == ("image/avif", ".avif", 64, 48)
