"""Moves the wall clock of every Python process that is started with this folder on its PYTHONPATH.

`TESTS_CLOCK` gives the seconds by which it is ahead. The monotonic clock, by which programs wait, stays as it is. A
Python without time-machine (ComfyUI's own) keeps the time of the machine.
"""

from __future__ import annotations

import os
import time

AHEAD = os.environ.get("TESTS_CLOCK")

if AHEAD:
    try:
        import time_machine
    except ImportError:
        pass
    else:
        time_machine.travel(time.time() + float(AHEAD), tick=True).start()
