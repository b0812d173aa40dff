"""What past values say: moving averages, rates of change and shifts, in plain numpy.

Each function counts only the values that are there: a NaN gives NaN and takes no place in a window. That is
how the platform's ``qnt.ta`` counts, and the results are the same bit for bit; importing that takes seconds.
"""

import numbers
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import xarray as xr

Series = TypeVar("Series", np.ndarray, xr.DataArray)


def lwma(x: Series, periods: int = 20) -> Series:
    """Linearly weighted mean of the last `periods` values, the newest weighted `periods`, the oldest 1.

    Parameters
    ----------
    x : float array with time along axis 0, or DataArray with a dimension ``time`` anywhere
    periods : number of non-NaN values in the window, at least 1

    Returns
    -------
    The type, dims and coordinates of `x`. NaN where `x` is NaN, and until `periods` values were seen.
    """
    n = _count("periods", periods)

    def weighted(dense: np.ndarray) -> np.ndarray:
        out = np.full_like(dense, np.nan)
        if len(dense) >= n:
            total = np.zeros_like(dense[n - 1 :])
            for age in range(n):
                total += dense[n - 1 - age : len(dense) - age] * (n - age)
            out[n - 1 :] = total / (n * (n + 1) / 2)
        return out

    return _along_time(x, weighted)


def sma(x: Series, periods: int = 20) -> Series:
    """Mean of the last `periods` values; arguments and NaN as for `lwma`. An infinity never leaves it."""
    n = _count("periods", periods)

    def mean(dense: np.ndarray) -> np.ndarray:
        out = np.full_like(dense, np.nan)
        if len(dense) >= n:
            # Leaving and entering values take turns in one running sum: the platform's order of rounding.
            steps = np.empty((2 * len(dense) - n, *dense.shape[1:]))
            steps[:n] = dense[:n]
            steps[n::2] = -dense[: len(dense) - n]
            steps[n + 1 :: 2] = dense[n:]
            out[n - 1 :] = np.cumsum(steps, axis=0)[n - 1 :: 2] / n
        return out

    return _along_time(x, mean)


def ema(x: Series, periods: int = 20, warm_periods: int | None = None) -> Series:
    """Exponential mean with factor ``2 / (periods + 1)``, started from the mean of the first values.

    Parameters
    ----------
    x : as for `lwma`
    periods : at least 1
    warm_periods : how many first values make the start, at least 1; `periods` unless said

    Returns
    -------
    As `lwma`; NaN until `warm_periods` values were seen.
    """
    factor = 2 / (_count("periods", periods) + 1)
    warm = _count("warm_periods", periods if warm_periods is None else warm_periods)

    def smooth(dense: np.ndarray) -> np.ndarray:
        out = np.full_like(dense, np.nan)
        if len(dense) >= warm:
            value = np.cumsum(dense[:warm] / warm, axis=0)[-1]
            out[warm - 1] = value
            for i in range(warm, len(dense)):
                value = (dense[i] - value) * factor + value
                out[i] = value
        return out

    return _along_time(x, smooth)


def shift(x: Series, periods: int = 1) -> Series:
    """The value `periods` values ago; a negative number looks **ahead**, which only a target may do.

    Arguments and NaN as for `lwma`; where there is no such value, NaN.
    """
    n = _count("periods", periods, lowest=None)

    def moved(dense: np.ndarray) -> np.ndarray:
        out = np.full_like(dense, np.nan)
        if abs(n) < len(dense):
            out[max(n, 0) : len(dense) + min(n, 0)] = dense[max(-n, 0) : len(dense) - max(n, 0)]
        return out

    return _along_time(x, moved)


def roc(x: Series, periods: int = 7) -> Series:
    """Rate of change in percent, ``100 * (x / shift(x, periods) - 1)``; a division by 0 gives an infinity."""
    with np.errstate(all="ignore"):
        return 100 * (x / shift(x, periods) - 1)


def _count(name: str, value: int, lowest: int | None = 1) -> int:
    if not isinstance(value, numbers.Real) or not np.isfinite(value):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if lowest is not None and value < lowest:
        raise ValueError(f"{name} must be at least {lowest}, not {value!r}")
    return int(value)


def _along_time(x: Series, function: Callable[[np.ndarray], np.ndarray]) -> Series:
    """Apply a function of gapless columns to the values that are there; results go to their places."""
    if isinstance(x, xr.DataArray):
        if "time" not in x.dims:
            raise ValueError(f"the array needs a dimension 'time'; it has {x.dims}")
        moved = x.transpose("time", ...)
        result = xr.DataArray(_along_time(moved.values, function), dims=moved.dims, coords=x.coords)
        return result.transpose(*x.dims)
    values = np.asarray(x, dtype=np.float64)
    if values.ndim == 0:
        raise ValueError("a series of values over time is needed, not a single number")
    with np.errstate(all="ignore"):
        gaps = np.isnan(values)
        if not gaps.any():
            return function(values)
        flat = values.reshape(len(values), -1)
        row, column = np.nonzero(~gaps.reshape(flat.shape))
        place = (np.cumsum(~gaps.reshape(flat.shape), axis=0) - 1)[row, column]
        dense = np.full_like(flat, np.nan)
        dense[place, column] = flat[row, column]
        out = np.full_like(flat, np.nan)
        out[row, column] = function(dense)[place, column]
    return out.reshape(values.shape)
