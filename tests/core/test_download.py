from __future__ import annotations

import asyncio
import gzip
import io
import tracemalloc
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import SecretStr

from flux_nodes.core import Generations, ImagineRequest, Settings
from flux_nodes.core.address import Address, Reach, special
from flux_nodes.core.client import ApiframeClient
from flux_nodes.core.download import Downloaded, Downloader, Patience
from flux_nodes.core.errors import ImageUnavailable, InvalidSettings
from flux_nodes.core.retry import Policy
from flux_nodes.sandbox import Fault, Sandbox
from tests.core.test_request import png
from tests.core.wires import identity

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

QUICK = Policy(first=0.01, longest=0.02, deadline=5)
ONCE = Policy(deadline=0)
LOOPBACK = "http://127.0.0.1:1"
PUBLIC_NAME = "pictures.example.com"


class Names:
    """A resolver that knows one answer after the other; the last one stays. It remembers what it was asked for."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[Address]:  # noqa: ARG002 - a resolver is told the port
        self.asked.append(host)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        return [ip_address(each) for each in answer]


@dataclass
class Host:
    """A server on this machine: its port, and the head of each request that it heard."""

    port: int
    heard: list[str] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def hosting(reply: bytes, *, stays: bool = False, secure: ssl.SSLContext | None = None) -> AsyncIterator[Host]:
    """Answer every request with these bytes, and then end the connection, or keep it open and silent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host.connections += 1
        try:
            host.heard.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(reply)
            await writer.drain()
            if stays:
                await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=secure)
    host = Host(server.sockets[0].getsockname()[1])
    try:
        yield host
    finally:
        server.close()


def ok(body: bytes, *headers: str, length: int | None = None) -> bytes:
    head = ["HTTP/1.1 200 OK", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


async def fetched(url: str, **options: Any) -> Downloaded:
    async with Downloader(**{"base_url": LOOPBACK, "policy": QUICK, **options}) as downloader:
        return await downloader.download(url)


async def refusal(url: str, **options: Any) -> str:
    with pytest.raises(ImageUnavailable) as caught:
        await fetched(url, **options)
    return str(caught.value)


def image_requests(sandbox: Sandbox) -> int:
    return sum(request.path.startswith("/images/") for request in sandbox.requests)


@pytest.fixture
async def image_url(url: str) -> str:
    """The address of a finished image of 256 pixels a side."""
    request = ImagineRequest(model="flux-pro-1.1", prompt="a sunflower field", width=256, height=256)
    async with ApiframeClient(key=SecretStr("sandbox"), base_url=url) as client:
        task = await client.fetch(await client.submit(request))
    assert task.image_url is not None
    return task.image_url


async def test_an_image_comes_whole_and_is_known_by_its_content(image_url: str) -> None:
    image = await fetched(image_url)
    assert (image.facts.media_type, image.facts.width, image.facts.height) == ("image/png", 256, 256)
    assert image.data.startswith(b"\x89PNG")


REFUSED_HOSTS = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.8.9.10",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127%2e0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "0",
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.7",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:8.8.8.8]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::808:808]",
    "[2001:0:7f00:1::]",
    "[2002:7f00:1::]",
    "[2001:db8::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fec0::1]",
    "[ff02::1]",
    "[4000::1]",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "a.localhost",
    "localhost.localdomain",
    "printer",
    "printer.local",
    "router.lan",
    "nas.home.arpa",
    "metadata",
    "metadata.google.internal",
    "metadata.google.internal.",
    "metadata.goog",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
    "two%20words.example.com",
]


@pytest.mark.parametrize("host", REFUSED_HOSTS)
async def test_an_address_that_is_not_public_is_refused_at_once_and_nothing_is_connected(host: str) -> None:
    names = Names(["127.0.0.1"])
    async with hosting(ok(png())) as listening:
        address = f"https://{host}:{listening.port}/x.png?token=canary"
        said = await refusal(address, base_url="https://8.8.8.8", resolve=names)
    assert listening.connections == 0
    assert names.asked == []
    assert "canary" not in said


@pytest.mark.parametrize("host", REFUSED_HOSTS)
async def test_the_same_addresses_are_refused_through_a_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    async with hosting(b"HTTP/1.1 502 Bad Gateway\r\n\r\n") as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        await refusal(f"https://{host}/x.png", base_url=None, policy=ONCE, resolve=Names(["127.0.0.1"]))
    assert proxy.connections == 0


async def test_a_proxy_is_asked_for_a_public_name_which_it_looks_up_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    names = Names(["127.0.0.1"])
    async with hosting(b"HTTP/1.1 403 Forbidden\r\n\r\n") as proxy:
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.port}")
        await refusal(f"https://{PUBLIC_NAME}/x.png", policy=ONCE, resolve=names)
    assert proxy.heard[0].startswith(f"CONNECT {PUBLIC_NAME}:443 ")
    assert names.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x.png",
        "//pictures.example.com/x.png",
        "https://",
        "https:///x.png",
        "https://..",
        "https://[",
        "https://pictures.example.com:0/x.png",
        "https://pictures.example.com:99999/x.png",
        "https://user:canary@pictures.example.com/x.png",
        "http://pictures.example.com/canary.png",
        "ftp://pictures.example.com/canary.png",
        "file:///etc/passwd?canary",
        "data:image/png;base64,canary",
    ],
)
async def test_what_is_no_plain_https_address_is_refused_without_a_look_up(address: str) -> None:
    names = Names(["8.8.8.8"])
    said = await refusal(address, base_url="https://8.8.8.8", resolve=names)
    assert names.asked == []
    assert "canary" not in said


@pytest.mark.parametrize("answer", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "64:ff9b::7f00:1"])
async def test_a_name_that_leads_to_an_address_that_is_not_public_is_refused_at_once(answer: str) -> None:
    names = Names([answer])
    async with hosting(ok(png())) as listening:
        said = await refusal(f"https://{PUBLIC_NAME}:{listening.port}/?token=canary", base_url=None, resolve=names)
    assert answer in said
    assert "canary" not in said
    assert names.asked == [PUBLIC_NAME]
    assert listening.connections == 0


async def test_of_mixed_addresses_only_the_public_ones_are_left() -> None:
    reach = Reach(resolve=Names(["10.0.0.1", "93.184.215.14", "::1", "2606:4700::1111"]))
    left = await reach.addresses(PUBLIC_NAME, 443)
    assert [str(each) for each in left] == ["93.184.215.14", "2606:4700::1111"]


async def test_an_address_is_checked_and_connected_to_in_one_look_up(image_url: str) -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    image = await fetched(image_url.replace("127.0.0.1", PUBLIC_NAME), resolve=names)
    assert image.facts.width == 256
    assert names.asked == [PUBLIC_NAME]


async def test_a_name_that_leads_elsewhere_at_its_second_look_up_is_refused_then(
    sandbox: Sandbox, image_url: str
) -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    async with hosting(ok(png())) as other:
        sandbox.inject(Fault(where="image", kind="redirect", location=f"http://{PUBLIC_NAME}:{other.port}/"))
        said = await refusal(image_url.replace("127.0.0.1", PUBLIC_NAME), resolve=names)
    assert "10.0.0.1" in said
    assert names.asked == [PUBLIC_NAME, PUBLIC_NAME]
    assert other.connections == 0


async def test_a_dead_address_gives_way_to_the_next_one(image_url: str) -> None:
    # Nothing listens on ::1 at the sandbox's port.
    image = await fetched(image_url.replace("127.0.0.1", PUBLIC_NAME), resolve=Names(["::1", "127.0.0.1"]))
    assert image.facts.width == 256


async def test_a_name_that_cannot_be_looked_up_is_asked_for_again_while_there_is_time() -> None:
    class Unknown(Names):
        async def __call__(self, host: str, port: int) -> list[Address]:
            await super().__call__(host, port)
            raise OSError("no such name")

    names = Unknown(["8.8.8.8"])
    said = await refusal(f"https://{PUBLIC_NAME}/", resolve=names, policy=Policy(first=0.01, longest=0.02, deadline=1))
    assert "no such name" in said
    assert len(names.asked) > 2


async def test_the_system_is_asked_where_no_other_resolver_is_given(image_url: str, url: str) -> None:
    assert (await fetched(image_url.replace("127.0.0.1", "localhost"), base_url=url)).facts.width == 256


OWN = {"flux.lan": ["10.0.0.5"], PUBLIC_NAME: ["10.0.0.5", "10.0.0.6"], "api.example.com": ["8.8.8.8"]}


async def own_names(host: str, port: int) -> list[Address]:  # noqa: ARG001 - a resolver is told the port
    return [ip_address(each) for each in OWN[host]]


@pytest.mark.parametrize("base", ["https://flux.lan", "https://10.0.0.5:8443"])
async def test_beside_public_addresses_only_those_of_the_services_own_host_are_allowed(base: str) -> None:
    own = Reach(base, resolve=own_names)
    assert await own.addresses(PUBLIC_NAME, 443) == [IPv4Address("10.0.0.5")]
    with pytest.raises(ImageUnavailable, match=r"10\.0\.0\.6"):
        await own.addresses("10.0.0.6", 443)
    with pytest.raises(ImageUnavailable, match="loopback"):
        await own.addresses("127.0.0.1", 443)
    with pytest.raises(ImageUnavailable, match="private"):
        await Reach("https://api.example.com", resolve=own_names).addresses(PUBLIC_NAME, 443)


async def test_plain_http_is_for_a_service_on_this_machine_that_speaks_it_itself() -> None:
    async with hosting(ok(png())) as listening:
        image = f"http://127.0.0.1:{listening.port}/"
        assert "allowed: https" in await refusal(image, base_url="https://localhost:8443")
        assert "allowed: https" in await refusal(image, base_url="http://flux.lan")
        assert listening.connections == 0
        assert (await fetched(image, base_url="http://localhost:8000")).facts.width == 32


PUBLIC = ["8.8.8.8", "11.0.0.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1"]


@pytest.mark.parametrize("address", [*PUBLIC, "2606:4700::1111", "2001:4860:4860::8888", "64:ff9b::808:808"])
def test_the_addresses_of_public_hosts_are_let_through(address: str) -> None:
    assert special(ip_address(address)) is None


def is_not_global(address: Address) -> bool:
    """What the standard library says of an address; multicast is global to it."""
    return not address.is_global or address.is_multicast or address.is_private or address.is_link_local


@given(st.ip_addresses(v=4).filter(is_not_global))
def test_no_ipv4_address_that_is_not_global_passes_in_any_form(address: IPv4Address) -> None:
    inside = int(address)
    forms = [0, 0xFFFF << 32, 0x64FF9B << 96, 0x64FF9B0001 << 80, 0x2001 << 112]
    assert special(address)
    assert all(special(IPv6Address(form | inside)) for form in forms)
    assert special(IPv6Address(0x2002 << 112 | inside << 80))


@given(st.ip_addresses(v=6).filter(is_not_global))
def test_no_ipv6_address_that_is_not_global_passes(address: IPv6Address) -> None:
    assert special(address)


async def test_a_redirect_is_followed_and_neither_request_carries_the_key(
    generations: Generations, sandbox: Sandbox, url: str
) -> None:
    started = await generations.start(ImagineRequest(model="flux-pro-1.1", prompt="x", width=256, height=256))
    async with ApiframeClient(key=SecretStr("sandbox"), base_url=url) as client:
        location = (await client.fetch(started.task_id or "")).image_url
    sandbox.inject(Fault(where="image", kind="redirect", location=location))
    assert (await generations.wait(started.id)).status == "stored"
    asked = [request.headers for request in sandbox.requests if request.path.startswith("/images/")]
    assert len(asked) == 2
    assert all(set(headers) == {"host", "user-agent", "accept", "accept-encoding"} for headers in asked)
    assert any("authorization" in request.headers for request in sandbox.requests)


@pytest.mark.parametrize(
    "location",
    [
        "https://10.0.0.1/?token=canary",
        "https://169.254.169.254/latest/meta-data?canary",
        "http://metadata.google.internal/canary",
        "//192.168.0.1/canary",
        "http://[::ffff:127.0.0.1]/canary",
        "https://user:canary@pictures.example.com/",
        "file:///etc/passwd?canary",
        "https://pictures.example.com:canary/",
    ],
)
async def test_a_redirect_to_where_no_image_may_come_from_is_refused_at_once(
    sandbox: Sandbox, image_url: str, location: str
) -> None:
    sandbox.inject(Fault(where="image", kind="redirect", location=location, times=None))
    assert "canary" not in await refusal(image_url, resolve=Names(["8.8.8.8"]))
    assert image_requests(sandbox) == 1


async def test_a_redirect_without_end_is_refused(sandbox: Sandbox, image_url: str) -> None:
    sandbox.inject(Fault(where="image", kind="redirect", location=image_url, times=None))
    assert "redirected" in await refusal(image_url)
    assert image_requests(sandbox) == 4


@pytest.mark.parametrize("kind", ["truncated", "not-image", "html", "empty", "reset", "lost-before", "missing"])
async def test_a_passing_fault_is_ridden_out(sandbox: Sandbox, image_url: str, kind: Any) -> None:
    sandbox.inject(Fault(where="image", kind=kind, times=2))
    assert (await fetched(image_url)).facts.width == 256
    assert image_requests(sandbox) == 3


async def test_pixels_that_are_cut_off_the_same_each_time_are_asked_for_four_times_and_kept(
    sandbox: Sandbox, image_url: str
) -> None:
    sandbox.inject(Fault(where="image", kind="truncated", times=None))
    image = await fetched(image_url)
    assert (image.facts.media_type, image.facts.width) == ("image/png", None)
    assert image_requests(sandbox) == 4


@pytest.mark.parametrize("kind", ["not-image", "empty"])
async def test_what_stays_unusable_is_asked_for_four_times(sandbox: Sandbox, image_url: str, kind: Any) -> None:
    sandbox.inject(Fault(where="image", kind=kind, times=None))
    assert "no usable image" in await refusal(image_url)
    assert image_requests(sandbox) == 4


async def test_an_image_whose_metadata_cannot_be_read_is_still_the_image_that_was_paid() -> None:
    target = io.BytesIO()
    Image.new("RGB", (8, 8)).save(target, "WEBP", exif=b"Exif\0\0MM\0\x17\0\0\0\x08")
    async with hosting(ok(target.getvalue())) as host:
        assert (await fetched(f"http://127.0.0.1:{host.port}/")).facts.width == 8


@pytest.mark.parametrize("kind", ["refuse", "reset", "missing"])
async def test_what_costs_no_whole_image_is_asked_for_as_long_as_there_is_time(
    sandbox: Sandbox, image_url: str, kind: Any
) -> None:
    sandbox.inject(Fault(where="image", kind=kind, times=6))
    assert (await fetched(image_url, policy=Policy(first=0.01, longest=0.02, deadline=30))).facts.width == 256
    sandbox.inject(Fault(where="image", kind=kind, times=None))
    await refusal(image_url, policy=Policy(first=0.01, longest=0.02, deadline=0.1))


async def test_an_image_of_another_kind_than_it_says_is_taken_for_what_it_is(sandbox: Sandbox, image_url: str) -> None:
    sandbox.inject(Fault(where="image", kind="wrong-format"))
    image = await fetched(image_url)
    assert (image.facts.media_type, image.facts.extension) == ("image/gif", ".gif")


@pytest.mark.parametrize("kind", ["huge", "endless"])
async def test_more_bytes_than_allowed_are_refused_and_not_asked_for_again(
    sandbox: Sandbox, image_url: str, kind: Any
) -> None:
    sandbox.inject(Fault(where="image", kind=kind, times=None))
    assert "larger" in await refusal(image_url, most_bytes=2**20)
    assert image_requests(sandbox) == 1


async def test_a_length_over_the_limit_is_refused_before_any_of_it_comes() -> None:
    async with hosting(ok(b"", length=1001), stays=True) as host:
        assert "larger" in await refusal(f"http://127.0.0.1:{host.port}/", most_bytes=1000)


async def test_an_image_of_exactly_the_bytes_allowed_is_taken(image_url: str) -> None:
    size = len((await fetched(image_url)).data)
    assert len((await fetched(image_url, most_bytes=size)).data) == size
    assert "larger" in await refusal(image_url, most_bytes=size - 1)


async def test_an_encoding_that_was_not_asked_for_is_undone_within_the_limit() -> None:
    for body, headers in ((gzip.compress(png()), "gzip"), (gzip.compress(png()), "X-GZIP")):
        async with hosting(ok(body, f"Content-Encoding: {headers}")) as host:
            image = await fetched(f"http://127.0.0.1:{host.port}/")
        assert image.data == png()
        assert "accept-encoding: identity" in host.heard[0].lower()


async def test_bytes_that_swell_when_unpacked_are_refused_without_unpacking_them_all() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    async with hosting(ok(bomb, "Content-Encoding: gzip")) as host:
        tracemalloc.start()
        try:
            assert "larger" in await refusal(f"http://127.0.0.1:{host.port}/", most_bytes=100_000)
            assert tracemalloc.get_traced_memory()[1] < 5_000_000
        finally:
            tracemalloc.stop()
    assert len(bomb) < 100_000
    assert len(host.heard) == 1


async def test_an_encoding_that_cannot_be_undone_is_refused() -> None:
    async with hosting(ok(png(), "Content-Encoding: br")) as host:
        assert "encoding" in await refusal(f"http://127.0.0.1:{host.port}/")
    async with hosting(ok(png(), "Content-Encoding: gzip")) as host:
        assert "unpacked" in await refusal(f"http://127.0.0.1:{host.port}/")


@pytest.mark.parametrize("side", [9_000, 12_000, 20_000])
async def test_a_small_file_of_very_many_pixels_is_refused_and_not_asked_for_again(
    sandbox: Sandbox, image_url: str, side: int
) -> None:
    sandbox.inject(Fault(where="image", kind="bomb", size=side, times=None))
    assert "pixels" in await refusal(image_url)
    assert image_requests(sandbox) == 1


async def test_the_most_pixels_can_be_set(settings: Settings, sandbox: Sandbox) -> None:
    lower = settings.model_copy(update={"max_image_megapixels": 1})
    async with Generations.open(lower, door="test") as generations:
        started = await generations.start(ImagineRequest(model="flux-pro-1.1", prompt="x", width=1024, height=1024))
        with pytest.raises(ImageUnavailable, match="1,000,000"):
            await generations.wait(started.id)
    assert image_requests(sandbox) == 1


def test_the_most_pixels_are_read_from_the_environment(tmp_path: Path) -> None:
    def load(value: str) -> int:
        spoken = {"FLUX_NODES_HOME": str(tmp_path), "FLUX_NODES_MAX_IMAGE_MEGAPIXELS": value}
        return Settings.load(spoken).max_image_megapixels

    assert load("5") == 5
    for value in ("0", "65", "many"):
        with pytest.raises(InvalidSettings, match="FLUX_NODES_MAX_IMAGE_MEGAPIXELS"):
            load(value)


async def test_bytes_that_drip_are_given_up(sandbox: Sandbox, image_url: str) -> None:
    sandbox.inject(Fault(where="image", kind="slow", seconds=20, times=None))
    patience = Patience(grace=0, slowest=10**9)
    with anyio.fail_after(15):  # its first bytes come after one second, its last after twenty
        assert "bytes a second" in await refusal(image_url, policy=ONCE, patience=patience)


async def test_a_silent_host_is_given_up() -> None:
    async with hosting(b"", stays=True) as host:
        with anyio.fail_after(60):
            await refusal(f"http://127.0.0.1:{host.port}/", policy=ONCE, patience=Patience(silence=0.05))
    assert len(host.heard) == 1


async def test_all_tries_together_have_one_deadline() -> None:
    async with hosting(ok(b"\x89PNG", length=100), stays=True) as host:
        with anyio.fail_after(60):
            assert "within 0.2 seconds" in await refusal(f"http://127.0.0.1:{host.port}/", patience=Patience(whole=0.2))


async def test_tls_asks_for_the_name_although_the_connection_is_to_a_checked_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = identity(tmp_path, name=PUBLIC_NAME)
    monkeypatch.setenv("SSL_CERT_FILE", str(own.issuer))
    async with hosting(ok(png()), secure=own.server()) as host:
        names = Names(["127.0.0.1"])
        assert (await fetched(f"https://{PUBLIC_NAME}:{host.port}/", resolve=names)).facts.width == 32
        said = await refusal(f"https://other.example.com:{host.port}/", resolve=names, policy=ONCE)
        assert "certificate" in said.lower()
    assert len(host.heard) == 1
