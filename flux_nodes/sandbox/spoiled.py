"""Images that are not right: cut, lying, hostile or something else altogether."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

from starlette.responses import Response

from .replies import oversized

if TYPE_CHECKING:
    from .faults import Fault

_BOMB_SIDE = 20_000


def spoil_image(fault: Fault, picture: bytes, media_type: str) -> Response:
    """Return what the image hosting sends in place of a picture. May take long, so call it outside the event loop."""
    if fault.kind == "missing":
        return Response(b"", 404)
    if fault.kind in {"huge", "endless"}:
        return oversized(picture, fault.size, declared=fault.kind == "huge")
    if fault.kind == "truncated":
        return Response(picture[: len(picture) // 2], media_type=media_type)
    if fault.kind == "not-image":
        return Response(b"This is not an image.\n" * 40, media_type=media_type)
    if fault.kind == "wrong-format":
        return Response(_as_gif(picture), media_type=media_type)
    return Response(bomb(fault.size or _BOMB_SIDE), media_type="image/png")


def _as_gif(picture: bytes) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        image.save(file, "GIF")
    return file.getvalue()


def bomb(side: int) -> bytes:
    """Write a small PNG that decodes to a black square of that many pixels a side."""
    row = b"\0" * (1 + (side + 7) // 8)
    press = zlib.compressobj(9)
    pixels = b"".join(press.compress(row) for _ in range(side)) + press.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
