"""The graph nodes, for any host: what they are called, take and give, and the async functions that run them."""

from __future__ import annotations

from .account import ACCOUNT
from .contact_sheet import CONTACT_SHEET
from .face import Context, Input, Node, Output, Result
from .imagine import FETCH, IMAGINE, SUBMIT

__all__ = ["NODES", "Context", "Input", "Node", "Output", "Result"]

NODES: tuple[Node, ...] = (IMAGINE, SUBMIT, FETCH, ACCOUNT, CONTACT_SHEET)
