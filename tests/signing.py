"""Signs pictures as a service would: content credentials (C2PA) under certificates that are made for one test."""

from __future__ import annotations

import datetime
import io
from functools import cache
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.core.wires import key_usage

SIGNER = "Pretended Service"
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

_MANIFEST: dict[str, Any] = {
    "claim_generator_info": [{"name": "pretended-service", "version": "1.0"}],
    "title": "a picture",
    "assertions": [
        {
            "label": "c2pa.actions.v2",
            "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": TRAINED}]},
        }
    ],
}


def sign(picture: bytes, media_type: str) -> bytes:
    """Return a picture with a manifest in it that is signed by SIGNER."""
    chain, key = _credentials()
    signer = c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(alg=b"es256", sign_cert=chain.encode(), private_key=key, ta_url=None)
    )
    target = io.BytesIO()
    with (
        c2pa.Context.from_dict({"builder": {"thumbnail": {"enabled": False}}}) as context,
        c2pa.Builder(_MANIFEST, context=context) as builder,
    ):
        builder.sign(signer, media_type, io.BytesIO(picture), target)
    return target.getvalue()


def state(data: bytes) -> str | None:
    """Return what the library itself says of a signature; None of a file without a manifest."""
    settings = {"verify": {"remote_manifest_fetch": False}}
    with c2pa.Context.from_dict(settings) as context:
        reader = c2pa.Reader.try_create("", io.BytesIO(data), context=context)
        if reader is None:
            return None
        with reader:
            found: str = reader.get_validation_state()
            return found


def root() -> str:
    """Return the certificate of the authority behind SIGNER, in PEM."""
    return _credentials()[0][_credentials()[0].index("-----END") + len("-----END CERTIFICATE-----\n") :]


@cache
def _credentials() -> tuple[str, bytes]:
    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    top = _certificate("An Authority", "An Authority", authority, authority, uses=("key_cert_sign", "crl_sign"))
    leaf = _certificate("A Signer", "An Authority", own, authority, uses=("digital_signature",))
    chain = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in (leaf, top))
    key = own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return chain.decode(), key


def _certificate(
    name: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    signed_by: ec.EllipticCurvePrivateKey,
    *,
    uses: tuple[str, ...],
) -> x509.Certificate:
    now, is_authority = datetime.datetime.now(datetime.UTC), key is signed_by
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(key_usage(*uses), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_by.public_key()), critical=False)
    )
    if not is_authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(signed_by, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, SIGNER),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )
