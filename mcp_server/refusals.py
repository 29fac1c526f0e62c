"""Errors as an assistant reads them: a stable code, the core's own sentence, and the tool that helps."""

from __future__ import annotations

import re

from flux_nodes.core.errors import (
    BudgetReached,
    FluxNodesError,
    ImageUnavailable,
    MissingKey,
    StillRunning,
    SubmitUnconfirmed,
    UnknownGeneration,
)


def code(error: FluxNodesError) -> str:
    """Return the stable code of an error: its class's name in snake_case, such as "missing_key"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()


def in_words(error: FluxNodesError) -> str:
    """Say an error: "[missing_key] No API key is set. …", and which tool to call next where one helps."""
    return " ".join(part for part in (f"[{code(error)}]", str(error), _advice(error)) if part)


def _advice(error: FluxNodesError) -> str:
    if isinstance(error, StillRunning):
        ids = ", ".join(error.generation_ids)
        return f"With these tools: get_generation with generation_id {ids} and a wait_seconds."
    if isinstance(error, ImageUnavailable):
        return f"get_generation with generation_id {error.generation_id} tries again."
    if isinstance(error, UnknownGeneration):
        return "list_generations shows the ids there are."
    if isinstance(error, SubmitUnconfirmed):
        id_ = error.generation_id
        return (
            f"Its generation_id is {id_}. Do not call generate_image for it again unless the user accepts that this "
            "may cost twice; then set fresh. What can be done meanwhile: get_account shows whether a credit is gone, "
            f"the user may look at `flux-nodes status {id_}` in a terminal, and confirm_generation takes its task id "
            "if the user finds that."
        )
    if isinstance(error, BudgetReached):
        return "Only the user can raise it: tell them. list_generations shows what was spent."
    if isinstance(error, MissingKey):
        return "Only the user can do this: tell them."
    return ""
