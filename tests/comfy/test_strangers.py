"""What another site's page may make a browser send to the routes, and what no page but ComfyUI's own can."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from flux_nodes.comfy.routes import ROUTES, answered
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
