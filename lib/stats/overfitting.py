"""Backtest overfitting: its probability by cross-validation, and the walk forward, which has no hindsight.

Bailey, D. H., Borwein, J. M., Lopez de Prado, M. and Zhu, Q. J. (2017): The Probability of Backtest
Overfitting. Journal of Computational Finance 20 (4), 39-69. https://doi.org/10.21314/JCF.2016.322
Pardo, R. (2008): The Evaluation and Optimization of Trading Strategies. 2nd edition, Wiley, chapter 11.
"""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from lib.common.competitions import rules_of
from lib.stats.sharpe import annual_sharpe_ratio, ratio_of_moments

SUBSETS = 16  # blocks of days, half of them in sample: 12,870 splits
FEWEST_TO_SPLIT = 4 * SUBSETS  # days
CELLS_AT_ONCE = 2_000_000  # cells of the array of one step, which limits the memory
SPLITS = np.array(list(itertools.combinations(range(SUBSETS), SUBSETS // 2)))
IN_SAMPLE = np.zeros((len(SPLITS), SUBSETS))
np.put_along_axis(IN_SAMPLE, SPLITS, 1.0, axis=1)
TOLERANCE = pd.Timedelta(days=10)  # by which two years may be short: holidays at both ends


def overfitting_probability(returns: np.ndarray) -> float:
    """Return the probability of backtest overfitting.

    The method is combinatorially symmetric cross-validation. The days are cut into `SUBSETS` blocks of equal
    length; days left over at the beginning do not count. Each choice of half of the blocks is in sample, the
    other half out of sample. The column with the best Sharpe ratio in sample is ranked by its Sharpe ratio
    out of sample. The probability is the share of choices with a rank below the median. A rank at the median
    counts half, so that columns without any skill have 0.5 on average for any number of columns (the paper
    counts it whole). Equal columns share a mean rank.

    Parameters
    ----------
    returns : numpy.ndarray
        (days, columns), the returns of every run that was tried. NaN counts as 0. A column whose returns in a
        half never change has the Sharpe ratio 0 there.

    Returns
    -------
    float
        0 to 1; NaN for less than two columns, or less than `FEWEST_TO_SPLIT` days.
    """
    returns = np.nan_to_num(np.asarray(returns, dtype=np.float64))
    days, columns = returns.shape
    if columns < 2 or days < FEWEST_TO_SPLIT:
        return float("nan")
    length = days // SUBSETS
    blocks = returns[days - length * SUBSETS :].reshape(SUBSETS, length, columns)
    sums, squares = blocks.sum(axis=1), (blocks**2).sum(axis=1)
    below = 0.0
    step = max(CELLS_AT_ONCE // columns, 1)
    for first in range(0, len(IN_SAMPLE), step):
        chosen = IN_SAMPLE[first : first + step]
        inside, outside = (_ratios(part, sums, squares, length) for part in (chosen, 1 - chosen))
        best = np.take_along_axis(outside, inside.argmax(axis=1)[:, None], axis=1)
        rank = (outside < best).sum(axis=1) + ((outside == best).sum(axis=1) + 1) / 2
        middle = (columns + 1) / 2
        below += (rank < middle).sum() + (rank == middle).sum() / 2
    return float(below / len(IN_SAMPLE))


def _ratios(chosen: np.ndarray, sums: np.ndarray, squares: np.ndarray, length: int) -> np.ndarray:
    """Return daily Sharpe ratios (splits, columns).

    Each is computed from the chosen blocks (splits, blocks), 0 where it has no value.
    """
    days = length * SUBSETS // 2
    return np.nan_to_num(ratio_of_moments(chosen @ sums / days, chosen @ squares / days))


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
