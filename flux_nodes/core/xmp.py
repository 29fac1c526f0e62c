"""XMP in image files: whether a picture came from a trained model, in the words of IPTC.

`Iptc4xmpExt:DigitalSourceType` is what search engines, agencies and social networks read to label a picture. Sources:
XMP specification part 3 (where each format keeps its packet), IPTC Photo Metadata Standard 2025.1 (the property), IPTC
NewsCodes, Digital Source Type (its values).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from .image_chunks import chunks, png_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_CODES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED = f"{_CODES}trainedAlgorithmicMedia"
"""The picture came from a trained model alone."""

COMPOSITE = f"{_CODES}compositeWithTrainedAlgorithmicMedia"
"""Something from a trained model is in the picture, beside something else."""

KEYWORD = "XML:com.adobe.xmp"
"""The name of the text chunk of a PNG that holds the packet."""

_EXIF_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MOST_BYTES = 2**20
"""A longer packet is not read: it may come from anywhere."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_TERMS = "http://purl.org/dc/terms/"
_SOURCE_TYPE = f"{{{_EXTENSION}}}DigitalSourceType"
_PROVENANCE = f"{{{_TERMS}}}provenance"
"""Where a signed manifest lies that is not in the file (C2PA specification, section on external manifests)."""

_PREFIXES = {
    "x": "adobe:ns:meta/",
    "rdf": _RDF,
    "Iptc4xmpExt": _EXTENSION,
    "dcterms": _TERMS,
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
}


def packet(source_type: str) -> str:
    """Return an XMP packet that says nothing but where a picture came from."""
    return _wrapped(
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">'
        f'<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{_EXTENSION}" '
        f'Iptc4xmpExt:DigitalSourceType="{source_type}"/></rdf:RDF></x:xmpmeta>'
    )


def marked(data: bytes, source_type: str) -> str:
    """Return the XMP packet of a copy of this file: what the file's own says, with this source type.

    A link to a manifest that signs the file is left out: it does not sign the copy. A packet that cannot be read is
    replaced.
    """
    root = _tree(_packet_of(data))
    described = None if root is None else root.find(f".//{{{_RDF}}}Description")
    if root is None or described is None:
        return packet(source_type)
    for each in root.iter(f"{{{_RDF}}}Description"):
        for name in (_SOURCE_TYPE, _PROVENANCE):
            each.attrib.pop(name, None)
            for child in each.findall(name):
                each.remove(child)
    described.set(_SOURCE_TYPE, source_type)
    return _wrapped(_written(root))


def source_type(data: bytes) -> str | None:
    """Return the digital source type that a file's XMP states; None where it states none."""
    root = _tree(_packet_of(data))
    return None if root is None else next(_values(root, _SOURCE_TYPE), None)


def links_to_manifest(data: bytes) -> bool:
    """Tell whether a file's XMP names a signed manifest that lies elsewhere."""
    root = _tree(_packet_of(data))
    # A link to the file itself, "self#jumbf=…", names what is in it, or was.
    return root is not None and any(text.startswith("http") for text in _values(root, _PROVENANCE))


def _values(root: ElementTree.Element, name: str) -> Iterator[str]:
    """Yield the values of a property, which is written as an attribute, as a text or as a resource."""
    for each in root.iter(f"{{{_RDF}}}Description"):
        child = each.find(name)
        inner = "" if child is None else child.get(f"{{{_RDF}}}resource") or child.text or ""
        text = (each.get(name) or inner).strip()
        if text:
            yield text


def _packet_of(data: bytes) -> bytes | None:
    for kind, view in chunks(data) or ():
        body = bytes(view[: _MOST_BYTES + 1]) if kind in (b"iTXt", b"\xff\xe1", b"XMP ") else b""
        if kind == b"XMP ":
            return body
        if kind == b"\xff\xe1" and body.startswith(_EXIF_XMP):
            return body[len(_EXIF_XMP) :]
        if kind == b"iTXt" and body.startswith(KEYWORD.encode() + b"\0"):
            named = png_text(kind, body, most=_MOST_BYTES)
            return None if named is None else named[1]
    return None


def _tree(data: bytes | None) -> ElementTree.Element | None:
    """Parse a packet. One with a document type is refused: XMP has none, and its entities could fill the memory."""
    if data is None or len(data) > _MOST_BYTES:
        return None
    try:
        text = data.decode("utf-8-sig").strip("\0 \r\n\t")
        return None if "<!" in text else ElementTree.fromstring(text)  # noqa: S314 - no entity is left that could expand
    except (UnicodeDecodeError, ElementTree.ParseError, ValueError, RecursionError):
        return None


def _written(root: ElementTree.Element) -> str:
    for prefix, address in _PREFIXES.items():
        ElementTree.register_namespace(prefix, address)
    return ElementTree.tostring(root, encoding="unicode")


def _wrapped(text: str) -> str:
    return f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{text}<?xpacket end="r"?>'
