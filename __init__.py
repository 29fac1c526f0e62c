"""ComfyUI's door: a clone of this repository in `custom_nodes` is a node pack. Everything is in `flux_nodes/comfy`."""

from .flux_nodes.comfy import comfy_entrypoint

WEB_DIRECTORY = "./flux_nodes/comfy/web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
