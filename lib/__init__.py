"""The strategy template: the names that its notebook needs."""

from lib.common.interrupts import end_imports_on_interrupt

end_imports_on_interrupt()  # before the imports that take seconds
# ruff: noqa: E402

from lib import offline as offline  # first: it makes `import qnt` work where that is not installed
from lib.backtest import check_range
from lib.report import is_submission
from lib.state import StateError, state_read, state_write, states_table
from lib.strategy import Strategy

__all__ = [
    "StateError",
    "Strategy",
    "check_range",
    "is_submission",
    "state_read",
    "state_write",
    "states_table",
]
