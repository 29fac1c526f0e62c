"""What the tools answer: the published shapes of their structured content, made from generations and the catalog."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from flux_nodes.core import catalog
from flux_nodes.core.errors import ImageUnavailable, StorageError
from flux_nodes.core.generation import Status  # noqa: TC001 - pydantic reads the annotation when it runs
from flux_nodes.core.money import money, says_unpaid
from flux_nodes.core.process import Owner
from mcp_server.pictures import picture_file

if TYPE_CHECKING:
    from pathlib import Path

    from flux_nodes.core import Generation, Generations
    from flux_nodes.core.journal import Spending
    from flux_nodes.core.task import Account

_SHOWN = 200
"""How much of a prompt a list repeats."""


class GenerationFacts(BaseModel):
    """One generation as it stands. Facts that are not known yet are left out."""

    generation_id: str = Field(description="Its id: give it to get_generation, view_image or image_prompt.")
    status: Status = Field(description="stored: the image is there. submitted, running, finished: it is on its way.")
    message: str = Field(description="How it stands, in words.")
    next: str = Field(description="What to do next.")
    model: str
    prompt: str
    seed: int | None = Field(default=None, description="Its seed: the one asked for, or one chosen at random.")
    task_id: str | None = Field(default=None, description="The service's own id of it.")
    percentage: int | None = Field(default=None, description="Progress, 0 to 100.")
    file: str | None = Field(
        default=None,
        description="Absolute path of the image, a PNG file that ComfyUI opens as the graph that makes it.",
    )
    original: str | None = Field(default=None, description="Absolute path of the service's own bytes, in any format.")
    signed: bool | None = Field(
        default=None,
        description="true: the original brings content credentials (C2PA). The file is a copy and leaves them out.",
    )
    width: int | None = Field(default=None, description="Pixels.")
    height: int | None = Field(default=None, description="Pixels.")
    sha256: str | None = Field(default=None, description="SHA-256 of the original.")
    credits: float | None = Field(default=None, description="What it cost, or will cost once the service takes it.")
    reused: bool = Field(default=False, description="true: it was there already, and this call cost nothing.")


async def generation_facts(generation: Generation, generations: Generations) -> GenerationFacts:
    """Tell one generation, with a file that is made for it if need be. Raises StorageError."""
    return GenerationFacts(
        generation_id=generation.id,
        status=generation.status,
        message=in_words(generation),
        next=_next(generation),
        model=generation.model,
        prompt=generation.prompt,
        seed=generation.seed,
        task_id=generation.task_id,
        percentage=generation.percentage,
        file=_path(await picture_file(generation, generations)),
        original=_path(generations.file(generation)),
        signed=await asyncio.to_thread(generations.is_signed, generation) if generation.status == "stored" else None,
        width=generation.width,
        height=generation.height,
        sha256=generation.sha256,
        credits=generation.credits,
        reused=generation.reused,
    )


def in_words(generation: Generation) -> str:
    """Say how a generation stands."""
    if generation.status == "running" and generation.percentage is not None:
        return f"The service is working on it: {generation.percentage} %."
    if generation.was_lost:
        return generation.message or "Its image was stored and is lost from the disk: it is fetched again, free."
    if generation.status == "intent" and not Owner.parse(generation.owner).can_be_looked_up:
        return "It was written down on another machine: nobody knows from here whether that still sends it."
    words: dict[Status, str] = {
        "intent": "The request is being sent to the service.",
        "submitted": "The service has taken it.",
        "running": "The service is working on it.",
        "finished": "The image is ready at the service and is being fetched.",
        "stored": "The image is stored.",
        "failed": "The service gave it up.",
        "refused": "It was never accepted.",
        "unconfirmed": "The answer of the service was lost.",
    }
    reused = "It was there already: this call cost nothing." if generation.reused else None
    cost = "" if says_unpaid(generation.message or "") else money(generation)
    return " ".join(part for part in (words[generation.status], generation.message, cost, reused) if part)


def _next(generation: Generation) -> str:
    if generation.is_unopened:
        return "Tell the user where the original is. view_image cannot show it, and no image_prompt can be made of it."
    if generation.status == "stored":
        return f"view_image with generation_id {generation.id} shows it; its file holds all pixels."
    return (
        f"Still running: call get_generation with generation_id {generation.id} and wait_seconds 50. "
        f"Waiting again is free. {_another(generation)}"
    )


def _another(generation: Generation) -> str:
    """Say what calling generate_image once more would do."""
    if generation.seed is None:
        return "Calling generate_image again starts and charges another one."
    return (
        f"Calling generate_image again starts and charges another one, unless it names seed {generation.seed} and "
        "everything else is the same: then it gives this one, free."
    )


def _path(file: Path | None) -> str | None:
    return None if file is None else str(file.absolute())


class Entry(BaseModel):
    """One line of a list of generations."""

    generation_id: str
    created_at: str = Field(description="UTC.")
    door: str = Field(description="Where it was started, such as assistant or terminal.")
    status: Status
    message: str
    model: str
    prompt: str = Field(description="Shortened when long.")
    file: str | None = None
    credits: float | None = None


class Spent(BaseModel):
    """What one door spent at one service on one day."""

    day: str = Field(description="UTC.")
    door: str
    service: str
    generations: int
    credits: float


class Entries(BaseModel):
    """Generations, the newest first, and what was spent in the last thirty days on which anything was."""

    generations: list[Entry]
    spending: list[Spent]


def spent(spending: Spending) -> Spent:
    """Tell what was spent."""
    return Spent.model_validate(asdict(spending))


async def entry(generation: Generation, generations: Generations) -> Entry:
    """Tell one generation in short; an image that is lost from the disk has no file."""
    prompt = generation.prompt
    file = None
    with suppress(StorageError, ImageUnavailable):
        file = await picture_file(generation, generations, collect=False)  # a list is looked at, and asks nobody
    return Entry(
        generation_id=generation.id,
        created_at=generation.created_at.isoformat(timespec="seconds"),
        door=generation.door,
        status=generation.status,
        message=in_words(generation),
        model=generation.model,
        prompt=prompt if len(prompt) <= _SHOWN else f"{prompt[:_SHOWN]}…",
        file=_path(file),
        credits=generation.credits,
    )


class ModelFacts(BaseModel):
    """One model."""

    name: str
    label: str
    description: str
    credits: int = Field(description="What one generation costs.")
    arguments: list[str] = Field(description="The arguments of generate_image that it takes.")


class ArgumentFacts(BaseModel):
    """One argument of generate_image."""

    name: str
    description: str
    allowed: str
    models: list[str]
    default: str | int | float | bool | None = Field(default=None, description="What the service takes when left out.")
    note: str | None = None


class Models(BaseModel):
    """The models, and the arguments that shape their images."""

    default_model: str
    models: list[ModelFacts]
    arguments: list[ArgumentFacts]


def models() -> Models:
    """Tell the catalog."""
    offered = [item for item in catalog.PARAMETERS if item.group == "picture"]
    return Models(
        default_model=catalog.DEFAULT_MODEL,
        models=[
            ModelFacts(
                name=model.name,
                label=model.label,
                description=model.description,
                credits=model.credits,
                arguments=[item.name for item in offered if item.taken_by(model.name)],
            )
            for model in catalog.MODELS
        ],
        arguments=[
            ArgumentFacts(
                name=item.name,
                description=item.description,
                allowed=catalog.allowed(item),
                models=list(item.models),
                default=item.default,
                note=catalog.guide_in_words(item) or None,
            )
            for item in offered
        ],
    )


class AccountFacts(BaseModel):
    """The account behind the key, without what names its owner."""

    credits: float
    plan: str
    total_images: int
    next_billing_date: str | None = None
    subscription_credits: float | None = None
    topup_credits: float | None = None


def account_facts(account: Account) -> AccountFacts:
    """Tell an account."""
    return AccountFacts.model_validate(account.model_dump())
