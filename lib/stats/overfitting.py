"""The probability of backtest overfitting, by cross-validation.

Bailey, D. H., Borwein, J. M., Lopez de Prado, M. and Zhu, Q. J. (2017): The Probability of Backtest
Overfitting. Journal of Computational Finance 20 (4), 39-69. https://doi.org/10.21314/JCF.2016.322
"""

import itertools

import numpy as np

from lib.stats.sharpe import ratio_of_moments

SUBSETS = 16  # blocks of days, half of them in sample: 12,870 splits
FEWEST_TO_SPLIT = 4 * SUBSETS  # days
CELLS_AT_ONCE = 2_000_000  # cells of the array of one step, which limits the memory
SPLITS = np.array(list(itertools.combinations(range(SUBSETS), SUBSETS // 2)))
IN_SAMPLE = np.zeros((len(SPLITS), SUBSETS))
np.put_along_axis(IN_SAMPLE, SPLITS, 1.0, axis=1)


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
