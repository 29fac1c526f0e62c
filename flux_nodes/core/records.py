"""What this home knows of images, without a service: its journal and its originals, only read."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import FluxNodesError, StorageError, UnknownGeneration
from .store import ImageStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .generation import Generation
    from .journal import Journal
    from .settings import Settings


class Records:
    """The journal and the originals of a home. `missing` says why there is no journal, where there is none."""

    def __init__(self, journal: Journal | None = None, store: ImageStore | None = None, *, missing: str = "") -> None:
        self.missing = missing
        self._journal = journal
        self._store = store

    @classmethod
    @contextmanager
    def open(cls, settings: Settings) -> Iterator[Records]:
        """Open what is there. Nothing is made where nothing is, and what cannot be opened is missing."""
        if settings.journal is None and not (settings.home / "journal.sqlite3").is_file():
            yield cls(missing=f"There is no journal in {settings.home}.")
            return
        try:
            from .journal import Journal

            journal = Journal(settings.journal_url)
        except FluxNodesError as error:
            yield cls(missing=str(error))
            return
        try:
            yield cls(journal, ImageStore(settings.images))
        finally:
            journal.close()

    def of_image(self, sha256: str) -> list[Generation]:
        """Return the generations whose original has this digest, the newest first. Raises StorageError."""
        return [] if self._journal is None else self._journal.of_image(sha256)

    def get(self, id_: str) -> Generation | None:
        """Return a generation by its id; None of one that is not known here. Raises StorageError."""
        try:
            return None if self._journal is None else self._journal.get(id_)
        except UnknownGeneration:
            return None

    def file(self, generation: Generation) -> Path | None:
        """Return where its original is, or would be."""
        return None if self._store is None else self._store.file(generation)

    def is_damaged(self, generation: Generation) -> bool:
        """Tell whether its original is there and is not what it was: overwritten, cut, or not to be read."""
        file = self.file(generation)
        return file is not None and file.exists() and self.original(generation) is None

    def original(self, generation: Generation) -> bytes | None:
        """Return the bytes of its original; None where they are not there, or no longer what they were."""
        if self._store is None:
            return None
        try:
            data = self._store.read(generation)
        except StorageError:
            return None
        return data
