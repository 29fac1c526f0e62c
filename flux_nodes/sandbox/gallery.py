"""The image hosting: finds a task by its file name, and renders its picture once."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias

from starlette.responses import Response

from .faults import IMAGE_KINDS, Fault
from .lifecycle import SandboxTask, image_ending
from .pixels import media_type, write_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from .ledger import Ledger
    from .quirks import Quirks

_MOST_KEPT = 64

Finish: TypeAlias = "Callable[[bytes, str], bytes]"
"""What is done to a file and its media type before it is served."""


class Gallery:
    """Serves pictures by name, and keeps the last ones."""

    def __init__(self, ledger: Ledger, quirks: Quirks, finish: Finish | None = None) -> None:
        self._ledger = ledger
        self._quirks = quirks
        self._finish = finish
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def find(self, name: str) -> SandboxTask | None:
        """Return the task that an image's file name belongs to."""
        stem, _, ending = name.rpartition(".")
        if ending != image_ending(self._quirks):
            return None
        name_of_task = stem.removesuffix("-original")
        try:
            task_id = str(uuid.UUID(hex=name_of_task))
        except ValueError:
            task_id = name_of_task  # a number, as a fault asked
        return self._ledger.task(task_id)

    async def show(self, task: SandboxTask | None, fault: Fault | None) -> Response:
        """Return a finished task's picture, or what a fault makes of it; 404 for no task."""
        if task is None:
            return Response(b"", 404)
        return await asyncio.to_thread(self._show, task, fault)

    def _show(self, task: SandboxTask, fault: Fault | None) -> Response:
        from .spoiled import spoil_image

        picture = self._picture(task)
        if fault is not None and fault.kind in IMAGE_KINDS:
            return spoil_image(fault, picture, media_type(self._quirks))
        return Response(picture, media_type=media_type(self._quirks))

    def _picture(self, task: SandboxTask) -> bytes:
        from .pictures import paint

        # one painter at a time: threads would only share the same core, and two asking for one picture share it
        with self._lock:
            if task.task_id not in self._kept:
                painted = write_image(paint(task.body, task.task_id), self._quirks.image_type)
                self._kept[task.task_id] = self._finish(painted, media_type(self._quirks)) if self._finish else painted
                if len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
            return self._kept[task.task_id]
