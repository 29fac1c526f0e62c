"""What is stored is what is read: a damaged or missing file is noticed by its digest, and collected again for free."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from flux_nodes.core import Generation, Generations
from flux_nodes.core.errors import ImageUnavailable, StorageError
from flux_nodes.core.store import GRAPH, ImageStore
from flux_nodes.nodes import Context
from flux_nodes.nodes.kept_image import kept_image
from flux_nodes.nodes.load import load_generation
from flux_nodes.sandbox import Fault
from tests.core.test_generations import field
from tests.core.test_request import png

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from flux_nodes.core import Settings
    from flux_nodes.sandbox import Sandbox

    Harm = Callable[[Path], object]
    Door = Callable[[Generations, Generation], Awaitable[object]]


def overwrite(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:200] + bytes(30) + data[230:])


def truncate(file: Path) -> None:
    os.truncate(file, 300)


def empty(file: Path) -> None:
    os.truncate(file, 0)


def append(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"more")


def replace_by_another_image(file: Path) -> None:
    file.write_bytes(png())


def put_a_link_to_nothing(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.with_name("nothing"))


def delete(file: Path) -> None:
    file.unlink()


HARMS = [truncate, empty, append, replace_by_another_image, put_a_link_to_nothing, delete]


async def wait(generations: Generations, known: Generation) -> None:
    assert (await generations.wait(known.id)).status == "stored"


async def generate(generations: Generations, known: Generation) -> None:
    again = await generations.start(field(seed=1))
    assert (again.id, again.reused) == (known.id, True)
    await wait(generations, again)


async def resume(generations: Generations, known: Generation) -> None:
    async with aclosing(generations.resume()) as moves:
        assert {moved.id async for moved in moves} == {known.id}


async def status(generations: Generations, known: Generation) -> None:
    assert (await generations.refresh(known.id)).status == "stored"


async def read(generations: Generations, known: Generation) -> None:
    assert len(await generations.data(known)) == known.size


async def pixels(generations: Generations, known: Generation) -> None:
    assert (await generations.array(known)).shape == (1, 256, 256, 3)


async def node(generations: Generations, known: Generation) -> None:
    async with aclosing(load_generation(Context(generations=generations), generation_id=known.id)) as steps:
        async for _ in steps:
            continue


async def stored(generations: Generations) -> tuple[Generation, Path, bytes]:
    """Make a picture; return it with its file and its bytes."""
    made = await generations.wait((await generations.start(field(seed=1))).id)
    file = generations.file(made)
    assert file is not None
    return made, file, await asyncio.to_thread(file.read_bytes)


@pytest.mark.parametrize(
    ("door", "harm"),
    [
        *((door, overwrite) for door in (wait, generate, resume, status, read, pixels, node)),
        *((wait, harm) for harm in HARMS),
        *((resume, harm) for harm in HARMS),
    ],
    ids=lambda one: one.__name__,
)
async def test_an_image_that_was_harmed_on_the_disk_is_collected_again_for_free_by_every_door(
    generations: Generations, sandbox: Sandbox, door: Door, harm: Harm
) -> None:
    made, file, data = await stored(generations)
    await asyncio.to_thread(harm, file)

    await door(generations, made)

    assert await asyncio.to_thread(file.read_bytes) == data
    known = await generations.get(made.id)
    assert (known.status, known.sha256, known.message) == ("stored", made.sha256, None)
    assert sandbox.charges == 1


async def test_an_image_that_the_service_no_longer_knows_is_had_from_where_it_was(
    generations: Generations, sandbox: Sandbox, settings: Settings
) -> None:
    made, file, data = await stored(generations)
    await asyncio.to_thread(overwrite, file)
    sandbox.inject(Fault(where="fetch", kind="refuse", status=400, body='{"errors":[{"msg":"Task not found"}]}'))
    assert await generations.data(made) == data
    await asyncio.to_thread(overwrite, file)
    async with Generations.open(settings.model_copy(update={"api_key": None}), door="keyless") as keyless:
        assert (await keyless.wait(made.id)).status == "stored"
    assert await asyncio.to_thread(file.read_bytes) == data


@pytest.mark.parametrize("door", [wait, read, status], ids=lambda door: door.__name__)
async def test_an_image_that_is_nowhere_any_more_is_told_with_all_that_is_known(
    generations: Generations, sandbox: Sandbox, door: Door
) -> None:
    made, file, data = await stored(generations)
    await asyncio.to_thread(truncate, file)
    sandbox.inject(
        Fault(where="fetch", kind="refuse", status=400, body='{"errors":[{"msg":"Task not found"}]}', times=None)
    )
    sandbox.inject(Fault(where="image", kind="redirect", location="https://10.1.2.3/x.png", times=None))
    for _ in range(2):
        with pytest.raises(ImageUnavailable) as caught:
            await door(generations, made)
        words = str(caught.value)
        assert caught.value.generation_id == made.id
        assert all(part in words for part in (made.id, str(file), "changed or damaged", "Task not found", "--fresh"))
        assert "Nothing was paid now" in words
    known = await generations.get(made.id)
    assert (known.status, known.sha256, generations.file(known)) == ("finished", made.sha256, None)
    assert await generations.unfinished() == await generations.owed() == []

    file.write_bytes(data)  # somebody finds a copy

    assert (await generations.wait(made.id)).status == "stored"
    assert await generations.data(await generations.get(made.id)) == data
    assert sandbox.charges == 1


async def test_what_cannot_be_asked_just_now_is_owed_until_it_can_be(
    generations: Generations, sandbox: Sandbox
) -> None:
    made, file, data = await stored(generations)
    file.unlink()
    sandbox.inject(Fault(where="fetch", kind="refuse", status=401))
    sandbox.inject(Fault(where="image", kind="redirect", location="https://10.1.2.3/x.png"))
    with pytest.raises(ImageUnavailable, match="API key"):
        await generations.wait(made.id)
    assert [one.id for one in await generations.unfinished()] == [made.id]
    await resume(generations, made)
    assert file.read_bytes() == data


async def test_only_what_was_harmed_is_asked_for_again(generations: Generations, sandbox: Sandbox) -> None:
    kept, *others = [await generations.wait((await generations.start(field(seed=seed))).id) for seed in range(3)]
    for number, other in enumerate(others):
        file = generations.file(other)
        assert file is not None
        (overwrite if number else truncate)(file)
    before = len(sandbox.requests)
    async with aclosing(generations.resume()) as moves:
        assert {moved.id async for moved in moves} == {other.id for other in others}
    assert kept.status == "stored"
    assert sum(request.path == "/fetch" for request in sandbox.requests[before:]) == len(others)


async def test_an_image_prompt_that_was_damaged_is_not_sent_and_mends_when_it_is_given_again(
    generations: Generations, sandbox: Sandbox, settings: Settings
) -> None:
    asked = field(image_prompt=png())
    sandbox.inject(Fault(where="submit", kind="refuse", status=400))
    with pytest.raises(Exception, match="refused"):
        await generations.start(asked)
    (refused,) = await generations.recent()
    digest = str(refused.request["image_prompt"]).removeprefix("sha256:")
    file = settings.images / digest[:2] / digest
    overwritten = b"x" * file.stat().st_size
    file.write_bytes(overwritten)

    with pytest.raises(StorageError, match=r"changed or damaged.*Nothing was sent"):
        await generations.again(refused.id)
    with pytest.raises(StorageError, match="changed or damaged"):
        await generations.kept_image(digest)
    steps = kept_image(Context(generations=generations), sha256=digest)
    with pytest.raises(StorageError, match="image prompt"):
        await anext(steps)
    assert sandbox.charges == 0

    await generations.start(asked)
    assert await generations.kept_image(digest) != overwritten
    assert not (await generations.again(refused.id)).reused


async def test_a_graph_that_was_damaged_is_not_given_out_and_holds_nothing_back(
    generations: Generations, settings: Settings, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(where="submit", kind="fail"))
    started = await generations.start(field(), graph={"prompt": {"1": {"class_type": "FluxImagine", "inputs": {}}}})
    failed = await generations.refresh(started.id)
    assert failed.graph is not None
    (settings.images / failed.graph[:2] / f"{failed.graph}{GRAPH}").write_text('{"prompt": {"another": "graph"}}')
    with pytest.raises(StorageError, match="changed or damaged"):
        await generations.graph(failed)
    again = await generations.again(failed.id)
    assert (again.retry_of, again.graph) == (failed.id, None)


def test_bytes_are_found_under_any_ending_and_a_whole_copy_goes_before_a_damaged_one(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    sha256, file = store.put(b"the bytes", ".img")
    assert store.get(sha256, ".avif") == b"the bytes"
    _, other = store.put(b"the bytes", ".avif")
    other.write_bytes(b"other bytes")
    assert store.get(sha256, ".avif") == b"the bytes"
    file.unlink()
    with pytest.raises(StorageError, match="changed or damaged"):
        store.get(sha256, ".avif")
    store.put(b"the bytes", ".avif")
    assert other.read_bytes() == b"the bytes"


def test_putting_mends_a_damaged_file_of_the_same_size(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    sha256, file = store.put(b"the bytes", ".png")
    file.write_bytes(b"the bites")
    assert store.put(b"the bytes", ".png") == (sha256, file)
    assert store.get(sha256, ".png") == b"the bytes"


async def test_a_shared_journal_is_not_searched_for_what_other_machines_keep(
    generations: Generations, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3
    from contextlib import closing

    from flux_nodes.core.database import Database

    made, file, _ = await stored(generations)
    file.unlink()
    monkeypatch.setattr(Database, "is_local", property(lambda _: False))  # as a PostgreSQL says of itself
    with closing(sqlite3.connect(settings.home / "journal.sqlite3")) as connection:
        connection.execute("UPDATE generations SET owner = 'another-machine:4711'")
        connection.commit()
    assert await generations.owed() == []
    await wait(generations, made)
