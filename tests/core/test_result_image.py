"""What was paid for is kept, whatever it is, and what is no image is not taken for one."""

from __future__ import annotations

import gzip
import hashlib
import io
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest
from PIL import Image

from flux_nodes.core import Generations, ImagineRequest, Settings
from flux_nodes.core.download import Downloaded, Downloader
from flux_nodes.core.errors import ImageUnavailable, UnreadableImage
from flux_nodes.core.retry import Policy
from flux_nodes.sandbox import Fault, Sandbox
from tests.core.test_bare_image import BESIDE
from tests.odd_images import HEIC, JXL, JXL_BOXES, SVG, box, sending

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK = Policy(first=0.01, longest=0.02, deadline=10)
NOISE = Image.fromarray(np.random.default_rng(4).integers(0, 255, (40, 60, 3), dtype=np.uint8))


def file(form: str, **options: Any) -> bytes:
    target = io.BytesIO()
    NOISE.save(target, form, **options)
    return target.getvalue()


async def fetched(*bodies: bytes) -> tuple[Downloaded, int]:
    """What a download gives, and how often it asked."""
    with sending(*bodies) as (url, asked):
        async with Downloader(base_url=url, policy=QUICK) as downloader:
            return await downloader.download(url), len(asked)


async def refused(*bodies: bytes) -> tuple[str, int]:
    with sending(*bodies) as (url, asked):
        async with Downloader(base_url=url, policy=QUICK) as downloader:
            with pytest.raises(ImageUnavailable) as caught:
                await downloader.download(url)
    return str(caught.value), len(asked)


@pytest.mark.parametrize("beside", BESIDE)
async def test_a_result_is_taken_at_once_whatever_is_beside_its_pixels(beside: str) -> None:
    data = BESIDE[beside]()

    image, asked = await fetched(data)

    assert (image.data, image.facts.width, image.facts.height, asked) == (data, 64, 48, 1)


UNOPENED = {
    "heic": (HEIC, "image/heic", ".heic"),
    "heic by a compatible brand": (box(b"ftyp", b"mif1\0\0\0\0heic") + box(b"meta", b"\0"), "image/heic", ".heic"),
    "heif": (box(b"ftyp", b"mif1\0\0\0\0mif2") + box(b"meta", b"\0"), "image/heif", ".heif"),
    "jpeg xl": (JXL, "image/jxl", ".jxl"),
    "jpeg xl in boxes": (JXL_BOXES, "image/jxl", ".jxl"),
    "jpeg 2000": (
        b"\0\0\0\x0cjP  \r\n\x87\n" + box(b"ftyp", b"jp2 \0\0\0\0") + box(b"jp2c", b"\1"),
        "image/jp2",
        ".jp2",
    ),
    "svg": (SVG, "image/svg+xml", ".svg"),
    "svg without a declaration": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml", ".svg"),
    "psd": (b"8BPS\0\1" + bytes(40), "image/vnd.adobe.photoshop", ".psd"),
}


@pytest.mark.parametrize("kind", UNOPENED)
async def test_a_format_that_nothing_here_opens_is_kept_at_once_under_its_true_type(kind: str) -> None:
    data, media_type, extension = UNOPENED[kind]

    image, asked = await fetched(data)

    assert (image.data, image.facts.media_type, image.facts.extension) == (data, media_type, extension)
    assert (image.facts.width, image.facts.height, asked) == (None, None, 1)


READ = {
    "avif": lambda: file("AVIF"),
    "multi-picture jpeg": lambda: file("MPO", save_all=True, append_images=[NOISE]),
}


@pytest.mark.parametrize(("kind", "media_type"), [("avif", "image/avif"), ("multi-picture jpeg", "image/jpeg")])
async def test_what_can_be_opened_is_opened(kind: str, media_type: str) -> None:
    image, _ = await fetched(READ[kind]())

    assert (image.facts.media_type, image.facts.width, image.facts.height) == (media_type, 60, 40)


CUT: dict[str, Callable[[], bytes]] = {
    "png": lambda: file("PNG")[:2000],
    "jpeg": lambda: file("JPEG")[:-400],
    "webp": lambda: file("WEBP")[:-400],
    "avif": lambda: file("AVIF")[:-400],
    "heic": lambda: HEIC[:-100],
    "svg": lambda: SVG[:-9],
}
WHOLE: dict[str, Callable[[], bytes]] = {
    **{name.lower(): partial(file, name) for name in ("PNG", "JPEG", "WEBP", "AVIF")},
    "heic": lambda: HEIC,
    "svg": lambda: SVG,
}


async def test_a_result_with_a_side_that_is_too_long_is_kept_unopened() -> None:
    target = io.BytesIO()
    Image.new("1", (1, 70_000)).save(target, "PNG")

    image, _ = await fetched(target.getvalue())

    assert (image.data, image.facts.media_type, image.facts.width) == (target.getvalue(), "image/png", None)


@pytest.mark.parametrize("kind", CUT)
async def test_pixels_that_are_cut_off_are_asked_for_again(kind: str) -> None:
    image, asked = await fetched(CUT[kind](), WHOLE[kind]())

    assert (image.data, asked) == (WHOLE[kind](), 2)


@pytest.mark.parametrize("kind", CUT)
async def test_what_comes_cut_off_the_same_each_time_is_kept_as_it_is(kind: str) -> None:
    image, asked = await fetched(CUT[kind]())

    assert (image.data, image.facts.width, asked) == (CUT[kind](), None, 4)


async def test_what_comes_cut_off_in_another_place_each_time_is_not_taken() -> None:
    whole = file("PNG")

    _, asked = await refused(*(whole[: 2000 + at] for at in range(9)))

    assert asked == 4


async def test_an_unknown_format_is_kept_when_it_is_the_same_each_time() -> None:
    data = b"NEWFMT\0\1\2\3" * 40

    image, asked = await fetched(data)

    assert (image.data, image.facts.media_type, image.facts.extension, asked) == (
        data,
        "application/octet-stream",
        ".img",
        4,
    )


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"<!DOCTYPE html><html><body>504 Gateway Time-out</body></html>",
        b"\xef\xbb\xbf<html>\n<svg></svg></html>",
        b'{"error": "expired"}',
        "Bitte später".encode("latin-1"),
        "<html>".encode("utf-16"),
        b"<Error><Code>AccessDenied</Code></Error>",
        b"BMW is no bitmap, GIF89a is here",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\0",
        b"PK\x03\x04\0\0",
        gzip.compress(b"<html>", mtime=0),
    ],
)
async def test_a_page_of_errors_or_a_document_is_no_image_and_is_asked_for_again(junk: bytes) -> None:
    image, asked = await fetched(junk, file("PNG"))
    assert (image.facts.width, asked) == (60, 2)

    words, asked = await refused(junk)
    assert "no usable image" in words
    assert asked == 4


async def test_an_unopened_result_ends_as_stored_and_every_look_says_where_it_is(
    generations: Generations, sandbox: Sandbox, settings: Settings
) -> None:
    with sending(HEIC) as (url, _):
        sandbox.inject(Fault(where="image", kind="redirect", location=url, times=None))
        request = ImagineRequest(model="flux-dev", prompt="x", seed=1)
        made = await generations.wait((await generations.start(request)).id)

    file = generations.file(made)
    assert file is not None
    assert (made.status, made.media_type, made.size, made.width, made.height) == (
        "stored",
        "image/heic",
        len(HEIC),
        None,
        None,
    )
    assert (made.sha256, file.read_bytes(), file.suffix) == (hashlib.sha256(HEIC).hexdigest(), HEIC, ".heic")
    assert file.is_relative_to(settings.images)
    assert "image/heic" in str(made.message)
    assert str(file) in str(made.message)
    assert await generations.data(made) == HEIC

    again = await generations.start(request)
    assert (again.id, again.reused) == (made.id, True)
    with pytest.raises(UnreadableImage) as caught:
        await generations.array(again)
    assert str(file) in str(caught.value)
    assert "paid and not lost" in str(caught.value)


async def test_bytes_of_too_many_pixels_are_kept_although_they_are_not_taken(
    sandbox: Sandbox, settings: Settings
) -> None:
    lower = settings.model_copy(update={"max_image_megapixels": 1})
    request = ImagineRequest(model="flux-dev", prompt="x", seed=1, width=1024, height=1024)
    async with Generations.open(lower, door="test") as generations:
        started = await generations.start(request)
        with pytest.raises(ImageUnavailable, match=r"1,000,000.*MEGAPIXELS.*Its bytes are kept: (.*\.png)") as caught:
            await generations.wait(started.id)
    kept = str(caught.value).partition("Its bytes are kept: ")[2].partition(".png")[0] + ".png"
    assert (await anyio.Path(kept).read_bytes()).startswith(b"\x89PNG\r\n\x1a\n")
    async with Generations.open(settings, door="test") as generations:
        made = await generations.wait(started.id)
    assert (made.width, str(generations.file(made))) == (1024, kept)
    assert sandbox.charges == 1
