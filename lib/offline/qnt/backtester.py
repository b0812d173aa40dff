"""Backtests: a strategy is run over the past, on each day with the data known by then."""

from lib.offline import uncovered

from ._analysis import analyze_results as analyze_results
from ._backtest import backtest as backtest
from ._backtest_ml import backtest_ml as backtest_ml
from ._passes import extract_time_series as extract_time_series
from ._passes import is_submitted as is_submitted
from ._passes import standard_window as standard_window

__getattr__ = uncovered(__name__)
