"""Technical indicators: the arithmetic of lib.indicators with the platform's interface.

Series are float64 numpy arrays with time along the *last* axis, pandas objects with time as the index, or
xarray arrays with a dimension ``time``; the result is of the same type. NaN takes no place in a window.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from lib import indicators
from lib.offline import uncovered


def lwma(series: Any, periods: int = 20) -> Any:
    """Linearly weighted moving average; see `lib.indicators.lwma`."""
    return _apply(indicators.lwma, series, periods)


def sma(series: Any, periods: int = 20) -> Any:
    """Simple moving average; see `lib.indicators.sma`."""
    return _apply(indicators.sma, series, periods)


def ema(series: Any, periods: int = 20, warm_periods: int | None = None) -> Any:
    """Exponential moving average; see `lib.indicators.ema`."""
    return _apply(indicators.ema, series, periods, warm_periods)


def shift(series: Any, periods: int = 1) -> Any:
    """Shift by `periods` non-NaN values; see `lib.indicators.shift`."""
    return _apply(indicators.shift, series, periods)


def roc(series: Any, periods: int = 7) -> Any:
    """Rate of change in percent; see `lib.indicators.roc`."""
    return _apply(indicators.roc, series, periods)


def _apply(function: Callable[..., Any], series: Any, *arguments: int | None) -> Any:
    if not isinstance(series, np.ndarray | pd.DataFrame | pd.Series | xr.DataArray):
        raise TypeError(f"expected an array of numpy, pandas or xarray, not a {type(series).__name__}")
    values = series if isinstance(series, np.ndarray) else series.values
    if values.dtype != np.float64:
        raise TypeError(f"qnt.ta takes float64 only, not {values.dtype}: use .astype('float64')")
    if isinstance(series, xr.DataArray):
        return function(series, *arguments)
    if isinstance(series, np.ndarray):
        return np.moveaxis(function(np.moveaxis(series, -1, 0), *arguments), 0, -1)
    result = function(values, *arguments)
    if isinstance(series, pd.Series):
        return pd.Series(result, series.index)
    return pd.DataFrame(result, series.index, series.columns)


__getattr__ = uncovered(__name__)
