"""The walk forward: each year, the variant with the best Sharpe ratio so far.

Pardo, R. (2008): The Evaluation and Optimization of Trading Strategies. 2nd edition, Wiley, chapter 11.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from lib.common.competitions import rules_of
from lib.stats.sharpe import annual_sharpe_ratio

TOLERANCE = pd.Timedelta(days=10)  # by which two years may be short: holidays at both ends


class WalkForward(NamedTuple):
    """The chained result and the columns it is compared with.

    The days begin with the second year.
    """

    days: tuple[str, str]
    chosen: list[int]  # the column of each year from the second on
    chained: float  # annual Sharpe ratio, as the platform calculates it
    hindsight: float  # of the column that is best on these days
    best: int  # that column
    mean: float  # over all columns: the expectation of a random choice


def walk_forward(returns: np.ndarray, dates: list[str], competition_type: str) -> WalkForward | None:
    """Choose each year the best column so far.

    It is held for the next year.

    The result is None for less than two years, or less than two columns.

    Parameters
    ----------
    returns : numpy.ndarray
        (days, columns), the daily returns of each variant. NaN counts as 0.
    dates : list of str
        The days. Years are counted from the first of them; the last may be incomplete.
    competition_type : str
        Competition whose trading days a year are counted.
    """
    rules = rules_of(competition_type)

    def ratio(values: np.ndarray, days: pd.DatetimeIndex) -> float:
        line = xr.DataArray(values, {"time": days}, ("time",), name=competition_type)
        return float(np.nan_to_num(annual_sharpe_ratio(line, rules)))  # 0 where returns never change

    time, returns = pd.DatetimeIndex(dates), np.nan_to_num(np.asarray(returns, dtype=np.float64))
    if returns.shape[1] < 2 or time[0] + pd.DateOffset(years=2) > time[-1] + TOLERANCE:
        return None
    chained, chosen, year = [], [], 1
    while (begin := int(time.searchsorted(time[0] + pd.DateOffset(years=year)))) < len(time):
        end = int(time.searchsorted(time[0] + pd.DateOffset(years=year + 1)))
        chosen.append(int(np.argmax([ratio(column, time[:begin]) for column in returns[:begin].T])))
        chained.append(returns[begin:end, chosen[-1]])
        year += 1
    first = len(time) - sum(map(len, chained))
    chain, *ratios = (ratio(line, time[first:]) for line in (np.concatenate(chained), *returns[first:].T))
    best = int(np.argmax(ratios))
    days = str(time[first])[:10], str(time[-1])[:10]
    return WalkForward(days, chosen, chain, ratios[best], best, float(np.mean(ratios)))
