"""Walk forward: the variant that was best so far, chosen anew each year and held for the next.

Pardo, R. (2008): The Evaluation and Optimization of Trading Strategies. 2nd edition, Wiley, chapter 11.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from lib.common.rules import sharpe_ratio_of
from lib.stats.sharpe import sharpe_ratio

TOLERANCE = pd.Timedelta(days=10)  # by which two years may be short: holidays at both ends


class WalkForward(NamedTuple):
    """The chained result beside the others, over the days from the second year on."""

    days: tuple[str, str]
    chosen: list[int]  # the column of each year from the second on
    chained: float  # annual Sharpe ratio, as the platform calculates it
    hindsight: float  # of the column that is best on these days
    best: int  # that column
    mean: float  # over all columns: what choosing at random gives


def walk_forward(returns: np.ndarray, dates: list[str], competition_type: str) -> WalkForward | None:
    """Choose and hold; None for less than two years, or less than two columns.

    Parameters
    ----------
    returns : numpy.ndarray
        (days, columns), the daily returns of each variant. NaN counts as 0.
    dates : list of str
        The days. Years are counted from the first of them; the last may be incomplete.
    competition_type : str
        Whose trading days a year are counted.
    """
    time, returns = pd.DatetimeIndex(dates), np.nan_to_num(np.asarray(returns, dtype=np.float64))
    if returns.shape[1] < 2 or time[0] + pd.DateOffset(years=2) > time[-1] + TOLERANCE:
        return None
    chained, chosen, year = [], [], 1
    while (begin := int(time.searchsorted(time[0] + pd.DateOffset(years=year)))) < len(time):
        end = int(time.searchsorted(time[0] + pd.DateOffset(years=year + 1)))
        ratios = [sharpe_ratio(column) for column in returns[:begin].T]
        chosen.append(int(np.argmax(np.nan_to_num(ratios))))
        chained.append(returns[begin:end, chosen[-1]])
        year += 1
    first = len(time) - sum(map(len, chained))
    lines = [
        xr.DataArray(line, {"time": time[first:]}, ("time",), name=competition_type)
        for line in (np.concatenate(chained), *returns[first:].T)
    ]
    # 0 where returns never change
    chain, *ratios = np.nan_to_num([sharpe_ratio_of(line) for line in lines], posinf=0, neginf=0)
    best = int(np.argmax(ratios))
    days = str(time[first])[:10], str(time[-1])[:10]
    return WalkForward(days, chosen, float(chain), float(ratios[best]), best, float(np.mean(ratios)))
