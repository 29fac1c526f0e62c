"""Measurements and trials, one command each: `python -m bench.NAME --help`."""
