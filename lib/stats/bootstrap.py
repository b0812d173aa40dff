"""The stationary block bootstrap: the uncertainty of statistics of daily returns.

Politis, D. N. and Romano, J. P. (1994): The Stationary Bootstrap. Journal of the American Statistical
Association 89 (428), 1303-1313. https://doi.org/10.1080/01621459.1994.10476870
"""

import numpy as np

REPETITIONS = 1_000
LEVEL = 0.95  # of an interval
FEWEST = 60  # days that an interval needs
AT_ONCE = 1_000_000  # days drawn in one call, which limits the memory


def resampled_means(values: np.ndarray, repetitions: int = REPETITIONS, seed: int = 0) -> np.ndarray:
    """Return column means of bootstrap samples of days.

    Blocks begin on any day, run on from the last day to the first, and have a geometric length with the mean
    ``days ** (1/3)``, the rate at which the variance of the mean is estimated best (Politis and Romano).

    Parameters
    ----------
    values : numpy.ndarray
        (days, columns), finite. The columns of a day stay together.
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
        drawn = stationary_rows(days, days ** (1 / 3), min(step, repetitions - first), rng)
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


def interval(samples: np.ndarray) -> tuple[float, float]:
    """Return the bounds of the middle `LEVEL` of samples.

    Only finite samples count; the bounds are NaN without any.
    """
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
