"""Which certificates are trusted (`SSL_CERT_FILE`, `SSL_CERT_DIR`), and in words why one is refused."""

from __future__ import annotations

import os
import re
import ssl
from functools import lru_cache
from pathlib import Path

import httpx2

from .errors import InvalidSettings

_HASHED = re.compile(r"[0-9a-fA-F]{8}\.\d+")
"""How OpenSSL finds a certificate in a folder: by the hash of its subject."""

_SPOKEN_REASONS = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed, and nobody trusted has signed it",
    19: "its issuer is not trusted (a self-signed certificate is at the end of its chain)",
    20: "its issuer is not known",
    21: "its issuer is not known",
    23: "it has been revoked",
    62: "it is for another host name",
    64: "it is for another address",
}
"""Why a certificate is refused, by OpenSSL's X509_V_ERR codes (`openssl/x509_vfy.h`)."""

_UNTRUSTED = frozenset({18, 19, 20, 21})


def tls() -> ssl.SSLContext:
    """Return the one TLS context of this process: making one takes longer than most requests.

    Raises InvalidSettings when `SSL_CERT_FILE` or `SSL_CERT_DIR` cannot be used.
    """
    return _context(os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", ""))


def context_for(url: httpx2.URL) -> ssl.SSLContext:
    """Return the TLS context for an address; plain http (the sandbox) asks nothing of `SSL_CERT_FILE`."""
    return tls() if url.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def certificates_in_words(base_url: str) -> str:
    """Tell which certificates are trusted. Raises InvalidSettings."""
    url = httpx2.URL(base_url)
    context_for(url)
    variable = next((each for each in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(each)), None)
    if url.scheme != "https":
        return "none are needed on this machine"
    return f"{os.environ[variable]}, from {variable}" if variable else "those that the system trusts"


@lru_cache(maxsize=8)
def _context(file: str, folder: str) -> ssl.SSLContext:
    # httpx2 reads the two variables in this order itself, and says nothing of a folder that is empty or missing.
    if file:
        _check_file(Path(file))
    elif folder:
        _check_folders(folder)
    try:
        return httpx2.create_ssl_context()
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise InvalidSettings(
            f"{_culprit(error, file, folder)} cannot be used: {_reason(error)}. Nothing was sent. {_CERTIFICATES}"
        ) from error


def _culprit(error: Exception, file: str, folder: str) -> str:
    # Python opens this log as it makes a context, and the file of certificates was readable a moment ago.
    if os.environ.get("SSLKEYLOGFILE") and not isinstance(error, ssl.SSLError):
        return "SSLKEYLOGFILE"
    return "SSL_CERT_FILE" if file else "SSL_CERT_DIR" if folder else "The system's store of certificates"


_CERTIFICATES = "SSL_CERT_FILE takes a file of certificates (PEM), SSL_CERT_DIR a folder; unset, the system's are used."


def _check_file(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            opened.read(1)
    except (OSError, ValueError) as error:
        raise InvalidSettings(
            f"SSL_CERT_FILE cannot be used: {file} cannot be read ({_reason(error)}). Nothing was sent. {_CERTIFICATES}"
        ) from error


def _check_folders(folders: str) -> None:
    for folder in filter(None, folders.split(os.pathsep)):
        try:
            if any(_HASHED.fullmatch(name) for name in os.listdir(folder)):  # noqa: PTH208 - OpenSSL's own kind of list
                return
        except OSError:
            continue
    raise InvalidSettings(
        "SSL_CERT_DIR cannot be used: it names no folder with certificates under the names that OpenSSL looks for "
        f"(`openssl rehash FOLDER` makes them). Nothing was sent. {_CERTIFICATES}"
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return tls_reason(error)
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def handshake_in_words(error: ssl.SSLError, host: str) -> str:
    """Tell why a TLS handshake failed, as a part of a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code = getattr(error, "verify_code", 0)
        reason = _SPOKEN_REASONS.get(code) or getattr(error, "verify_message", "") or _reason(error)
        hint = f" ({_trusted_by()})" if code in _UNTRUSTED else ""
        return f"the certificate of {host} is refused: {reason}{hint}"
    return f"no secure connection to {host} came about: {tls_reason(error)}"


def tls_reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason as words, without the line of Python's source that `str` adds."""
    reason = (getattr(error, "reason", None) or "").replace("_", " ").lower()
    return reason or error.strerror or str(error) or type(error).__name__


def _trusted_by() -> str:
    variable = next((each for each in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(each)), None)
    if variable:
        return f"{variable} names whom to trust"
    return "where a company's proxy or your own server signs, set SSL_CERT_FILE to its certificate"
