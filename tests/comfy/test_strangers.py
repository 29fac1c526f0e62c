"""What another site's page may make a browser send to the routes, and what no page but ComfyUI's own can."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from flux_nodes.comfy.routes import ROUTES, answered, listens_on_loopback_only
from flux_nodes.comfy.routes_exchange import MOST_BYTES, Asked
from flux_nodes.comfy.routes_settings import MOST_KEY_BYTES
from flux_nodes.core.settings import Settings
from tests.comfy.asking import ask

if TYPE_CHECKING:
    from flux_nodes.comfy.routes import Route

HOST = "127.0.0.1:8188"
STRANGERS = {
    "another site": {"origin": "https://example.org"},
    "another port": {"origin": "http://127.0.0.1:3000"},
    "another scheme's port": {"origin": "https://127.0.0.1"},
    "a page without an origin": {"origin": "null"},
    "a page without an origin, on a default port": {"origin": "null", "host": "127.0.0.1"},
    "an origin that is no address": {"origin": "http://[:80"},
    "a port that is none": {"origin": "http://127.0.0.1:port"},
    "a link or an image of another site": {"sec-fetch-site": "cross-site"},
    "another port of this machine": {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:3000"},
}
FRIENDS = {
    "a program": {},
    "ComfyUI's page": {"origin": f"http://{HOST}"},
    "ComfyUI's page in a browser that says so": {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"},
    "ComfyUI's page behind a proxy": {"origin": "https://comfy.example.org", "sec-fetch-site": "same-origin"},
    "a person who types the address": {"sec-fetch-site": "none"},
}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize("headers", STRANGERS.values(), ids=STRANGERS)
async def test_a_page_of_another_site_is_answered_nothing(route: Route, headers: dict[str, str]) -> None:
    asked = Asked(headers={"host": HOST, "content-type": "application/json", **headers}, body=b'{"key": "stolen"}')
    answer = await answered(route, asked)
    assert answer.status == 403
    assert "another site" in json.loads(answer.body)["error"]
    assert Settings.load().api_key is None


@pytest.mark.parametrize("headers", FRIENDS.values(), ids=FRIENDS)
async def test_comfyuis_own_page_and_programs_are_answered(headers: dict[str, str]) -> None:
    assert (await ask("GET", "/flux-nodes/catalog", headers={"host": HOST, **headers})).status == 200


REBOUND = {
    "another site's name": "evil.example:8188",
    "without a port": "evil.example",
    "in capitals, with a dot at its end": "EVIL.example.:8188",
    "that begins like this machine": "127.0.0.1.evil.example:8188",
    "that begins like localhost": "localhost.evil.example",
    "that ends like localhost": "evil-localhost:8188",
    "with a user before it": "localhost@evil.example:8188",
    "with this machine behind it": "evil.example@localhost",
    "with a path": "evil.example/@localhost",
    "two names": "localhost:8188,evil.example",
    "an address in the network": "192.168.1.5:8188",
    "all addresses": "0.0.0.0:8188",
    "an IPv6 address of elsewhere": "[2001:db8::1]:8188",
    "a mapped address of elsewhere": "[::ffff:8.8.8.8]:8188",
    "an empty one": "",
    "no name at all": ":8188",
    "half an address": "[::1",
    "not in ASCII": "lοcalhost:8188",
}
THIS_MACHINE = (
    "localhost",
    "LOCALHOST:8188",
    "localhost.:8188",
    "comfy.localhost:1234",
    "127.0.0.1:8188",
    "127.8.9.10",
    "[::1]:8188",
    "[::1]",
    "[::ffff:127.0.0.1]:80",
)
AS_OWN_PAGE = {"content-type": "application/json", "sec-fetch-site": "same-origin"}


@pytest.mark.parametrize("host", REBOUND.values(), ids=REBOUND)
async def test_a_name_that_was_rebound_to_this_machine_is_answered_nothing(host: str) -> None:
    Settings.load().store_key("kept")
    headers = {**AS_OWN_PAGE, "host": host, "origin": f"http://{host}"}
    for route in ROUTES:
        answer = await answered(route, Asked(headers=headers, body=b'{"key": "stolen"}', loopback_only=True))
        assert answer.status == 403
        assert "FLUX_NODES_ALLOWED_HOSTS" in json.loads(answer.body)["error"]
    key = Settings.load().api_key
    assert key is not None
    assert key.get_secret_value() == "kept"


async def catalog_status(host: str | None, *, loopback_only: bool = True) -> int:
    headers = AS_OWN_PAGE if host is None else {**AS_OWN_PAGE, "host": host}
    (route,) = [route for route in ROUTES if route.path == "/flux-nodes/catalog"]
    return (await answered(route, Asked(headers=headers, loopback_only=loopback_only))).status


@pytest.mark.parametrize("host", THIS_MACHINE)
async def test_every_name_of_this_machine_is_answered(host: str) -> None:
    assert await catalog_status(host) == 200


async def test_a_program_that_names_no_host_is_answered() -> None:
    assert await catalog_status(None) == 200


async def test_any_name_is_answered_where_comfyui_listens_to_others_too() -> None:
    assert await catalog_status("comfy.example.org:8188", loopback_only=False) == 200


async def test_the_name_of_a_proxy_is_answered_once_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLUX_NODES_ALLOWED_HOSTS", "comfy.example.org, Other.example.")
    assert [await catalog_status(f"{name}:443") for name in ("comfy.example.org", "other.EXAMPLE")] == [200, 200]
    assert await catalog_status("evil.example") == 403
    assert await catalog_status("comfy.example.org.evil.example") == 403


async def test_nobody_is_allowed_by_settings_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLUX_NODES_TIMEOUT", "soon")
    monkeypatch.setenv("FLUX_NODES_ALLOWED_HOSTS", "comfy.example.org")
    assert await catalog_status("comfy.example.org") == 403


@pytest.mark.parametrize(
    ("listen", "is_alone"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1,::1", True),
        ("127.2.2.2, localhost", True),
        ("0.0.0.0,::", False),
        ("127.0.0.1,192.168.1.5", False),
        ("::", False),
        ("", False),
        ("comfy.example.org", False),
    ],
)
def test_where_comfyui_listens_tells_whether_this_machine_is_alone(
    listen: str, is_alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ModuleType("comfy.cli_args")
    monkeypatch.setattr(arguments, "args", SimpleNamespace(listen=listen), raising=False)
    monkeypatch.setitem(sys.modules, "comfy", ModuleType("comfy"))
    monkeypatch.setitem(sys.modules, "comfy.cli_args", arguments)
    assert listens_on_loopback_only() is is_alone


async def test_a_default_port_is_the_same_whether_it_is_named_or_not() -> None:
    for host, origin in (("example.org", "http://example.org:80"), ("example.org:443", "https://EXAMPLE.org")):
        assert (await ask("GET", "/flux-nodes/catalog", headers={"host": host, "origin": origin})).status == 200


WITH_BODY = ["/flux-nodes/key", "/flux-nodes/sandbox", "/flux-nodes/collect"]
AS_FORMS_SEND_IT = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""]


@pytest.mark.parametrize("media_type", AS_FORMS_SEND_IT)
@pytest.mark.parametrize("path", WITH_BODY)
async def test_what_a_form_can_send_is_not_taken(path: str, media_type: str) -> None:
    assert (await ask("POST", path, {"key": "k", "on": True}, headers={"content-type": media_type})).status == 415


async def test_json_is_taken_with_its_charset_named() -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert (await ask("POST", "/flux-nodes/sandbox", {"on": False}, headers=headers)).status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"key"', b"[" * 4000, b"\xff", b'{"key": 5}', b"{}"])
@pytest.mark.parametrize("path", ["/flux-nodes/key", "/flux-nodes/sandbox"])
async def test_a_body_that_is_not_what_a_route_takes_is_refused_in_words(path: str, body: bytes) -> None:
    answer = await ask("POST", path, body)
    assert answer.status == 400
    assert "body" in json.loads(answer.body)["error"]


async def test_a_body_that_is_too_long_is_refused() -> None:
    long = {"key": "k" * MOST_KEY_BYTES}
    assert (await ask("POST", "/flux-nodes/key", long)).status == 413
    assert (await ask("POST", "/flux-nodes/collect", {"ids": ["g" * MOST_BYTES]})).status == 413
    assert Settings.load().api_key is None
