"""The strategy template: the names that its notebook needs."""

import importlib.util
import sys

if importlib.util.find_spec("cftime") is None:
    # xarray tries to import it at every text index, a thousand times in a backtest; None fails at once.
    sys.modules.setdefault("cftime", None)  # type: ignore[arg-type]
if importlib.util.find_spec("qnt") is None:
    from lib import offline

    offline.install()

from lib.backtest import check_range
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
