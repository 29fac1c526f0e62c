from __future__ import annotations

import base64
import io
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
import pytest
from PIL import Image

from flux_nodes.sandbox import Sandbox, serving

Talk = Callable[..., AbstractAsyncContextManager[httpx2.AsyncClient]]
Order = Callable[..., dict[str, Any]]
Encoded = Callable[..., str]


# reading the system's certificates would take longer than most tests
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def talk() -> Talk:
    """Serve a sandbox, and give a client that holds its key."""

    @asynccontextmanager
    async def talking(sandbox: Sandbox, key: str = "sandbox") -> AsyncIterator[httpx2.AsyncClient]:
        with serving(sandbox) as server:
            headers = {"authorization": key} if key else {}
            async with httpx2.AsyncClient(
                base_url=server.url, headers=headers, timeout=60, verify=NO_CERTIFICATES
            ) as client:
                yield client

    return talking


@pytest.fixture
def order() -> Order:
    """Give a body that the service takes, with changes; a value of None leaves the field out."""

    def ordering(**changes: Any) -> dict[str, Any]:
        body = {"model": "flux-dev", "prompt": "a fox in the snow", "width": 256, "height": 256, **changes}
        return {name: value for name, value in body.items() if value is not None}

    return ordering


@pytest.fixture
def encoded() -> Encoded:
    """Give a plain image as base64."""

    def encoding(colour: str = "red", kind: str = "PNG") -> str:
        file = io.BytesIO()
        Image.new("RGB", (48, 32), colour).save(file, kind)
        return base64.b64encode(file.getvalue()).decode()

    return encoding
