from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flux_nodes.core import images
from flux_nodes.core.errors import InvalidImage


def file(image: Image.Image, form: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


RED = Image.new("RGB", (6, 4), (255, 0, 51))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_a_lossless_file_becomes_an_array_of_the_documented_shape(form: str) -> None:
    array = images.decode(file(RED, form, **({"lossless": True} if form == "WEBP" else {})))
    assert array.dtype == np.float32
    assert array.shape == (1, 4, 6, 3)
    assert np.allclose(array[0, 0, 0], [1, 0, 0.2], atol=1e-6)


def test_a_jpeg_is_read() -> None:
    array = images.decode(file(RED, "JPEG", quality=95))
    assert np.allclose(array[0, 1, 1], [1, 0, 0.2], atol=0.03)


def test_alpha_is_kept_as_a_fourth_channel() -> None:
    array = images.decode(file(Image.new("RGBA", (2, 3), (255, 0, 0, 51)), "PNG"))
    assert array.shape == (1, 3, 2, 4)
    assert np.allclose(array[0, 0, 0], [1, 0, 0, 0.2])


def test_a_palette_is_turned_into_colours_with_its_transparency() -> None:
    palette = RED.convert("P")
    assert images.decode(file(palette, "PNG")).shape[-1] == 3
    shown = images.decode(file(palette, "PNG", transparency=palette.getpixel((0, 0))))
    assert shown.shape[-1] == 4
    assert shown[0, 0, 0, 3] == 0


@pytest.mark.parametrize("value", [0, 257, 32768, 65535])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(value: int) -> None:
    grey = Image.fromarray(np.full((3, 2), value, dtype=np.uint16))
    array = images.decode(file(grey, "PNG"))
    assert array.shape == (1, 3, 2, 3)
    assert np.allclose(array, value / 65535, atol=1e-5)


def sixteen_bit_rgb(colour: tuple[int, int, int]) -> bytes:
    """A PNG of one pixel with 16 bits a channel, written by hand because Pillow cannot."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    header = (1).to_bytes(4, "big") * 2 + bytes([16, 2, 0, 0, 0])
    row = b"\0" + b"".join(value.to_bytes(2, "big") for value in colour)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")


def test_sixteen_bit_colour_is_read() -> None:
    array = images.decode(sixteen_bit_rgb((65535, 32768, 0)))
    assert np.allclose(array[0, 0, 0], [1, 0.5, 0], atol=0.01)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "CMYK", "I", "F"])
def test_every_mode_that_pillow_reads_becomes_colours_in_range(mode: str) -> None:
    form = "TIFF" if mode in {"CMYK", "F", "I"} else "PNG"
    array = images.decode(file(Image.new("L", (5, 2), 200).convert(mode), form))
    assert array.shape[:3] == (1, 2, 5)
    assert 0 <= array.min() <= array.max() <= 1


def test_a_photograph_that_lies_on_its_side_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be shown turned by 90 degrees
    sideways = file(Image.new("RGB", (8, 2), "green"), "JPEG", exif=exif)
    assert images.decode(sideways).shape == (1, 8, 2, 3)
    facts = images.inspect(sideways)
    assert (facts.media_type, facts.extension, facts.width, facts.height) == ("image/jpeg", ".jpg", 2, 8)


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12", b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff"],
    ids=["cut off", "nonsense", "leads outside"],
)
def test_damaged_exif_is_passed_over_and_the_image_is_read(exif: bytes) -> None:
    data = file(RED, "JPEG", exif=exif)
    facts = images.inspect(data)
    assert (facts.width, facts.height) == (6, 4)
    assert images.decode(data).shape == (1, 4, 6, 3)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>no</html>",
        file(RED, "PNG")[:40],
        file(RED, "JPEG")[:200],
        file(RED, "PNG")[:-20],
        b"\x89PNG\r\n\x1a\n",
    ],
    ids=["empty", "html", "cut in the header", "cut jpeg", "cut png", "signature only"],
)
def test_what_is_no_whole_image_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        images.inspect(data)
    with pytest.raises(InvalidImage):
        images.decode(data)


def test_a_small_file_with_huge_dimensions_is_refused_before_it_is_decoded() -> None:
    bomb = file(Image.new("1", (30_000, 30_000)), "PNG", optimize=False)
    assert len(bomb) < 2_000_000
    with pytest.raises(InvalidImage, match="pixels"):
        images.inspect(bomb)


@pytest.mark.parametrize("size", [(1, 65_536), (65_536, 1)])
def test_a_side_longer_than_any_real_image_has_is_refused(
    size: tuple[int, int],
) -> None:
    with pytest.raises(InvalidImage, match="longer side than the 65,535 allowed"):
        images.decode(file(Image.new("1", size), "PNG"))


@pytest.mark.parametrize(
    "data", [b"II*\0" + b"\xff" * 40, b"\xff\xd8\xff\xe0" + b"x" * 40, b"GIF89a"], ids=["TIFF", "JPEG", "GIF"]
)
def test_a_file_of_a_format_that_is_read_is_never_called_none_of_them(data: bytes) -> None:
    with pytest.raises(InvalidImage, match=r"that cannot be read|damaged"):
        images.decode(data)


def test_pillow_prints_nothing_of_a_damaged_file() -> None:
    data = bytearray(file(RED, "TIFF"))
    place = data.index((277).to_bytes(2, "little") + (3).to_bytes(2, "little"))  # SamplesPerPixel
    data[place + 8] = 98
    code = "import sys; from flux_nodes.core.images import decode; decode(sys.stdin.buffer.read())"
    ended = subprocess.run([sys.executable, "-c", code], input=bytes(data), capture_output=True, check=False)
    assert b"InvalidImage: it is image/tiff that cannot be read" in ended.stderr
    assert b"More samples" not in ended.stderr


def test_an_array_survives_the_way_into_a_file_and_back() -> None:
    array = np.random.default_rng(1).random((5, 7, 4), dtype=np.float32)
    back = images.decode(images.encode(array))
    assert np.abs(back[0] - array).max() <= 0.5 / 255 + 1e-6


def test_values_outside_the_range_are_clipped_and_nan_is_black() -> None:
    array = np.array([[[2.0, -1.0, np.nan]]], dtype=np.float32)
    assert images.to_bytes(array).tolist() == [[[255, 0, 0]]]


def test_text_travels_inside_a_png_in_any_script() -> None:
    data = images.encode(np.zeros((2, 2, 3), np.float32), text={"prompt": '{"a": "花"}', "workflow": "{}"})
    opened = Image.open(io.BytesIO(data))
    opened.load()
    assert (opened.info["prompt"], opened.info["workflow"]) == ('{"a": "花"}', "{}")


@pytest.mark.parametrize("shape", [(3,), (2, 2), (2, 2, 2), (1, 2, 2, 3), (0, 2, 3)])
def test_an_array_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidImage, match="shape"):
        images.encode(np.zeros(shape, np.float32))


def test_an_image_prompt_is_scaled_down_and_keeps_its_shape() -> None:
    facts = images.inspect(images.image_prompt(np.zeros((1000, 4000, 3), np.float32)))
    assert (facts.width, facts.height) == (2048, 512)


def test_a_preview_stays_under_its_bytes_even_for_noise() -> None:
    noise = np.random.default_rng(1).random((900, 900, 3), dtype=np.float32)
    small = images.preview(images.encode(noise), longest=800, most=30_000)
    assert len(small) <= 30_000
    assert images.inspect(small).media_type == "image/jpeg"


async def test_decoding_lets_the_event_loop_run_on() -> None:
    big = images.encode(np.random.default_rng(1).random((1500, 1500, 3), dtype=np.float32))
    work = asyncio.ensure_future(images.decoded(big))
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 3
    assert work.result().shape == (1, 1500, 1500, 3)
