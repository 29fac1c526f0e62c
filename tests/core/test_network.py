"""The network as the environment sets it: what is wrong there is told at once, and nothing is sent or paid."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import anyio
import httpx2
import pytest
from pydantic import SecretStr

from flux_nodes.core import Generations, ImagineRequest, Settings
from flux_nodes.core.certificates import tls
from flux_nodes.core.client import ApiframeClient
from flux_nodes.core.download import Downloader
from flux_nodes.core.errors import (
    ConnectionRejected,
    FluxNodesError,
    ImageUnavailable,
    InvalidSettings,
    ProxyUnreachable,
    ServiceUnreachable,
    SubmitUnconfirmed,
)
from flux_nodes.core.proxy import is_this_machine, proxy_for
from flux_nodes.core.retry import Policy
from tests.core.wires import identity, listening, refusing, saying, service, socks, tunnel

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

PICTURE = ImagineRequest(model="flux-schnell", prompt="a fox", seed=1)
FAR = "https://api.example.com"
QUICK = Policy(first=0.01, longest=0.02, deadline=0.3)


@pytest.fixture(autouse=True)
def no_network_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def settings(tmp_path: Path, base_url: str = FAR) -> Settings:
    return Settings.model_validate({"api_key": "a-key", "base_url": base_url, "home": tmp_path / "home"})


async def started(settings: Settings) -> tuple[FluxNodesError, list[tuple[str, float | None]]]:
    """Start a picture, which must fail; return the error, and what the journal says of it."""
    async with Generations.open(settings, door="test") as generations:
        with pytest.raises(FluxNodesError) as caught:
            await generations.start(PICTURE)
        return caught.value, [(each.status, each.credits) for each in await generations.recent()]


async def submitted(base_url: str) -> str:
    """Submit a picture, trying for a moment only; return the task id."""
    async with ApiframeClient(key=SecretStr("a-key"), base_url=base_url, policy=QUICK) as client:
        return await client.submit(PICTURE)


@pytest.fixture
def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@pytest.mark.parametrize(
    "status", ["407 Proxy Authentication Required", "403 Forbidden", "400 Bad Request", "302 Found", "418 x\x1b[31m"]
)
async def test_a_proxy_that_refuses_is_named_and_nothing_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    async with listening(refusing(status)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hidden@127.0.0.1:{proxy.port}")
        error, known = await started(settings(tmp_path))
    assert isinstance(error, ConnectionRejected)
    assert f"http://127.0.0.1:{proxy.port} (HTTPS_PROXY) refused to connect: {status[:3]}" in str(error)
    assert "nothing was paid" in str(error)
    assert "hidden" not in str(error)
    assert str(error).isprintable()
    assert known == [("refused", 0)]
    assert proxy.connections == 1  # asking again would not help


@pytest.mark.parametrize("status", ["502 Bad Gateway", "504 Gateway Timeout"])
async def test_a_proxy_that_does_not_reach_the_service_is_told_at_once_and_nothing_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    async with listening(refusing(status)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with anyio.fail_after(20):
            error, known = await started(settings(tmp_path))
    assert isinstance(error, ServiceUnreachable)
    assert f"(HTTPS_PROXY) refused to connect: {status}" in str(error)
    assert known == [("refused", 0)]


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nthis is no TLS at all",
    ],
)
async def test_a_proxy_that_makes_no_connection_has_sent_nothing(monkeypatch: pytest.MonkeyPatch, reply: bytes) -> None:
    async with listening(saying(reply)) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(ServiceUnreachable, match="Nothing was sent, nothing was paid"):
            await submitted(FAR)
    assert all(head.startswith(b"CONNECT api.example.com:443 ") for head in proxy.heard)


async def test_a_handshake_that_gets_no_answer_is_told_as_such_and_not_as_an_error_of_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flux_nodes.core.client._TIMEOUT", httpx2.Timeout(0.1))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await reader.read()

    async with listening(lambda _: serve) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(ServiceUnreachable, match=r"no connection in time.*nothing was paid") as caught:
            await submitted(FAR)
    assert not isinstance(caught.value, ConnectionRejected)  # a proxy that is busy now may answer in a minute


async def test_a_proxy_that_is_silent_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flux_nodes.core.client._TIMEOUT", httpx2.Timeout(0.1))

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(lambda _: serve) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(ServiceUnreachable, match=r"https_proxy.*nothing was paid"):
            await submitted(FAR)


@pytest.mark.parametrize(
    "value", ["127.0.0.1:{}", "http://127.0.0.1:{}/", "https://127.0.0.1:{}", "socks5://127.0.0.1:{}"]
)
async def test_a_proxy_that_cannot_be_reached_is_a_wrong_setting_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed_port: int, value: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", value.format(closed_port))
    error, known = await started(settings(tmp_path))
    assert isinstance(error, ProxyUnreachable)
    assert isinstance(error, InvalidSettings)
    assert f"127.0.0.1:{closed_port} (ALL_PROXY) cannot be reached: connection refused" in str(error)
    assert known == [("refused", 0)]


@pytest.mark.parametrize(
    "value",
    [
        "http://:hidden@127.0.0.1:abc",
        "ftp://hidden@127.0.0.1:9",
        "socks4://127.0.0.1:9",
        "http://",
        "http://127.0.0.1:0",
        "http://[::1",
        "http://hid den:9",
        "http://127.0.0.1:99999",
        "://",
        "socks5://" + "hidden" * 50 + "@127.0.0.1:9",
    ],
)
async def test_a_proxy_that_cannot_be_one_is_told_without_its_value_before_anything_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    error, known = await started(settings(tmp_path))
    assert isinstance(error, InvalidSettings)
    assert str(error).startswith("HTTPS_PROXY ")
    assert "hid" not in str(error).replace("HTTPS", "")
    assert known == []


async def test_a_socks_proxy_needs_an_extra_which_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flux_nodes.core.proxy.find_spec", lambda _: None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    error, _ = await started(settings(tmp_path))
    assert isinstance(error, InvalidSettings)
    assert "ALL_PROXY names a SOCKS proxy" in str(error)
    assert 'pip install "flux-nodes[socks]"' in str(error)


@pytest.mark.parametrize(("kind", "scheme"), [(tunnel, "http"), (socks, "socks5"), (socks, "socks5h")])
async def test_a_proxy_carries_requests_to_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Callable[[int], object], scheme: str
) -> None:
    own = identity(tmp_path, name="api.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", str(own.issuer))
    async with listening(service(), secure=own.server()) as there, listening(kind(there.port)) as proxy:  # type: ignore[arg-type]  # both make a server of a port
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        assert await submitted(FAR) == "t-1"
    assert b"api.example.com" in proxy.heard[0]
    assert there.heard[0].startswith(b"POST /flux-imagine ")


@pytest.mark.parametrize("reply", [b"\x01", b"\x02", b"\x05", b"\x63"])
async def test_a_socks_proxy_that_refuses_has_sent_nothing(monkeypatch: pytest.MonkeyPatch, reply: bytes) -> None:
    async with listening(socks(0, reply=reply)) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        with pytest.raises(ServiceUnreachable, match=r"ALL_PROXY.*nothing was paid"):
            await submitted(FAR)


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\xff", b"\x04\x00"])
async def test_what_is_no_socks_proxy_has_sent_nothing(monkeypatch: pytest.MonkeyPatch, reply: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(3)
        writer.write(reply)

    async with listening(lambda _: serve) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        with pytest.raises(ServiceUnreachable, match=r"ALL_PROXY.*nothing was paid"):
            await submitted(FAR)


async def test_a_request_that_is_lost_behind_a_proxy_may_have_been_charged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = identity(tmp_path, name="api.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", str(own.issuer))
    async with listening(saying(b""), secure=own.server()) as there, listening(tunnel(there.port)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(SubmitUnconfirmed):
            await submitted(FAR)
    assert len(there.heard) == 1


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"days": -100}, "it has expired"),
        ({"name": "other.example.com"}, "it is for another host name"),
        ({"signed": False}, "it is self-signed"),
        ({"trusted": False}, "its issuer is not known"),
    ],
)
async def test_a_certificate_that_is_wrong_is_told_at_once_and_nothing_is_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, object], why: str
) -> None:
    trusted = wrong.pop("trusted", True)
    own = identity(tmp_path / "own", **wrong)  # type: ignore[arg-type]  # the table names its keywords
    authority = own if trusted else identity(tmp_path / "other")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.issuer))
    async with listening(service(), secure=own.server()) as there:
        with anyio.fail_after(20):  # it would be tried for a minute if that could help
            error, known = await started(settings(tmp_path, f"https://localhost:{there.port}"))
    assert isinstance(error, ConnectionRejected)
    assert f"the certificate of localhost is refused: {why}" in str(error)
    assert "nothing was paid" in str(error)
    assert known == [("refused", 0)]
    assert there.heard == []


async def test_a_certificate_that_is_wrong_ends_a_wait_at_once_and_the_generation_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = identity(tmp_path / "own")
    monkeypatch.setenv("SSL_CERT_FILE", str(own.issuer))
    async with listening(service(), secure=own.server()) as there:
        async with Generations.open(settings(tmp_path, f"https://localhost:{there.port}"), door="test") as generations:
            known = await generations.start(PICTURE)
        monkeypatch.setenv("SSL_CERT_FILE", str(identity(tmp_path / "other").issuer))
        async with Generations.open(settings(tmp_path, f"https://localhost:{there.port}"), door="test") as generations:
            with pytest.raises(ConnectionRejected, match=f"not lost.*wait {known.id}"):
                await generations.wait(known.id)
            assert (await generations.get(known.id)).status == "submitted"


async def test_a_service_that_does_not_speak_tls_is_told_at_once(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(lambda _: serve) as there:
        error, _ = await started(settings(tmp_path, f"https://localhost:{there.port}"))
    assert isinstance(error, ConnectionRejected)
    assert "no secure connection to localhost came about" in str(error)
    assert "nothing was paid" in str(error)


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "words"])
async def test_a_file_of_certificates_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    file = tmp_path / "ca.pem"
    if kind == "folder":
        file.mkdir()
    elif kind != "missing":
        file.write_text("" if kind == "empty" else "no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    error, known = await started(settings(tmp_path))
    assert isinstance(error, InvalidSettings)
    assert str(error).startswith("SSL_CERT_FILE cannot be used")
    assert "_ssl.c" not in str(error)
    assert known == []


async def test_a_log_of_keys_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(identity(tmp_path).issuer))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "none" / "keys"))
    error, known = await started(settings(tmp_path))
    assert str(error).startswith("SSLKEYLOGFILE cannot be used")
    assert known == []


@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
async def test_a_folder_of_certificates_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder = tmp_path / "certs"
    if kind == "file":
        folder.write_text("x")
    elif kind == "empty":
        folder.mkdir()
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    error, known = await started(settings(tmp_path))
    assert isinstance(error, InvalidSettings)
    assert str(error).startswith("SSL_CERT_DIR cannot be used")
    assert known == []


@pytest.fixture
def all_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which every setting of the network is wrong."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "ftp://nowhere:abc")
    monkeypatch.setenv("SSL_CERT_FILE", "/none.pem")
    monkeypatch.setenv("SSL_CERT_DIR", "/none")


@pytest.mark.usefixtures("all_wrong")
async def test_the_journal_is_read_whatever_the_network_is_set_to(tmp_path: Path) -> None:
    async with Generations.open(settings(tmp_path), door="test") as generations:
        assert await generations.recent() == []


@pytest.mark.usefixtures("all_wrong")
async def test_a_sandbox_on_this_machine_needs_no_network(generations: Generations) -> None:
    assert (await generations.wait((await generations.start(PICTURE)).id)).status == "stored"


@pytest.mark.usefixtures("all_wrong")
async def test_an_image_that_cannot_be_fetched_for_a_wrong_setting_can_be_later() -> None:
    async with Downloader() as downloader:
        with pytest.raises(ImageUnavailable, match="HTTPS_PROXY"):
            await downloader.download("https://example.com/image.png")


async def test_an_image_behind_a_proxy_that_refuses_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(refusing("403 Forbidden")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with Downloader() as downloader:
            with pytest.raises(ImageUnavailable, match="refused to connect: 403"):
                await downloader.download("https://example.com/image.png")
    assert proxy.connections == 1


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("api.example.com", FAR, True),
        ("example.com", FAR, True),
        (".example.com", FAR, True),
        ("*", FAR, True),
        ("api.example.com:443", FAR, True),
        ("api.example.com:8443", FAR, False),
        ("other.com, api.example.com", FAR, True),
        ("ample.com", FAR, False),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("fd00::/8", "https://[fd00::1]", True),
        ("", FAR, False),
        ("", "https://localhost:8443", True),
        ("", "https://127.9.9.9", True),
        ("", "https://[::1]:8443", True),
        ("", "https://a.localhost", True),
        ("", "https://localhost.example.com", False),
    ],
)
def test_hosts_that_no_proxy_names_and_this_machine_are_reached_directly(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str, direct: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (proxy_for(httpx2.URL(url)) is None) is direct


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "x.localhost", "127.0.0.1", "127.1.2.3", "[::1]", "::1"])
def test_this_machine_is_known_by_its_names(host: str) -> None:
    assert is_this_machine(host)


def test_one_context_serves_all_until_the_setting_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tls()
    assert tls() is first
    monkeypatch.setenv("SSL_CERT_FILE", str(identity(tmp_path).issuer))
    assert tls() is not first
    assert tls().verify_mode is ssl.CERT_REQUIRED
