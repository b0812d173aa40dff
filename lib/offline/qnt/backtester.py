"""What would a strategy have done? It is run over the past, each day with what was known that day."""

from lib.offline import uncovered

from ._analysis import analyze_results
from ._backtest import backtest
from ._backtest_ml import backtest_ml
from ._passes import extract_time_series, is_submitted, standard_window

__all__ = [
    "analyze_results",
    "backtest",
    "backtest_ml",
    "extract_time_series",
    "is_submitted",
    "standard_window",
]

__getattr__ = uncovered(__name__)
