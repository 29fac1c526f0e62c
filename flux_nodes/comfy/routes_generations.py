"""Routes about generations of every door: lists, pictures, the graphs behind them, collecting what is unfinished."""

from __future__ import annotations

from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from ..core.errors import MissingKey
from . import service
from .routes_exchange import Answer, Asked, Refused, document, told
from .routes_opening import opened
from .telling import describe
from .words import shortened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from ..core.generation import Generation, Status
    from ..core.generations import Generations
    from ..core.settings import Settings

MOST = 200
"""The most generations of one list."""

_SHOWN: Mapping[str, Sequence[Status]] = {
    "all": (),
    "images": ("stored",),
    "unfinished": ("intent", "submitted", "running", "finished"),
    "failed": ("failed", "refused", "unconfirmed"),
}
_MOST_RECENT = 100
_MOST_WORDS = 200
_LONGEST_PROMPT = 40
_FOR_EVER = "private, max-age=31536000, immutable"


async def recent(asked: Asked) -> Answer:
    """GET: tell the newest stored generations of the service in use, each on one line that begins with its id."""
    del asked
    settings = await service.settings_to_look()
    async with opened(settings) as generations:
        found = await generations.recent(most=_MOST_RECENT, statuses=["stored"], service=settings.service_name)
    return told([_line(generation) for generation in found])


async def listed(asked: Asked) -> Answer:
    """GET ?words=…&most=50&show=all: tell the newest generations of every door that have all the words.

    Only those to `show` (_SHOWN); `more` says whether there are more of them.
    """
    words, most = asked.query.get("words", "")[:_MOST_WORDS], _most(asked.query.get("most", "50"))
    statuses = _shown(asked.query.get("show", "all"))
    async with opened(await service.settings_to_look()) as generations:
        found = await generations.recent(most=most + 1, statuses=statuses, words=words)
    return told({"generations": [describe(each) for each in found[:most]], "more": len(found) > most})


async def thumbnail(asked: Asked) -> Answer:
    """GET: give a small JPEG of a stored image."""
    from .thumbnails import thumbnail as made

    async with _pictured(asked) as (generations, generation):
        tag = f'"{generation.sha256}"'
        headers = {"Cache-Control": _FOR_EVER, "ETag": tag}
        if asked.headers.get("if-none-match") == tag:
            return Answer(status=HTTPStatus.NOT_MODIFIED, media_type="image/jpeg", headers=headers)
        try:
            return Answer(body=await made(generations, generation), media_type="image/jpeg", headers=headers)
        except FileNotFoundError as error:
            raise Refused(
                HTTPStatus.NOT_FOUND,
                f"The image of {generation.id} is no longer on the disk, or damaged. Open it, or collect what is "
                "unfinished: it is fetched again, free of charge, while the service keeps it.",
            ) from error


async def image(asked: Asked) -> Answer:
    """GET: give the image as a PNG that carries its graph and its facts."""
    from ..graph.provenance import file_name, picture

    async with _whole(asked) as (generations, generation):
        name = f'inline; filename="{file_name(generation)}"'
        headers = {"Content-Disposition": name, "Cache-Control": "private, no-cache"}
        return Answer(body=await picture(generations, generation), media_type="image/png", headers=headers)


async def original(asked: Asked) -> Answer:
    """GET: give the service's own bytes, to be saved: a signature in them holds."""
    from ..graph.provenance import file_stem

    async with _whole(asked) as (generations, generation):
        stored, data = generations.file(generation), await generations.data(generation)
        ending = "" if stored is None else stored.suffix
        name = f'attachment; filename="{file_stem(generation)}{ending}"'
        headers = {"Content-Disposition": name, "Cache-Control": "private, no-cache"}
        media_type = generation.media_type or "application/octet-stream"
        return Answer(body=data, media_type=media_type, headers=headers)


async def workflow(asked: Asked) -> Answer:
    """GET: give the graph that makes this image, as ComfyUI saves one."""
    from ..graph.provenance import texts

    async with opened(await service.settings_to_look()) as generations:
        generation = await generations.get(asked.parts["id"])
        drawing = (await texts(generations, generation)).get("workflow")
    if drawing is None:
        raise Refused(
            HTTPStatus.NOT_FOUND,
            f"The graph of {generation.id} was queued without its drawing, and has nodes that cannot be drawn here. "
            "Drop its image on the canvas: ComfyUI lays the nodes out by itself.",
        )
    return Answer(body=drawing.encode(errors="replace"), headers={"Cache-Control": "no-store"})


async def collect(asked: Asked) -> Answer:
    """POST {} or {"ids": […]}: follow unfinished generations to their stored images in the background, free of charge.

    Those that are settled already are left out of the answer. Raises UnknownGeneration, OtherService, MissingKey,
    Refused.
    """
    wanted = _ids(document(asked).get("ids"))
    settings = await service.settings()
    async with opened(settings) as generations:
        owed = await (generations.owed() if wanted is None else _owed(generations, wanted))
    ids = [generation.id for generation in owed]
    if ids:
        _keep(settings, ids)
    return told({"collecting": ids})


def _keep(settings: Settings, ids: Sequence[str]) -> None:
    from .keeper import collect as keep

    if settings.api_key is None:
        raise MissingKey("No API key is set, and collecting asks the service.")
    keep(settings, ids)


async def _owed(generations: Generations, ids: Sequence[str]) -> list[Generation]:
    known = [await generations.get(id_) for id_ in dict.fromkeys(ids)]
    owed = [generation for generation in known if not generation.settled]
    for generation in owed:
        generation.require_service(generations.settings.service_name)
    return owed


def _ids(value: object) -> list[str] | None:
    if value is None:
        return None
    if isinstance(value, list) and all(isinstance(item, str) and item.isascii() for item in value):
        return [str(item) for item in value]
    raise Refused(HTTPStatus.BAD_REQUEST, 'The body must be {} or {"ids": ["g-…", …]}.')


def _most(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST:
        return int(text)
    raise Refused(HTTPStatus.BAD_REQUEST, f"most is {text[:20]!r}; a whole number from 1 to {MOST} is allowed.")


def _shown(kind: str) -> Sequence[Status]:
    if kind in _SHOWN:
        return _SHOWN[kind]
    raise Refused(HTTPStatus.BAD_REQUEST, f"show is {kind[:20]!r}; allowed are {', '.join(_SHOWN)}.")


@asynccontextmanager
async def _pictured(asked: Asked) -> AsyncIterator[tuple[Generations, Generation]]:
    """Give the generation that the path names, if its image is stored. Raises UnknownGeneration, Refused."""
    async with opened(await service.settings_to_look()) as generations:
        generation = await generations.get(asked.parts["id"])
        if generation.status != "stored" and not generation.was_lost:
            raise Refused(HTTPStatus.NOT_FOUND, f"{generation.id} has no image: it is {generation.status}.")
        yield generations, generation


@asynccontextmanager
async def _whole(asked: Asked) -> AsyncIterator[tuple[Generations, Generation]]:
    """Give the same with its image whole: one that is damaged or missing on the disk is collected again, free.

    Raises ImageUnavailable too.
    """
    async with _pictured(asked) as (looking, generation):
        if await looking.holds(generation):
            yield looking, generation
            return
    async with opened(await service.settings()) as generations:  # in which the service can be asked
        yield generations, await generations.refresh(generation.id)


def _line(generation: Generation) -> str:
    """Tell a generation from its like. It is saved in graphs: nothing in it changes with time."""
    words = shortened(" ".join(generation.prompt.split()), _LONGEST_PROMPT)
    seed = "" if generation.seed is None else f"seed {generation.seed}"
    moment = f"{generation.created_at.astimezone():%Y-%m-%d %H:%M}"
    facts = " · ".join(fact for fact in (words, generation.model, seed, moment) if fact)
    return f"{generation.id} {facts}"
