"""Routes about how things are set: the state, the key, the sandbox's switch. No answer holds any part of a key."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ..core.errors import KeyRefused, ServiceError, ServiceUnreachable
from . import service
from .routes_exchange import Answer, Asked, Refused, document, told
from .routes_opening import opened

if TYPE_CHECKING:
    from ..core.settings import Settings
    from ..core.task import Account

MOST_KEY_BYTES = 4096
"""The longest body that may bring a key."""

_PATIENCE = 10.0
"""Seconds that the service has to tell of the account: a person waits for it."""


async def state(asked: Asked) -> Answer:
    """GET: tell what is set up, and how many generations of the service in use are unfinished."""
    del asked
    return told(await _state())


async def store_key(asked: Asked) -> Answer:
    """POST {"key": text}: keep the key in the settings file, readable by its owner only."""
    key = document(asked, most=MOST_KEY_BYTES).get("key")
    if not isinstance(key, str):
        raise Refused(HTTPStatus.BAD_REQUEST, 'The body must be {"key": "your APIFRAME key"}.')
    settings = await asyncio.to_thread(service.set_up)
    if service.key_of(settings) == "environment":
        raise Refused(
            HTTPStatus.CONFLICT,
            "The key comes from the environment (APIFRAME_API_KEY), which goes before a stored one; nothing was "
            "stored. Unset the variable and restart ComfyUI to set a key here.",
        )
    await asyncio.to_thread(settings.store_key, key)
    return told(await _state())


async def forget_key(asked: Asked) -> Answer:
    """DELETE: take the key out of the settings file. One that the environment holds stays."""
    del asked
    settings = await asyncio.to_thread(service.set_up)
    await asyncio.to_thread(settings.forget_key)
    return told(await _state())


async def account(asked: Asked) -> Answer:
    """GET: ask the service, free, for the account behind the key: {"credits": number, "plan": text}.

    It is the service that is set up, also while the sandbox's switch is on. Where it does not know the key, the answer
    is a conflict (409); 504 where it gives no answer in ten seconds, 502 where it answers anything else.
    """
    del asked
    found = await _account(await asyncio.to_thread(service.set_up))
    return told({"credits": found.credits, "plan": found.plan})


async def _account(settings: Settings) -> Account:
    async with opened(settings) as generations:
        try:
            return await asyncio.wait_for(generations.account(), _PATIENCE)
        except TimeoutError:
            sentence = f"The service has not answered in {_PATIENCE:g} seconds."
            raise Refused(HTTPStatus.GATEWAY_TIMEOUT, sentence) from None
        except KeyRefused:
            raise
        except ServiceUnreachable as error:
            raise Refused(HTTPStatus.GATEWAY_TIMEOUT, str(error)) from error
        except ServiceError as error:
            raise Refused(HTTPStatus.BAD_GATEWAY, str(error)) from error


async def switch_sandbox(asked: Asked) -> Answer:
    """POST {"on": bool}: turn the sandbox on, which serves it, or off."""
    on = document(asked).get("on")
    if not isinstance(on, bool):
        raise Refused(HTTPStatus.BAD_REQUEST, 'The body must be {"on": true} or {"on": false}.')
    settings = await asyncio.to_thread(service.set_up)
    await asyncio.to_thread(service.switch, settings.home, on=on)
    return told(await _state())


async def _state() -> dict[str, Any]:
    from .. import __version__

    settings = await asyncio.to_thread(service.set_up)
    return {
        "version": __version__,
        "key": service.key_of(settings),
        "sandbox": await asyncio.to_thread(service.is_switched_on, settings.home),
        **await _service_in_use(),
    }


async def _service_in_use() -> dict[str, Any]:
    settings: Settings = await service.settings_to_look()
    async with opened(settings) as generations:
        return {"service": settings.service_name, "unfinished": len(await generations.unfinished())}
