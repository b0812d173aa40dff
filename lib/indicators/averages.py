"""Moving averages and changes, and the basis of all indicators.

The basis is series, windows and checks of arguments.
"""

import math
import numbers
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

Series = TypeVar("Series", np.ndarray, xr.DataArray, pd.DataFrame, pd.Series)
Average = int | Callable[[Any], Any]
PANDAS = (pd.DataFrame, pd.Series)


def count(name: str, value: Any, lowest: int | None = 1) -> int:
    """Return `value` as an int.

    Raises
    ------
    TypeError
        It is not a finite number.
    ValueError
        It is below `lowest`.
    """
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if lowest is not None and value < lowest:
        raise ValueError(f"{name} must be at least {lowest}, not {value!r}")
    return int(float(value))


def smoothed(series: Series, ma: Average, average: Callable[..., Series]) -> Series:
    """Return a moving average of the series.

    `ma` is a function, or the number of periods of `average`.
    """
    return ma(series) if callable(ma) else average(series, ma)


def over_time(function: Callable[..., np.ndarray], *series: Any) -> Any:
    """Apply a function of arrays to series over time.

    The arrays have time along axis 0; all series are of one kind.

    Several series are matched by position; the result has the labels of the first.

    Raises
    ------
    ValueError
        A single number, no dimension ``time``, or series of different shapes.
    """
    first = series[0]
    if isinstance(first, xr.DataArray):
        if "time" not in first.dims:
            raise ValueError(f"the array needs a dimension 'time'; it has {first.dims}")
        dims = ("time", *(dim for dim in first.dims if dim != "time"))
        result = over_time(function, *(x.transpose(*dims).values for x in series))
        return xr.DataArray(result, dims=dims, coords=first.coords).transpose(*first.dims)
    if isinstance(first, PANDAS):
        result = over_time(function, *(x.to_numpy() for x in series))
        labels = [first.index] if isinstance(first, pd.Series) else [first.index, first.columns]
        return type(first)(result, *labels)
    values = [np.asarray(x, dtype=np.float64) for x in series]
    if values[0].ndim == 0:
        raise ValueError("a series of values over time is needed, not a single number")
    if len(values) > 1 and len({x.shape for x in values}) > 1:
        raise ValueError(f"series of one shape are needed, not {' and '.join(str(x.shape) for x in values)}")
    with np.errstate(all="ignore"):
        return function(*values)


def counted(function: Callable[..., np.ndarray], *series: Any) -> Any:
    """Apply a function to columns closed up over gaps.

    Each result returns to the place of its value.

    If there are several series, a gap in one counts as a gap in all. Columns with fewer values than others
    end in NaN, where the function's results are not used.
    """

    def closed_up(*values: np.ndarray) -> np.ndarray:
        gaps = np.isnan(values[0])
        for x in values[1:]:
            gaps |= np.isnan(x)
        if not gaps.any():
            return function(*values)
        there = ~gaps.reshape(len(gaps), -1)
        row, column = np.nonzero(there)
        place = (np.cumsum(there, axis=0) - 1)[row, column]
        dense = np.full((len(values), *there.shape), np.nan)
        for k, x in enumerate(values):
            dense[k, place, column] = x.reshape(there.shape)[row, column]
        out = np.full(there.shape, np.nan)
        out[row, column] = function(*dense)[place, column]
        return out.reshape(gaps.shape)

    return over_time(closed_up, *series)


def ring(first: int, length: int, periods: int) -> Iterator[np.ndarray]:
    """Yield the rows of each place in ring buffers.

    A buffer holds the window of `periods` values that ends on a row from `first` to ``length - 1``.

    The order is that of a ring buffer, in which a new value takes the place of the oldest: the platform adds
    up windows in this order, and other orders round differently.
    """
    ends = np.arange(first, length)
    for slot in range(periods):
        yield ends - (ends - slot) % periods


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

    A gap in either series counts as a gap in both. The result is NaN also where no volume was traded in the
    window.
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
    """Return the exponential mean.

    Its factor is ``2 / (periods + 1)``. It starts from the mean of the first values.

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
    """Return the exponential mean of Wilder.

    Its factor is ``1 / periods``. It starts from the mean of the first `periods` values.

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

    The factors are the weights of `wma`.
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
