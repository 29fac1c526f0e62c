"""The node that tells what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .face import Context, Node, Output, Result, Step
from .imagine import CATEGORY
from .words import is_pretended, price

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def account(context: Context) -> AsyncGenerator[Step, None]:
    """Ask for the account's credits. Raises MissingKey and ServiceError."""
    found = await context.generations.account()
    pretended = is_pretended(context.generations.settings.service_name)
    of = "of the sandbox, pretended" if pretended else f"· {found.plan}"
    yield Result((found.credits,), text=f"{price(found.credits)} {of}")


ACCOUNT = Node(
    id="FluxAccount",
    label="FLUX Account",
    category=CATEGORY,
    description="Tells how many APIFRAME credits are left.",
    inputs=(),
    outputs=(Output(name="credits", type="FLOAT", label="Credits", tooltip="Credits left on the account."),),
    run=account,
    is_output=True,
    volatile=True,
    search=("credits", "balance", "cost", "money", "flux", "apiframe"),
)
