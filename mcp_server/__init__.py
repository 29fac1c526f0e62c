"""The assistant's door: FLUX image generation as tools of the Model Context Protocol.

`mcp_server.server.serve` runs it; `python -m mcp_server` serves stdio. It needs the optional `mcp` package
(`pip install "flux-nodes[mcp]"`), and importing this package alone does not load it.
"""
