"""The image hosting: finds a task by its file name, and serves its picture."""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

from starlette.responses import Response

from .faults import IMAGE_KINDS, Fault
from .lifecycle import SandboxTask, image_ending
from .pixels import media_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from .ledger import Ledger
    from .quirks import Quirks

_PAINTER = ThreadPoolExecutor(1, thread_name_prefix="flux-sandbox-painter")
"""One thread paints for all sandboxes of the process.

More would only share the same cores, and each would keep for itself the memory that a large picture takes.
"""


_MOST_FINISHED = 8

Finish: TypeAlias = "Callable[[bytes, str], bytes]"
"""What is done to a file and its media type before it is served."""


class Gallery:
    """Serves pictures by name."""

    def __init__(self, ledger: Ledger, quirks: Quirks, finish: Finish | None = None) -> None:
        self._ledger = ledger
        self._quirks = quirks
        self._finish = finish
        self._finished: OrderedDict[str, bytes] = OrderedDict()

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
        return await asyncio.get_running_loop().run_in_executor(_PAINTER, self._show, task, fault)

    def _show(self, task: SandboxTask, fault: Fault | None) -> Response:
        from .spoiled import spoil_image

        file = self._file(task)
        if fault is not None and fault.kind in IMAGE_KINDS:
            return spoil_image(fault, file, media_type(self._quirks))
        return Response(file, media_type=media_type(self._quirks))

    def _file(self, task: SandboxTask) -> bytes:
        from .pictures import picture

        painted = picture(task.body, task.task_id, self._quirks.image_type)
        if self._finish is None:
            return painted
        if task.task_id not in self._finished:
            self._finished[task.task_id] = self._finish(painted, media_type(self._quirks))
            if len(self._finished) > _MOST_FINISHED:
                self._finished.popitem(last=False)
        return self._finished[task.task_id]
