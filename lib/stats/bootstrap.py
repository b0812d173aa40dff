"""The stationary block bootstrap: the uncertainty of statistics of daily returns.

Politis, D. N. and Romano, J. P. (1994): The Stationary Bootstrap. Journal of the American Statistical
Association 89 (428), 1303-1313. https://doi.org/10.1080/01621459.1994.10476870

The length of the blocks follows from the data:
Politis, D. N. and White, H. (2004): Automatic Block-Length Selection for the Dependent Bootstrap. Econometric
Reviews 23 (1), 53-70. https://doi.org/10.1081/ETC-120028836, as corrected by Patton, A., Politis, D. N. and
White, H. (2009), Econometric Reviews 28 (4), 372-375. https://doi.org/10.1080/07474930802459016
"""

import numpy as np

REPETITIONS = 1_000
LEVEL = 0.95  # of an interval
FEWEST = 60  # days that an interval needs
FULL = 250  # days from which on an interval of a Sharpe ratio keeps its level
AT_ONCE = 1_000_000  # days drawn in one call, which limits the memory


def block_length(series: np.ndarray) -> float:
    """Return the mean length of blocks for days (days, columns).

    It is the longest that a column needs, and at least ``days ** (1/3)``, the rate at which the variance of a
    mean is estimated best (Politis and Romano).
    """
    return max(len(series) ** (1 / 3), *(optimal_length(column) for column in series.T))


def optimal_length(values: np.ndarray) -> float:
    """Return the mean block length that suits the autocorrelation of a series.

    Politis and White (2004) for the stationary bootstrap, with the correction of 2009: with the
    autocovariances R(k) up to the lag after which they vanish, and a flat-top window w,
    ``(G / g) ** (2/3) * days ** (1/3)`` where G is the sum of w |k| R(k), and g that of w R(k).
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
    """Return a sentence on an interval of a Sharpe ratio of few days, as measured on simulated returns."""
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
