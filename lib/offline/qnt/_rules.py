"""The defaults of each competition, and the number of bars in a year."""

import numpy as np

from lib.common.competitions import COMPETITIONS
from lib.offline import NotCoveredError, not_covered

from .data.common import get_env
from .data.stocks import NDX, SPX
from .log import log_err


def calc_avg_points_per_year(data):
    """Return the bars a year: 251 for a stock index with fewer days than that, else from the mean step."""
    _refuse_others(data.name)
    if data.sizes["time"] < 251 and data.name in (NDX, SPX):
        return 251
    if data.sizes["time"] < 2:
        raise ValueError("one day does not tell the bars a year: pass points_per_year, or name the data")
    days = data.time.values.astype("datetime64[ns]")
    mean_step = (days.max() - days.min()) / (len(days) - 1)
    return round(np.timedelta64(8766, "h") / mean_step)


def calc_points_per_day(days_per_year):
    """Return 1 bar a day, or 24 where a year has 400 bars or more."""
    return 1 if days_per_year < 400 else 24


def get_default_is_start_date_for_type(name):
    """Return the first day of the in-sample period of a competition, None for unnamed data."""
    return _default("SD", name, "first_day", None)


def get_default_slippage(data):
    """Return the cost of a trade as a share of the average true range."""
    return float(_default("SL", data.name, "slippage", 0.05))


def get_default_max_exposure(name):
    """Return the largest weight that a competition allows, 1 for unnamed data."""
    return float(_default("ME", name, "max_position", 1))


def check_correlation(portfolio_history, data, print_stack_trace=True):
    """Print that only Quantiacs can compare with its other strategies."""
    log_err("Correlation check failed.")
    log_err("It needs the other strategies of Quantiacs: run it there.")


def _default(prefix, name, rule, otherwise):
    """Return a rule of a competition, which the environment may override; `otherwise` for unnamed data."""
    _refuse_others(name)
    if name not in COMPETITIONS:
        return otherwise
    return get_env(f"{prefix}_{name.upper()}", str(getattr(COMPETITIONS[name], rule)), True)


def _refuse_others(name):
    if name not in (NDX, SPX) and str(name).startswith(("stocks", "crypto", "futures")):
        raise NotCoveredError(f"{not_covered(f'qnt.stats for {name!r}')} Here are {NDX} and {SPX}.")
