"""A pack for a genuine ComfyUI: the nodes that the tests of graphs draw with, and setters and getters on its page.

It runs in ComfyUI's own environment, which has none of our modules: what `tests/graph/conftest.py` says of these nodes
is said again here, and the comparison of every graph shows where the two differ.
"""

from __future__ import annotations

from typing import Any


class Colour:
    """A colour, whose seed has a choice behind it."""

    RETURN_TYPES = ("IMAGE", "INT")
    RETURN_NAMES = ("image", "seed")
    FUNCTION = "run"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 (ComfyUI looks for this name)
        """Say what it takes."""
        seed = ("INT", {"default": 0, "min": 0, "control_after_generate": True})
        tint = (["red", "green", "blue"], {"default": "red"})
        return {
            "required": {"seed": seed, "tint": tint},
            "optional": {"size": ("INT", {"default": 4, "min": 1, "max": 8})},
        }


class Show:
    """Shows what it is given; everything may be left out."""

    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "test"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 (ComfyUI looks for this name)
        """Say what it takes."""
        inputs = {
            "image": ("IMAGE",),
            "other": ("IMAGE",),
            "number": ("FLOAT", {"default": 0.5, "min": 0, "max": 1000}),
            "choice": (["a", "b"],),
            "flag": ("BOOLEAN", {"default": False}),
            "text": ("STRING", {"default": ""}),
        }
        return {"required": {}, "optional": inputs}


class Pair:
    """Two images in, two out, with a widget before them."""

    RETURN_TYPES = ("IMAGE", "IMAGE")
    RETURN_NAMES = ("one", "two")
    FUNCTION = "run"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 (ComfyUI looks for this name)
        """Say what it takes."""
        return {"required": {"text": ("STRING", {"default": ""}), "one": ("IMAGE",), "two": ("IMAGE",)}}


NODE_CLASS_MAPPINGS = {"Colour": Colour, "Show": Show, "Pair": Pair}
WEB_DIRECTORY = "./web"
