"""Moving averages, shifts, and changes over a number of values."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np

from lib.indicators.windows import Average, Series, count, counted, ring, smoothed


def sma(series: Series, periods: int = 20) -> Series:
    """Return the mean of the last `periods` values.

    `periods` is at least 1. After an infinity the result stays infinite or NaN.
    """
    n = count("periods", periods)

    def mean(dense: np.ndarray) -> np.ndarray:
        out = np.full_like(dense, np.nan)
        if len(dense) >= n:
            # One running sum alternates leaving and entering values: the platform's order of rounding.
            steps = np.empty((2 * len(dense) - n, *dense.shape[1:]))
            steps[:n] = dense[:n]
            steps[n::2] = -dense[: len(dense) - n]
            steps[n + 1 :: 2] = dense[n:]
            out[n - 1 :] = np.cumsum(steps, axis=0)[n - 1 :: 2] / n
        return out

    return counted(mean, series)


def lwma(series: Series, periods: int = 20) -> Series:
    """Return the linearly weighted mean of the last values.

    Of `periods` values the newest has the weight `periods`, the oldest the weight 1.
    """
    return _weighted(series, [*range(count("periods", periods), 0, -1)])


def wma(series: Series, weights: Sequence[float] | np.ndarray | int | None = None) -> Series:
    """Return the weighted mean of the last values.

    Parameters
    ----------
    series : see `lib.indicators`
    weights : sequence of float
        One weight per value of the window, the newest first; divided by their sum, so that a sum of 0 gives
        infinities. A whole number n means `lwma` over n values.

    Raises
    ------
    ValueError
        `weights` is not a sequence of at least one number.
    """
    if isinstance(weights, Integral):
        return lwma(series, int(weights))
    factors = np.asarray(weights, np.float64)
    if factors.ndim != 1 or len(factors) == 0:
        raise ValueError(f"weights must be a list of numbers, the newest value's first, not {weights!r}")
    return _weighted(series, factors.tolist())


def vwma(price: Series, volume: Series, periods: int = 20) -> Series:
    """Return the volume-weighted mean of the last `periods` prices.

    A gap in either series counts as a gap in both. NaN also where no volume was traded in the window.
    """
    n = count("periods", periods)

    def weighted(prices: np.ndarray, volumes: np.ndarray) -> np.ndarray:
        out = np.full_like(prices, np.nan)
        if len(prices) >= n:
            traded = prices * volumes
            value = sum(traded[rows] for rows in ring(n - 1, len(prices), n))
            out[n - 1 :] = value / sum(volumes[rows] for rows in ring(n - 1, len(prices), n))
        return out

    return counted(weighted, price, volume)


def ema(series: Series, periods: int = 20, warm_periods: int | None = None) -> Series:
    """Return the exponential mean with factor ``2 / (periods + 1)``.

    It starts from the mean of the first values.

    Parameters
    ----------
    series : see `lib.indicators`
    periods : int
        At least 1.
    warm_periods : int, optional
        Number of first values whose mean is the start, at least 1; `periods` by default. The result is NaN
        until so many values were seen.
    """
    factor = 2 / (count("periods", periods) + 1)
    warm = count("warm_periods", periods if warm_periods is None else warm_periods)

    def smooth(dense: np.ndarray) -> np.ndarray:
        out = np.full_like(dense, np.nan)
        if len(dense) >= warm:
            value = np.cumsum(dense[:warm] / warm, axis=0)[-1]
            out[warm - 1] = value
            for i in range(warm, len(dense)):
                value = (dense[i] - value) * factor + value
                out[i] = value
        return out

    return counted(smooth, series)


def wilder_ma(series: Series, periods: int = 14, warm_periods: int | None = None) -> Series:
    """Return the exponential mean with factor ``1 / periods``.

    It starts from the mean of the first `periods` values.

    Source: J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    n = count("periods", periods)
    return ema(series, n * 2 - 1, n if warm_periods is None else warm_periods)


def dema(series: Series, periods: int = 20, warm_periods: int | None = None) -> Series:
    """Return the `ema` of the `ema`.

    This is the platform's `dema`. The average of Patrick Mulloy (1994) has the same name and another formula.
    """
    return ema(ema(series, periods, warm_periods), periods, warm_periods)


def tema(series: Series, periods: int = 20, warm_periods: int | None = None) -> Series:
    """Return the `ema` of the `ema` of the `ema`.

    `trix` uses it. The average of Patrick Mulloy (1994) has the same name and another formula.
    """
    return ema(dema(series, periods, warm_periods), periods, warm_periods)


def _weighted(series: Series, factors: list[float]) -> Series:
    """Return the weighted mean of the last values.

    The factors are those of `wma`.
    """
    n = len(factors)
    total_factor = np.cumsum(factors)[-1]  # one after the other; Python's sum of floats rounds only once

    def weighted(dense: np.ndarray) -> np.ndarray:
        out = np.full_like(dense, np.nan)
        if len(dense) >= n:
            total = np.zeros_like(dense[n - 1 :])
            for age, factor in enumerate(factors):
                total += dense[n - 1 - age : len(dense) - age] * factor
            out[n - 1 :] = total / total_factor
        return out

    return counted(weighted, series)


def shift(series: Series, periods: int = 1) -> Series:
    """Return the series shifted by `periods` values.

    The result is NaN where there is no earlier value.

    A negative number looks **ahead**, which only a target may do.
    """
    n = count("periods", periods, lowest=None)

    def moved(dense: np.ndarray) -> np.ndarray:
        out = np.full_like(dense, np.nan)
        if abs(n) < len(dense):
            out[max(n, 0) : len(dense) + min(n, 0)] = dense[max(-n, 0) : len(dense) - max(n, 0)]
        return out

    return counted(moved, series)


@np.errstate(all="ignore")
def change(series: Series, periods: int = 1) -> Series:
    """Return the difference to the value `periods` values ago."""
    return series - shift(series, periods)


@np.errstate(all="ignore")
def roc(series: Series, periods: int = 7) -> Series:
    """Return the rate of change in percent.

    The formula is ``100 * (x / shift(x, periods) - 1)``; a division by 0 gives an infinity.
    """
    return 100 * (series / shift(series, periods) - 1)


def sroc(series: Series, ma: Average = 13, periods: int = 21) -> Series:
    """Return the rate of change of a moving average.

    The rate is in percent; the moving average `ma` is an `ema` by default.

    Source: the smoothed rate of change of Fred Schutzman.
    """
    return roc(smoothed(series, ma, ema), periods)
