"""An image prompt is sent upright, at most 2,048 pixels a side, and made once; it costs nothing to ask for again."""

from __future__ import annotations

import base64
import hashlib
import io
import sqlite3
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from flux_nodes.core import ImagineRequest, decoding, image_prompt, images
from flux_nodes.core.errors import InvalidRequest
from flux_nodes.core.request import _sealed

if TYPE_CHECKING:
    from flux_nodes.core import Generations, Settings
    from flux_nodes.sandbox import Sandbox

CASES = Path(__file__).parents[1] / "pictures"


def file(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def gradient(width: int, height: int) -> Image.Image:
    return Image.linear_gradient("L").resize((width, height)).convert("RGB")


def sent(data: bytes) -> Image.Image:
    """What a request sends of an image file."""
    request = ImagineRequest(model="flux-dev", prompt="x", image_prompt=data)
    image = Image.open(io.BytesIO(base64.b64decode(str(request.wire()["image_prompt"]))))
    image.load()
    return image


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((3000, 3000), (2048, 2048)),
        ((2049, 100), (2048, 100)),
        ((100, 4000), (51, 2048)),
        ((2048, 2048), (2048, 2048)),
        ((6000, 4000), (2048, 1365)),
    ],
)
def test_an_image_is_brought_to_2048_a_side(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert sent(file(gradient(*size))).size == expected


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_small_upright_file_is_sent_as_it_is(form: str) -> None:
    data = file(gradient(64, 48), form)

    assert ImagineRequest(model="flux-dev", prompt="x", image_prompt=data).image_prompt == data


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "AVIF"])
def test_a_format_that_not_every_service_reads_is_written_anew_with_the_same_pixels(form: str) -> None:
    data = file(gradient(64, 48), form)

    image = sent(data)

    assert image.format == "PNG"
    assert images.pixel_digest(file(image)) == images.pixel_digest(data)


def test_a_photo_that_lies_on_its_side_is_sent_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6

    image = sent(file(gradient(64, 48), "JPEG", exif=exif))

    assert (image.size, image.getexif().get(0x0112)) == ((48, 64), None)


def test_what_is_much_larger_than_its_pixels_is_not_sent_along() -> None:
    data = file(gradient(64, 48))
    text = b"a\0" + b"b" * (5 * 2**20)
    chunk = len(text).to_bytes(4, "big") + b"tEXt" + text + zlib.crc32(b"tEXt" + text).to_bytes(4, "big")

    request = ImagineRequest(model="flux-dev", prompt="x", image_prompt=data[:33] + chunk + data[33:])

    assert len(request.image_prompt or b"") < 100_000


@pytest.mark.parametrize(
    "name", ["compressed-text-over-1-mib.png", "compressed-icc-over-1-mib.png", "text-with-bad-checksum.png"]
)
def test_a_file_that_other_programs_refuse_is_sent_as_one_that_they_read(name: str) -> None:
    data = (CASES / name).read_bytes()

    assert sent(data).size == (64, 48)


def test_a_graph_and_a_file_of_the_same_pixels_send_the_same_file() -> None:
    photo = file(gradient(3000, 2000))

    of_a_file = image_prompt.prepared(photo)
    of_a_graph = image_prompt.from_array(images.decode(photo)[0])

    assert (of_a_graph.data, of_a_graph.sha256, of_a_graph.pixels) == (
        of_a_file.data,
        of_a_file.sha256,
        of_a_file.pixels,
    )
    assert of_a_file.pixels == images.pixel_digest(of_a_file.data)


def test_each_distinct_image_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = images.quick_png

    def counted(image: Image.Image) -> bytes:
        made.append(1)
        return real(image)

    monkeypatch.setattr(image_prompt, "quick_png", counted)
    photo = file(gradient(2500, 301))
    values: dict[str, Any] = {"model": "flux-dev", "prompt": "x", "image_prompt": photo}

    with ThreadPoolExecutor(8) as threads:
        requests = list(threads.map(lambda seed: ImagineRequest(**values, seed=seed), range(20)))
    for request in requests:
        assert request.seeded().delivered(webhook_url="https://example.com/h", webhook_secret="s").fingerprints

    array = images.decode(file(gradient(2500, 302)))[0]
    assert image_prompt.from_array(array) is image_prompt.from_array(array.copy())
    assert len(made) == 2


async def test_a_large_image_prompt_is_free_when_it_is_asked_for_again(
    generations: Generations, sandbox: Sandbox
) -> None:
    values: dict[str, Any] = {"model": "flux-dev", "prompt": "x", "seed": 1, "image_prompt": file(gradient(3000, 30))}
    first = await generations.start(ImagineRequest(**values))

    again = await generations.start(ImagineRequest(**values).seeded())

    assert (again.id, again.reused) == (first.id, True)
    assert len(sandbox.tasks) == 1


async def test_what_version_0_3_0_made_of_the_unscaled_image_is_found(
    generations: Generations, settings: Settings
) -> None:
    photo = file(gradient(3000, 30))
    request = ImagineRequest(model="flux-dev", prompt="x", seed=1, image_prompt=photo)
    as_0_3_0_meant_it: dict[str, str | int | float | bool] = {
        "model": "flux-dev",
        "prompt": "x",
        "seed": 1,
        "width": 1024,
        "height": 768,
        "prompt_upsampling": False,
        "safety_tolerance": 2,
        "image_prompt": images.pixel_digest(photo),
    }
    assert _sealed(as_0_3_0_meant_it) in request.fingerprints[1:]

    old = await generations.start(request)
    fingerprint = _sealed(as_0_3_0_meant_it)
    claim = hashlib.sha256(f"{old.service}\n{fingerprint}".encode()).hexdigest()
    with closing(sqlite3.connect(settings.home / "journal.sqlite3")) as journal, journal:
        journal.execute("UPDATE generations SET fingerprint = ?, claim = ?", (fingerprint, claim))

    again = await generations.start(ImagineRequest(model="flux-dev", prompt="x", seed=1, image_prompt=photo))

    assert (again.id, again.reused) == (old.id, True)


def bits(side: int) -> bytes:
    """A PNG of one bit a pixel."""
    rows = (b"\0" + bytes((side + 7) // 8)) * side
    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    framed = (
        len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big") for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def test_more_pixels_than_a_prompt_may_have_are_refused_before_they_are_decoded() -> None:
    data = bits(7900)
    tracemalloc.start()
    try:
        with pytest.raises(
            InvalidRequest,
            match=r"7900×7900 pixels are more than the 50 megapixels \(50,331,648 pixels\) allowed.*smaller",
        ):
            ImagineRequest(model="flux-dev", prompt="x", image_prompt=data)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_the_pixels_of_all_threads_are_bounded_together() -> None:
    budget = decoding.PixelBudget(100)
    inside: list[int] = []
    most: list[int] = []

    def work(pixels: int) -> None:
        with budget.held(pixels):
            inside.append(pixels)
            most.append(sum(min(each, 100) for each in list(inside)))
            inside.remove(pixels)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, [10, 90, 60, 50, 1000, 100, 1] * 30))
    assert max(most) <= 100
    assert len(most) == 210


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "P with transparency", "RGB", "RGBA", "CMYK", "I;16"])
def test_an_image_of_any_mode_is_sent_as_its_colours_are_scaled(mode: str) -> None:
    grey = Image.linear_gradient("L").resize((2500, 1700))
    image = {
        "I;16": lambda: Image.fromarray(np.asarray(grey, np.uint16) * 257),
        "P": lambda: Image.merge("RGB", (grey, grey.rotate(180), grey)).quantize(64),
        "RGBA": lambda: Image.merge("RGBA", (grey, grey.rotate(180), grey, grey)),
    }.get(mode.partition(" ")[0], lambda: grey.convert(mode))()
    options = {"transparency": 3} if "with" in mode else {}
    data = file(image, "TIFF" if mode in {"LA", "CMYK"} else "PNG", **options)
    with decoding.opened(data) as found:
        whole = images.flat(found.image)
    whole.thumbnail((2048, 2048), Image.Resampling.LANCZOS)

    assert image_prompt.prepared(data).pixels == images.digest(whole)


def test_a_profile_is_not_sent_along_with_pixels_that_are_scaled() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain, profiled = file(gradient(2100, 40)), file(gradient(2100, 40), icc_profile=profile)

    assert image_prompt.prepared(plain).data == image_prompt.prepared(profiled).data


@pytest.mark.parametrize("size", [(1, 30_000), (30_000, 1), (1, 1)])
def test_an_image_of_any_shape_is_sent(size: tuple[int, int]) -> None:
    assert max(sent(file(gradient(*size))).size) == min(2048, max(size))
