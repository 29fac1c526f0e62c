"""Tokens in the names of saved files: %date:yyyy-MM-dd%, %Node.input%, %width%, %year% and the like.

ComfyUI replaces the first two in the browser when a workflow is queued, the others when it saves; here all are replaced
when the file is saved, so that values set since then count.
Source: ComfyUI frontend, `searchAndReplace.ts` and `formatUtil.ts` (formatDate); ComfyUI's `folder_paths.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .primitives import holder

if TYPE_CHECKING:
    from datetime import datetime

    from .workflow import Workflow, WorkflowNode

_TOKEN = re.compile(r"%([^%]+)%")
_DATE_PART = re.compile(r"dd?|MM?|hh?|mm?|ss?|yyy?y?")
_NO_FILE_NAME = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')
_LONGEST = 100
"""Characters that one value may add to a file name: a prompt can be longer than any name."""


def replaced(text: str, *, workflow: Workflow | None, now: datetime, width: int, height: int) -> str:
    """Replace the tokens in a file name prefix; one that means nothing stays as it is."""
    known = {"width": str(width), "height": str(height)} | _moment(now)

    def one(match: re.Match[str]) -> str:
        token = match[1]
        if token.startswith("date:"):
            return _date(token.removeprefix("date:"), now)
        value = known.get(token) or _of_node(token, workflow)
        return match[0] if value is None else value

    return _TOKEN.sub(one, text)


def _moment(now: datetime) -> dict[str, str]:
    parts = {name: f"{getattr(now, name):02}" for name in ("month", "day", "hour", "minute", "second")}
    return {"year": str(now.year)} | parts


def _date(pattern: str, now: datetime) -> str:
    values = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}

    def one(match: re.Match[str]) -> str:
        part = match[0]
        if part[0] == "y":
            return {"yy": f"{now.year}"[2:], "yyyy": str(now.year)}.get(part, part)
        return str(values[part[0]]).zfill(len(part))

    return _DATE_PART.sub(one, pattern)


def _of_node(token: str, workflow: Workflow | None) -> str | None:
    name, dot, input_name = token.rpartition(".")
    node = _named(workflow, name) if workflow and dot else None
    value = _value(workflow, node, input_name) if workflow and node else None
    if value is None:
        return None
    # JavaScript spells a truth in lower case.
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _NO_FILE_NAME.sub("_", text)[:_LONGEST]


def _value(workflow: Workflow, node: WorkflowNode, name: str) -> object:
    if node.id not in workflow.nodes:
        return node.inputs.get(name)  # it does not run: what its widget holds
    place = holder(workflow, node.id, name)
    return place[0].inputs.get(place[1]) if place else None


def _named(workflow: Workflow, name: str) -> WorkflowNode | None:
    every = workflow.named or workflow.nodes
    nodes = [workflow.nodes.get(id_, node) for id_, node in every.items()]
    by_alias = (node for node in nodes if node.alias == name)
    return next(by_alias, None) or next((node for node in nodes if node.title == name), None)
