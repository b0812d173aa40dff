"""The comparison of many variants of the strategy, from Python or as `python -m lib.compare`."""

from lib.compare.comparison import compare

__all__ = ["compare"]
