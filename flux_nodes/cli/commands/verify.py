"""`flux-nodes verify`: what is known of an image file, and what of it is proven."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...core.errors import FluxNodesError, InvalidImage
from ..exits import DONE, FAILED
from ..options import json_option
from ..screen import say, write_json, write_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...core.content_credentials import Signature
    from ...core.records import Records
    from ...graph.verify import Named, Original, Verdict, Verification

_MOST_BYTES = 256 * 2**20
_MOST_TRUST_BYTES = 2**22

_VERDICTS: Mapping[Verdict, str] = {
    "original": "known and unchanged: the service's own bytes, as the journal of this home has them",
    "unchanged": "known and unchanged: a copy with the pixels of the original that is kept in this home",
    "changed": "changed: it is not what it says it is",
    "derived": "not proven: made of generations by other nodes, and unchanged since, as the text in it says",
    "claimed": "not proven: only the text in it says where it came from, and anyone can write that",
    "unknown": "unknown: nothing in it, and nothing in this home, says which generation it is",
    "damaged": "damaged: its pixels cannot be read",
}


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--trust",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PEM",
    help="Certificates of authorities: who signs under one of them is trusted.",
)
@json_option
def verify(*, file: Path, trust: Path | None, as_json: bool) -> int:
    """Tell what is known of an image file.

    Which generation it is, whether it was changed since, whether the original is signed and whether the signature
    holds. What the journal of this home proves is told apart from what the file only claims. Asks nobody, needs no
    key, and works without a journal.
    """
    from ...graph import verify as verification

    data = _read(file, _MOST_BYTES)
    anchors = None if trust is None else _certificates(trust)
    with _records() as records:
        try:
            found = verification.verify(data, records, anchors=anchors)
        except InvalidImage as error:
            raise InvalidImage(f"{file} cannot be verified: {error}.") from None
        missing = records.missing
    if as_json:
        write_json(_document(file, found, missing))
    else:
        if missing:
            say(f"{missing} What is told is what the file itself says.")
        write_pairs(_pairs(found))
    return DONE if found.holds else FAILED


@contextmanager
def _records() -> Iterator[Records]:
    """Give what this home knows; with settings that cannot be read, nothing."""
    from ...core.records import Records
    from ...core.settings import Settings

    try:
        settings = Settings.load(needs_service=False)
    except FluxNodesError as error:
        yield Records(missing=str(error))
        return
    with Records.open(settings) as records:
        yield records


def _read(file: Path, most: int) -> bytes:
    """Return the bytes of a file, if they are so few. Raises InvalidImage."""
    if not file.is_file():
        raise InvalidImage(f"{file} is no regular file; give the path of an image.")
    try:
        with file.open("rb") as opened:
            data = opened.read(most + 1)  # a size that is stated may be wrong
    except OSError as error:
        raise InvalidImage(f"{file} cannot be read: {error.strerror or error}.") from error
    if len(data) > most:
        raise InvalidImage(f"{file} is larger than the {most // 2**20} MiB that are read.")
    return data


def _certificates(file: Path) -> str:
    import ssl

    text = _read(file, _MOST_TRUST_BYTES).decode("ascii", errors="ignore")
    try:
        # The library that checks signatures would call the image's own broken.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise click.BadParameter(
            f"{file} holds no certificate that can be read; certificates of authorities in PEM are allowed.",
            param_hint="--trust",
        ) from error
    return text


def _pairs(found: Verification) -> list[tuple[str, str]]:
    pairs = [("verdict", _VERDICTS[found.verdict])]
    if found.problem:
        pairs.append(("problem", found.problem))
    for named in found.generations:
        pairs += _generation(named, readable=not found.problem)
    if found.as_written is not None and found.verdict not in {"original", "unchanged"}:
        said = "those that the text in the file states" if found.as_written else "not those that the text in it states"
        pairs.append(("as written", f"the pixels are {said}"))
    pairs += [
        ("signature", _signature(found.signature)),
        ("made by", found.source_type or "it does not say (no digital source type in XMP)"),
        ("sha256", found.sha256),
    ]
    return pairs


def _generation(named: Named, *, readable: bool) -> list[tuple[str, str]]:
    told = named.facts
    facts = [
        ("generation", told["generation_id"]),
        ("known by", "the journal of this home" if named.proven else "the text in the file alone"),
        ("model", told["model"]),
        ("prompt", told["prompt"]),
        ("seed", told["seed"]),
        ("started", _when(told["created_at"])),
        ("door", told["door"]),
        ("pixels", _pixels(named, readable=readable)),
        ("differs", ", ".join(f"{name} in the file is not the journal's" for name in named.differs)),
        ("original", _original(named)),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


def _when(moment: object) -> object:
    """Return a moment in local time; what a file calls one may be none."""
    try:
        return datetime.fromisoformat(str(moment)).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return moment


def _pixels(named: Named, *, readable: bool) -> str:
    if named.same_pixels is not None:
        return "those of the original" if named.same_pixels else "not those of the original"
    return f"not compared: {_why_not_compared(named.original, readable=readable)}" if named.proven else ""


def _why_not_compared(original: Original, *, readable: bool) -> str:
    if not readable:
        return "those of this file cannot be read"
    if original.damaged is not None:
        return "the original is damaged"
    return "the original is not here" if original.file is None else "nothing here can read the original"


def _original(named: Named) -> str:
    original = named.original
    if original.file is not None:
        return f"{original.file}; {_signature(original.signature)}"
    digest = f"SHA-256 {original.sha256}"
    if original.damaged is not None:
        return f"{original.damaged} is damaged: its {digest} no longer holds; {_collected(named)}"
    if original.said_signed:
        return f"not here ({original.place}, {digest}); signed, as the text in the file says"
    return f"not here ({digest}){f'; {_collected(named)}' if named.proven else ''}" if original.sha256 else ""


def _collected(named: Named) -> str:
    option = " --sandbox" if named.on_sandbox else ""
    return f"`flux-nodes wait {named.facts['generation_id']}{option}` collects it again, free"


def _signature(signature: Signature | None) -> str:
    from ...core.content_credentials import INSTALL

    if signature is None or signature.state == "none":
        return "not signed"
    by = " with ".join(filter(None, (signature.signer, signature.software)))
    problems = ", ".join(signature.problems)
    return {
        "unchecked": f"signed (C2PA), not checked: {problems or f'{INSTALL} lets it be checked'}",
        "elsewhere": "signed (C2PA), not checked: its manifest lies elsewhere, and nothing is fetched",
        "valid": f"signed (C2PA) by {by}: valid; that signer is not among those that you trust (--trust)",
        "trusted": f"signed (C2PA) by {by}: valid and trusted",
        "invalid": f"signed (C2PA), INVALID: {problems or 'the signature does not hold'}",
    }[signature.state]


def _document(file: Path, found: Verification, missing: str) -> dict[str, object]:
    return {
        "file": str(file.absolute()),
        "verdict": found.verdict,
        "holds": found.holds,
        "problem": found.problem or None,
        "sha256": found.sha256,
        "media_type": found.media_type,
        "as_written": found.as_written,
        "signature": _signature_document(found.signature),
        "digital_source_type": found.source_type,
        "generations": [
            {
                **named.facts,
                "proven": named.proven,
                "differs": list(named.differs),
                "same_pixels": named.same_pixels,
                "original": _original_document(named.original),
            }
            for named in found.generations
        ],
        "journal": missing or None,
        "error": None,
    }


def _original_document(original: Original) -> dict[str, object]:
    return {
        "sha256": original.sha256,
        "file": None if original.file is None else str(original.file),
        "place": original.place,
        "signature": None if original.signature is None else _signature_document(original.signature),
        "said_signed": original.said_signed,
        "damaged": None if original.damaged is None else str(original.damaged),
    }


def _signature_document(signature: Signature) -> dict[str, object]:
    return {
        "state": signature.state,
        "signer": signature.signer,
        "software": signature.software,
        "time": signature.time,
        "problems": list(signature.problems),
    }
