"""What a file is, by its first bytes: its media type, and whether it can be an image at all.

The words of a server are not asked: they are often wrong. Sources: WHATWG MIME Sniffing (sections 5 to 7), and each
format's own specification.
"""

from __future__ import annotations

import re

UNKNOWN = "application/octet-stream"

_BY_START = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0", "image/tiff"),
    (b"MM\0+", "image/tiff"),
    (b"BM", "image/bmp"),
    (b"\xff\x0a", "image/jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/jp2"),
    (b"II\xbc\x01", "image/jxr"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"\0\0\x01\0", "image/vnd.microsoft.icon"),
    (b"v/1\x01", "image/x-exr"),
    (b"qoif", "image/x-qoi"),
)
_BY_BRAND = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic-sequence",
    b"hevx": "image/heic-sequence",
    b"mif1": "image/heif",
    b"msf1": "image/heif-sequence",
}
"""The major brand of an ISO base media file. Source: ISO/IEC 23008-12, annexes B and C; AV1 Image File Format."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_NO_IMAGES = (b"%PDF-", b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")
"""Documents and archives: an image's address that leads to one leads to the wrong place."""

_SVG = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml.*?\?>\s*|<!--.*?-->\s*|<!DOCTYPE\s+svg.*?>\s*)*<(?:\w+:)?svg[\s>]", re.S
)
_SVG_ENDS = re.compile(rb"(?:</(?:\w+:)?svg\s*>|/>)\s*(?:<!--.*?-->\s*)*\Z", re.S)
_LOOKED_AT = 4096
_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
"""Bytes that no text has, in any encoding that has ASCII in it."""


def sniffed(data: bytes) -> str | None:
    """Return the media type of an image file; None where the first bytes are those of no format known here."""
    for start, media_type in _BY_START:
        if data.startswith(start):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    return "image/svg+xml" if _SVG.match(data[:_LOOKED_AT]) else None


def _by_brand(data: bytes) -> str | None:
    """Name an ISO base media file by its major brand, or by the first compatible one that says more than "mif1"."""
    size = int.from_bytes(data[:4], "big")
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, min(size, _LOOKED_AT), 4))]
    named = [_BY_BRAND[brand] for brand in brands if brand in _BY_BRAND]
    return next((name for name in named if not name.startswith("image/heif")), next(iter(named), None))


def is_junk(data: bytes) -> bool:
    """Tell whether bytes are surely no image: nothing at all, a text (a page of errors, JSON), a document."""
    if _SVG.match(data[:_LOOKED_AT]):
        return False
    if not _NO_TEXT.search(data[:_LOOKED_AT]):
        return True
    return sniffed(data) is None and data.startswith((*_UTF_16, *_NO_IMAGES))


def is_cut(data: bytes, media_type: str) -> bool:
    """Tell whether a file of a format that is not decoded here surely ends too soon."""
    if media_type == "image/svg+xml":
        return _SVG_ENDS.search(data[-_LOOKED_AT:]) is None
    return _last_box_is_cut(data) if data[4:8] in {b"ftyp", b"JXL ", b"jP  "} else False


def _last_box_is_cut(data: bytes) -> bool:
    """Walk the boxes of a file. Source: ISO/IEC 14496-12, section 4.2: a size of 0 reaches to the end."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:
            return False
        if size < 8 or at + size > len(data):
            return True
        at += size
    return False
