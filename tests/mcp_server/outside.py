"""What a server in a process of its own is given."""

from __future__ import annotations

KEY = "key-that-nobody-may-see"
"""A key that is not also a word of some answer."""


def surroundings(url: str, home: object) -> dict[str, str]:
    """The environment that a host would set."""
    return {"APIFRAME_API_KEY": KEY, "APIFRAME_BASE_URL": url, "FLUX_NODES_HOME": str(home)}
