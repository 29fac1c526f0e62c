"""Real wires for tests: certificates that are wrong in one way each, a TLS service, an HTTP proxy and a SOCKS proxy."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

TASK = b'{"task_id": "t-1"}'

_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, in one PEM file, and the file of its issuer."""

    chain: Path
    issuer: Path

    def server(self) -> ssl.SSLContext:
        """Return the TLS context of a server with this identity."""
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(self.chain)
        return secure


def identity(folder: Path, *, name: str = "localhost", days: int = 1, signed: bool = True) -> Identity:
    """Make a certificate for a name that ends in `days`; `signed` by an authority of its own, or by itself."""
    authority = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _named(f"Authority of {folder.name}")
    root = _certificate(ca_name, ca_name, authority, authority, days=3650, is_authority=True)
    leaf = _certificate(
        _named(name), ca_name if signed else _named(name), key, authority if signed else key, days=days, host=name
    )
    folder.mkdir(parents=True, exist_ok=True)
    issuer, chain = folder / "issuer.pem", folder / "chain.pem"
    issuer.write_bytes(root)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(leaf + private)
    return Identity(chain, issuer)


def key_usage(*uses: str) -> x509.KeyUsage:
    """Make the extension of a certificate whose key has these uses and no other."""
    return x509.KeyUsage(**{use: use in uses for use in _USES})


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    days: int,
    host: str = "",
    is_authority: bool = False,
) -> bytes:
    now = datetime.datetime.now(datetime.UTC)
    uses = ("key_cert_sign", "crl_sign") if is_authority else ("digital_signature",)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Long ago: TLS goes by the machine's clock, also where the tests' own is moved ahead.
        .not_valid_before(now - datetime.timedelta(days=400))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        # Python 3.13 and newer check certificates strictly: these three must be there.
        .add_extension(key_usage(*uses), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if host:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return made.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@dataclass
class Wire:
    """A server on this machine: its port, how often it was connected to, and what it heard."""

    port: int = 0
    connections: int = 0
    heard: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def listening(serve: Callable[[Wire], Serve], *, secure: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """Serve each connection; one that ends badly is the other side's affair."""
    wire = Wire()
    one = serve(wire)

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await one(reader, writer)
        writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0, ssl=secure)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()


def saying(reply: bytes) -> Callable[[Wire], Serve]:
    """Make a server that reads the head of a request, and answers with these bytes."""

    def make(wire: Wire) -> Serve:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            wire.heard.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(reply)
            await writer.drain()

        return serve

    return make


def service(body: bytes = TASK) -> Callable[[Wire], Serve]:
    """Make a service that takes every request, and answers with this JSON."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    return saying(head % len(body) + body)


def refusing(status: str) -> Callable[[Wire], Serve]:
    """Make a proxy that refuses to connect."""
    return saying(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())


def tunnel(port: int) -> Callable[[Wire], Serve]:
    """Make a proxy whose every connection leads to a port of this machine."""

    def make(wire: Wire) -> Serve:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            wire.heard.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _joined(reader, writer, port)

        return serve

    return make


def socks(port: int, *, reply: bytes = b"\x00") -> Callable[[Wire], Serve]:
    """Make a SOCKS5 proxy (RFC 1928) whose every connection leads to a port of this machine, or that refuses."""

    def make(wire: Wire) -> Serve:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            _, methods = await reader.readexactly(2)
            await reader.readexactly(methods)
            writer.write(b"\x05\x00")
            *_, kind, length = await reader.readexactly(5)
            wire.heard.append(await reader.readexactly(length if kind == 3 else 3))
            await reader.readexactly(2)
            writer.write(b"\x05" + reply + b"\x00\x01\x7f\x00\x00\x01\x00\x00")
            if reply == b"\x00":
                await _joined(reader, writer, port)

        return serve

    return make


async def _joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    there, to_there = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.wait(
        [asyncio.create_task(_copied(reader, to_there)), asyncio.create_task(_copied(there, writer))],
        return_when=asyncio.ALL_COMPLETED,
    )


async def _copied(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await source.read(65_536):
            target.write(piece)
            await target.drain()
    target.close()
