"""The strategy template: the names that its notebook needs."""

import importlib.util

if importlib.util.find_spec("qnt") is None:
    from lib import offline

    offline.install()

from lib.backtest_range import check_range
from lib.report import print_stats
from lib.state import StateError, state_read, state_write, states_table
from lib.strategy import Strategy

__all__ = [
    "StateError",
    "Strategy",
    "check_range",
    "print_stats",
    "state_read",
    "state_write",
    "states_table",
]
