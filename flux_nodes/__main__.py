"""`python -m flux_nodes` is the command `flux-nodes`."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
