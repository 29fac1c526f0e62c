"""The graph nodes, for any host: what they are called, take and give, and the async functions that run them."""

from __future__ import annotations

from .account import ACCOUNT
from .aspect_ratio import ASPECT_RATIO
from .contact_sheet import CONTACT_SHEET
from .face import Context, Input, Node, Output, Result
from .fetch import FETCH
from .imagine import IMAGINE, SUBMIT
from .kept_image import KEPT_IMAGE
from .load import LOAD_GENERATION
from .prompt_list import PROMPT_LIST

__all__ = ["NODES", "Context", "Input", "Node", "Output", "Result"]

NODES: tuple[Node, ...] = (
    IMAGINE,
    SUBMIT,
    FETCH,
    LOAD_GENERATION,
    PROMPT_LIST,
    ASPECT_RATIO,
    CONTACT_SHEET,
    KEPT_IMAGE,
    ACCOUNT,
)
