"""The terminal's door: the command `flux-nodes`. A command parses, calls once, and renders."""

from __future__ import annotations


def main() -> None:
    """Run the command line of this process, and end it with the exit code that `exits` describes."""
    from .door import door  # click loads when there is a command line, not when this package is imported

    door.main()
