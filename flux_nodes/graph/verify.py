"""What is known of an image file: where it came from, whether it was changed since, and whether it is signed.

Three witnesses are heard, and each is told as what it is. The journal of this home was written by this machine when the
image came: it proves. A signature that holds proves what its signer says. The text in the file proves nothing: anyone
can write it, and it is only claimed.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..core.content_credentials import Signature, check
from ..core.errors import InvalidImage, TooManyPixels
from ..core.facts import CHUNK, facts
from ..core.xmp import source_type
from .embedded import texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..core.generation import Generation
    from ..core.records import Records

Verdict = Literal["original", "unchanged", "changed", "derived", "claimed", "unknown", "damaged"]
"""What a file is.

original: the service's own bytes, as the journal has them · unchanged: a copy whose pixels are those of an original
here · changed: it names a generation, and its pixels or its words are others · derived: its pixels are of no original,
and it says that a graph made it of them · claimed: it names a generation, and nothing here can prove or refute it ·
unknown: nothing tells where it came from · damaged: its pixels cannot be read.
"""

_ID = re.compile("g-[0-9a-z]{4,20}")
_COMPARED = ("task_id", "model", "prompt", "seed", "door", "created_at", "sha256")
_MOST_CLAIMS = 200
_LONGEST = 20_000
"""Characters of a text from a file that are told."""

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\xff\x0a", b"\0\0\0\x0cJXL ")
_BOXED = {b"ftyp" + brand for brand in (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")}
"""AVIF and HEIC; a film begins alike."""


@dataclass(frozen=True, kw_only=True)
class Original:
    """The service's own file of a generation.

    `file` is where it is in this home (None where it is not here, or not what it was any more), `place` where the text
    in the file says that it is; `signature` is None of one that is not here, `said_signed` what the text says then.
    `damaged` is where a file in this home is that should be it and has other bytes.
    """

    sha256: str | None
    file: Path | None = None
    place: str | None = None
    signature: Signature | None = None
    said_signed: bool = False
    damaged: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Named:
    """A generation that a file comes from: its facts, who tells them, and what speaks against it.

    `facts` are the journal's where it knows it (`proven`), else those of the text in the file. `differs` names facts in
    which the text says other than the journal. `same_pixels` is None where the pixels of the file or of its original
    cannot be had; `on_sandbox` is whether the journal has it as one of the sandbox.
    """

    facts: Mapping[str, Any]
    proven: bool
    original: Original
    differs: tuple[str, ...] = ()
    same_pixels: bool | None = None
    on_sandbox: bool = False


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What is known of a file. `as_written` tells whether its pixels are those that the text in it states."""

    verdict: Verdict
    sha256: str
    media_type: str | None
    signature: Signature
    source_type: str | None
    generations: tuple[Named, ...] = ()
    as_written: bool | None = None
    problem: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is known and unchanged, and no signature that was checked is broken."""
        signatures = (self.signature, *(each.original.signature for each in self.generations))
        broken = any(each is not None and each.state == "invalid" for each in signatures)
        return self.verdict in {"original", "unchanged"} and not broken


def verify(data: bytes, records: Records, *, anchors: str | None = None) -> Verification:
    """Tell what is known of a file. Blocks: it decodes images and checks signatures.

    `anchors` are certificates of authorities to trust, in PEM. Raises InvalidImage for what is no image at all, and
    StorageError where the journal cannot be read.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    stored = records.of_image(sha256)
    media_type, pixels, problem = _decoded(data)
    if not stored and problem and not _looks_like_a_picture(data):
        raise InvalidImage("it is no image, or of a kind that nothing here can read")
    document = _document(data)
    signature = check(data, anchors=anchors)
    named = (
        tuple(_itself(each, signature, records) for each in stored)
        if stored
        else tuple(_named(claim, records, pixels, anchors) for claim in _claims(document))
    )
    stated = document.get("pixels")
    as_written = stated == pixels if isinstance(stated, str) and pixels is not None else None
    return Verification(
        verdict="original" if stored else _verdict(named, as_written=as_written, problem=problem),
        sha256=sha256,
        media_type=media_type or next((each.media_type for each in stored), None),
        signature=signature,
        source_type=source_type(data),
        generations=named,
        as_written=as_written,
        problem=problem,
    )


def _verdict(named: Sequence[Named], *, as_written: bool | None, problem: str) -> Verdict:
    if problem:
        return "damaged"
    if not named:
        return "unknown"
    if any(each.differs for each in named):
        return "changed"
    if any(each.same_pixels for each in named):
        return "unchanged"
    if as_written is False:
        return "changed"
    if any(each.same_pixels is False for each in named):
        return "derived" if as_written else "changed"
    return "claimed"


def _decoded(data: bytes) -> tuple[str | None, str | None, str]:
    """Return the media type and the digest of the pixels of a file, and what is wrong with it."""
    from ..core.images import inspect, pixel_digest

    try:
        return inspect(data).media_type, pixel_digest(data), ""
    except TooManyPixels as error:
        return None, None, f"its pixels were not compared: {error}"
    except InvalidImage as error:
        return None, None, str(error)


def _looks_like_a_picture(data: bytes) -> bool:
    return data.startswith(_PICTURES) or data[8:12] == b"WEBP" or data[4:12] in _BOXED


def _document(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(texts(data, (CHUNK,)).get(CHUNK, "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _claims(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a text tells of generations, as far as it has the form that this program writes; each once."""
    nodes = document.get("nodes")
    lists = [each for each in nodes.values() if isinstance(each, list)] if isinstance(nodes, dict) else []
    claims = [each for made in lists for each in made if isinstance(each, dict)]
    found = {each["generation_id"]: each for each in claims if _is_id(each.get("generation_id"))}
    return list(found.values())[:_MOST_CLAIMS]


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _itself(generation: Generation, signature: Signature, records: Records) -> Named:
    """Tell a generation of a file that is its original, wherever it lies."""
    kept = records.original(generation) is not None
    original = Original(
        sha256=generation.sha256,
        file=records.file(generation) if kept else None,
        signature=signature,
        damaged=None if kept else _damaged(generation, records),
    )
    on_sandbox = generation.service == "sandbox"
    return Named(facts=facts(generation), proven=True, original=original, same_pixels=True, on_sandbox=on_sandbox)


def _named(claim: Mapping[str, Any], records: Records, pixels: str | None, anchors: str | None) -> Named:
    known = records.get(claim["generation_id"])
    if known is None:
        told = {name: _plain(claim.get(name)) for name in ("generation_id", *_COMPARED)}
        return Named(facts=told, proven=False, original=_said(claim))
    data = records.original(known)
    told = facts(known)
    return Named(
        facts=told,
        proven=True,
        original=_original(known, data, records, anchors),
        on_sandbox=known.service == "sandbox",
        # What was not known yet when the text was written is no contradiction.
        differs=tuple(name for name in _COMPARED if claim.get(name) not in (None, told[name])),
        same_pixels=None if data is None or pixels is None else _same(_decoded(data)[1], pixels),
    )


def _same(original: str | None, pixels: str) -> bool | None:
    """Compare two digests of pixels; None for an original that nothing here can open."""
    return None if original is None else original == pixels


def _damaged(generation: Generation, records: Records) -> Path | None:
    return records.file(generation) if records.is_damaged(generation) else None


def _original(known: Generation, data: bytes | None, records: Records, anchors: str | None) -> Original:
    if data is None:
        return Original(sha256=known.sha256, damaged=_damaged(known, records))
    return Original(sha256=known.sha256, file=records.file(known), signature=check(data, anchors=anchors))


def _said(claim: Mapping[str, Any]) -> Original:
    original = claim.get("original")
    said = original if isinstance(original, dict) else {}
    digest, place = _plain(claim.get("sha256")), _plain(said.get("file"))
    return Original(
        sha256=digest if isinstance(digest, str) else None,
        place=place if isinstance(place, str) else None,
        said_signed=bool(said.get("signed")),
    )


def _plain(value: Any) -> str | int | None:
    """Return a text or a number of a file; what is neither is none of ours."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()[:_LONGEST]
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64 else None
