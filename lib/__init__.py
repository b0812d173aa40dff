"""The strategy template: what a notebook needs."""

import importlib.util

if importlib.util.find_spec("qnt") is None:
    from lib import offline

    offline.install()

from lib.report import print_stats
from lib.state import StateError, state_read, state_write, states_table
from lib.strategy import Strategy

__all__ = ["StateError", "Strategy", "print_stats", "state_read", "state_write", "states_table"]
