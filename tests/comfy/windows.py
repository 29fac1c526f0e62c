"""What ComfyUI's server sends to its windows, in place of that server."""

from __future__ import annotations

from typing import Any


class Windows:
    """All windows: the words under nodes, and the events, each with the one that it is for (None for all)."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str, str | None]] = []
        self.events: list[tuple[str, dict[str, Any], str | None]] = []

    def send_progress_text(self, text: str, node_id: str, prompt_id: str | None = None, sid: str | None = None) -> None:
        """Write words under a node, with the parameters that some forks of ComfyUI have."""
        assert prompt_id is None, "the window is not the prompt"
        self.written.append((text, node_id, sid))

    def send_sync(self, event: str, data: dict[str, Any], sid: str | None = None) -> None:
        """Send an event."""
        self.events.append((event, data, sid))

    def notices(self) -> list[dict[str, Any]]:
        """What is shown as a toast."""
        return [data for event, data, _ in self.events if event == "flux-nodes.notice"]
