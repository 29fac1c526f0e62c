"""Content credentials (C2PA): whether a file is signed, and whether that signature holds.

That there is a manifest is seen in the file's chunks. To check it takes the package `c2pa-python`, which is an extra
and is imported when it is first needed. Nothing is asked over the network: no manifest, no certificate's revocation.
Source: C2PA specification 2.x, "Embedding manifests into various file formats".
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .image_chunks import chunks
from .xmp import links_to_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["none", "unchecked", "elsewhere", "valid", "trusted", "invalid"]
"""What is known of a signature.

none: the file has none · unchecked: it has one, and nothing here can check it · elsewhere: its manifest is not in the
file, but at an address that it names · valid: it holds, and the signer is not among those that were given as trusted ·
trusted: it holds, and the signer is · invalid: the file was changed since, or the manifest is broken.
"""

INSTALL = 'pip install "flux-nodes[c2pa]"'

PNG_CHUNK = b"caBX"
_JPEG_SEGMENT = b"\xff\xeb"
_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""The kind of a manifest's box in AVIF and HEIC."""

_LABEL = b"c2pa\0"
"""How a box of JUMBF says that it is a store of manifests; other boxes of JUMBF are no signature."""

_STORE = b"jumdc2pa\0\x11\0\x10\x80\0\0\xaa\08\x9bq"
"""How a store of manifests begins, in whatever it is wrapped: a box `jumd` of the kind that C2PA has registered."""

_HEAD = 128
"""The label comes within so many bytes."""

_OFFLINE: Mapping[str, Any] = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "core": {"allowed_network_hosts": []},
}


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The signature of a file: its state, who signed (as the certificate says), with what, when, and what is wrong."""

    state: State
    signer: str | None = None
    software: str | None = None
    time: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the signature was checked and is right."""
        return self.state in {"valid", "trusted"}


def is_signed(data: bytes) -> bool:
    """Tell whether a file brings content credentials, in itself or by a link. Whether they hold is another matter."""
    return has_manifest(data) or links_to_manifest(data)


def has_manifest(data: bytes) -> bool:
    """Tell whether a manifest is embedded in a file."""
    parts = chunks(data)
    if parts is None:  # GIF, TIFF, SVG and what else may be signed
        return _STORE in data
    return any(_is_manifest(kind, body) for kind, body in parts)


def _is_manifest(kind: bytes, body: memoryview) -> bool:
    if kind in (PNG_CHUNK, b"C2PA"):
        return True
    if kind == _JPEG_SEGMENT:
        return bytes(body[:2]) == b"JP" and _LABEL in bytes(body[:_HEAD])
    if kind == b"uuid":
        return bytes(body[:16]) == _BOX
    return kind == b"jumb" and _LABEL in bytes(body[:_HEAD])


def check(data: bytes, *, anchors: str | None = None) -> Signature:
    """Check a file's signature; it takes the package `c2pa-python`, else one that is there stays unchecked.

    `anchors` are certificates of authorities whose signers are trusted, in PEM. Slow; call it off the event loop.
    """
    if not has_manifest(data):
        return Signature(state="elsewhere" if links_to_manifest(data) else "none")
    try:
        import c2pa
    except (ImportError, OSError, RuntimeError) as error:  # its library may lack for this system
        missing = isinstance(error, ModuleNotFoundError) and error.name == "c2pa"
        return Signature(state="unchecked", problems=() if missing else (f"c2pa cannot be loaded: {error}",))
    settings = {**_OFFLINE, **({} if anchors is None else {"trust": {"trust_anchors": anchors}})}
    try:
        with (
            c2pa.Context.from_dict(settings) as context,
            # Its kind is read from its bytes: a name may lie.
            c2pa.Reader("", io.BytesIO(data), context=context) as reader,
        ):
            return _read(json.loads(reader.json()))
    except (c2pa.C2paError, ValueError) as error:
        return Signature(state="invalid", problems=(str(error),))


def _read(store: Mapping[str, Any]) -> Signature:
    active = store.get("manifests", {}).get(store.get("active_manifest"), {})
    signed = active.get("signature_info") or {}
    software = next((item.get("name") for item in active.get("claim_generator_info") or ()), None)
    states: dict[str, State] = {"Valid": "valid", "Trusted": "trusted"}
    return Signature(
        state=states.get(store.get("validation_state", ""), "invalid"),
        signer=signed.get("issuer") or signed.get("common_name"),
        software=software or active.get("claim_generator"),
        time=signed.get("time"),
        problems=tuple(_problems(store)),
    )


def _problems(store: Mapping[str, Any]) -> list[str]:
    failures = ((store.get("validation_results") or {}).get("activeManifest") or {}).get("failure") or ()
    # That nobody vouches for the signer is told by the state.
    return [str(item.get("code")) for item in failures if item.get("code") != "signingCredential.untrusted"]
