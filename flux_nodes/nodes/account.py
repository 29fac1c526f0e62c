"""The node that tells what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .face import Context, Node, Output, Result, Step
from .imagine import CATEGORY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def account(context: Context) -> AsyncGenerator[Step, None]:
    """Ask for the account's credits. Raises MissingKey and ServiceError."""
    found = await context.generations.account()
    yield Result((found.credits,), text=f"{found.credits:g} credits · {found.plan}")


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
