"""Resampled returns: uncertainty of statistics, and backtest overfitting.

The stationary block bootstrap draws days anew:

Politis, D. N. and Romano, J. P. (1994): The Stationary Bootstrap. Journal of the American Statistical
Association 89 (428), 1303-1313. https://doi.org/10.1080/01621459.1994.10476870

The length of the blocks follows from the data:
Politis, D. N. and White, H. (2004): Automatic Block-Length Selection for the Dependent Bootstrap. Econometric
Reviews 23 (1), 53-70. https://doi.org/10.1081/ETC-120028836, as corrected by Patton, A., Politis, D. N. and
White, H. (2009), Econometric Reviews 28 (4), 372-375. https://doi.org/10.1080/07474930802459016

Cross-validation, and the walk forward, which has no hindsight, choose the best of many variants on some days
and test it on others:
Bailey, D. H., Borwein, J. M., Lopez de Prado, M. and Zhu, Q. J. (2017): The Probability of Backtest
Overfitting. Journal of Computational Finance 20 (4), 39-69. https://doi.org/10.21314/JCF.2016.322
Pardo, R. (2008): The Evaluation and Optimization of Trading Strategies. 2nd edition, Wiley, chapter 11.
"""

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from lib.common.competitions import rules_of
from lib.stats.sharpe import annual_sharpe_ratio, ratio_of_moments

REPETITIONS = 1_000
LEVEL = 0.95  # of an interval
FEWEST = 60  # days that an interval needs
FULL = 250  # days from which on an interval of a Sharpe ratio keeps its level
AT_ONCE = 1_000_000  # days drawn in one call, which limits the memory


SUBSETS = 16  # blocks of days, half of them in sample: 12,870 splits
FEWEST_TO_SPLIT = 4 * SUBSETS  # days
CELLS_AT_ONCE = 2_000_000  # cells of the array of one step, which limits the memory
HALVINGS = math.comb(SUBSETS, SUBSETS // 2)
TOLERANCE = pd.Timedelta(days=10)  # by which two years may be short: holidays at both ends


def block_length(series: np.ndarray) -> float:
    """Return the mean block length of several series.

    The series are (days, columns). The length is the longest that a column needs, and not below
    ``days ** (1/3)``, the rate at which the variance of a mean is estimated best (Politis and Romano).
    """
    return max(len(series) ** (1 / 3), *(optimal_length(column) for column in series.T))


def optimal_length(values: np.ndarray) -> float:
    """Return the mean block length of one series.

    The length suits the autocorrelation of the series. The rule is by Politis and White (2004) for the
    stationary bootstrap, with the correction of 2009. With the autocovariances R(k) up to the lag after which
    they vanish, and a flat-top window w, the length is ``(G / g) ** (2/3) * days ** (1/3)``, where G is the
    sum of w |k| R(k), and g the sum of w R(k).
    """
    days, values = len(values), values - values.mean()
    lags = max(5, int(np.log10(days)))  # that must be without correlation in a row
    most = int(np.ceil(days**0.5)) + lags
    covariances = np.array([values[k:] @ values[: days - k] for k in range(min(most + 1, days))]) / days
    if len(covariances) <= most or covariances[0] <= 0:
        return 1.0
    small = np.abs(covariances[1:]) < 2 * (np.log10(days) / days) ** 0.5 * covariances[0]
    runs = np.flatnonzero(np.convolve(small, np.ones(lags), "valid") == lags)
    last = runs[0] if len(runs) else np.flatnonzero(~small)[-1] + 1  # lag with a correlation
    lag = np.arange(1, min(2 * max(int(last), 1), most) + 1)
    window = 2 * np.minimum(2 * (1 - lag / lag[-1]), 1) * covariances[lag]  # of k and -k
    total = covariances[0] + window.sum()
    length = (abs(window @ lag) / abs(total)) ** (2 / 3) * days ** (1 / 3) if total else np.inf
    return float(np.clip(length, 1, np.ceil(min(3 * days**0.5, days / 3))))


def resampled_means(
    values: np.ndarray, length: float, repetitions: int = REPETITIONS, seed: int = 0
) -> np.ndarray:
    """Return column means of bootstrap samples of days.

    Blocks begin on any day, and run on from the last day to the first; their lengths are geometric.

    Parameters
    ----------
    values : numpy.ndarray
        (days, columns), finite. The columns of a day stay together.
    length : float
        Mean length of the blocks, such as `block_length`.
    repetitions : int
    seed : int
        Of the drawing; the same values give the same means.

    Returns
    -------
    numpy.ndarray
        (repetitions, columns).
    """
    rng, days = np.random.default_rng(seed), len(values)
    means = np.empty((repetitions, values.shape[1]))
    step = max(AT_ONCE // days, 1)
    for first in range(0, repetitions, step):
        drawn = stationary_rows(days, length, min(step, repetitions - first), rng)
        cells = drawn + days * np.arange(len(drawn))[:, None]
        counts = np.bincount(cells.ravel(), minlength=cells.size).reshape(cells.shape)
        means[first : first + step] = counts @ values / days
    return means


def stationary_rows(days: int, mean_length: float, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the row numbers (samples, days) of stationary blocks.

    Their lengths are geometric with this mean; a block at the end continues at the first row.
    """
    place = np.arange(days)
    begins = rng.random((samples, days)) < 1 / mean_length
    begins[:, 0] = True
    begun = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    starts = rng.integers(days, size=(samples, days))
    return (np.take_along_axis(starts, begun, axis=1) + place - begun) % days


def coverage_sentence(days: int) -> str:
    """Return a sentence on intervals of few days.

    It concerns the interval of a Sharpe ratio, as measured on simulated returns. The sentence is empty unless
    the days are from `FEWEST` to less than `FULL`.
    """
    if not FEWEST <= days < FULL:
        return ""
    return (
        f"On less than {FULL} days the {LEVEL:.0%} interval of a Sharpe ratio covers the true one in 90 to "
        "94 of 100 cases only."
    )


def interval(samples: np.ndarray) -> tuple[float, float]:
    """Return the bounds of the middle `LEVEL` of samples.

    Only finite samples count; the bounds are NaN without any.
    """
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


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
    for first in range(0, HALVINGS, step):
        chosen = _in_sample()[first : first + step]
        inside, outside = (_ratios(part, sums, squares, length) for part in (chosen, 1 - chosen))
        best = np.take_along_axis(outside, inside.argmax(axis=1)[:, None], axis=1)
        rank = (outside < best).sum(axis=1) + ((outside == best).sum(axis=1) + 1) / 2
        middle = (columns + 1) / 2
        below += (rank < middle).sum() + (rank == middle).sum() / 2
    return float(below / HALVINGS)


@functools.cache
def _in_sample() -> np.ndarray:
    """Return 1 for each block in sample (halvings, blocks).

    Building the array takes 20 ms, which only a comparison needs.
    """
    chosen = np.zeros((HALVINGS, SUBSETS))
    blocks = np.array(list(itertools.combinations(range(SUBSETS), SUBSETS // 2)))
    np.put_along_axis(chosen, blocks, 1.0, axis=1)
    return chosen


def _ratios(chosen: np.ndarray, sums: np.ndarray, squares: np.ndarray, length: int) -> np.ndarray:
    """Return daily Sharpe ratios (splits, columns).

    Each is computed from the chosen blocks (splits, blocks), 0 where it has no value.
    """
    days = length * SUBSETS // 2
    return np.nan_to_num(ratio_of_moments(chosen @ sums / days, chosen @ squares / days))


class WalkForward(NamedTuple):
    """The result of a walk forward.

    It has the chained result and the columns for comparison. The days begin with the second year.
    """

    days: tuple[str, str]
    chosen: list[int]  # the column of each year from the second on
    chained: float  # annual Sharpe ratio, as the platform calculates it
    hindsight: float  # of the column that is best on these days
    best: int  # that column
    mean: float  # over all columns: the expectation of a random choice


def walk_forward(returns: np.ndarray, dates: list[str], competition_type: str) -> WalkForward | None:
    """Choose each year the best column so far.

    The column is held for the next year. The result is None for less than two years, or less than two
    columns.

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
