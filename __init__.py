"""ComfyUI's door: a clone of this repository in `custom_nodes` is a node pack. Everything is in `flux_nodes/comfy`."""

import logging
import sys

if sys.version_info >= (3, 11):  # noqa: UP036 - ComfyUI imports this file without asking `requires-python`
    from .flux_nodes.comfy import comfy_entrypoint

    WEB_DIRECTORY = "./flux_nodes/comfy/web"

    __all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
else:
    # ComfyUI prints a traceback for a pack that raises, and one line for none that gives it an empty mapping.
    NODE_CLASS_MAPPINGS: dict[str, type] = {}
    logging.getLogger(__name__).error(
        "Flux Nodes needs Python 3.11 or newer, and this ComfyUI runs on Python %d.%d: its nodes were not loaded.",
        *sys.version_info[:2],
    )
