"""FLUX image generation through APIFRAME: one core, and three doors onto it.

The rooms are `flux_nodes.core` (submit, follow, collect, remember), `flux_nodes.nodes` and `flux_nodes.graph` (node
graphs), `flux_nodes.comfy` (ComfyUI), `flux_nodes.cli` (the terminal) and `flux_nodes.sandbox` (the service,
pretended). Importing this package imports none of them.
"""

__version__ = "0.3.0"
