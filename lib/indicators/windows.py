"""Series of any kind as columns over time, windows without gaps, and argument checks."""

import math
import numbers
from collections.abc import Callable, Iterator
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
