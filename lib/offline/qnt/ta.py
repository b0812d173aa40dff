"""Technical indicators: the arithmetic of lib.indicators with the platform's interface.

Series are float64 numpy arrays with time along the *last* axis, pandas objects with time as the index, or
xarray arrays with a dimension ``time``; the result is of the same type. NaN takes no place in a window.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from lib import indicators
from lib.offline import uncovered

KINDS = np.ndarray | pd.DataFrame | pd.Series | xr.DataArray


def _platform(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return an indicator with the platform's interface.

    Its numpy arrays have time along the last axis, and it takes float64 only.
    """
    signature = inspect.signature(function)

    @functools.wraps(function, assigned=("__name__", "__qualname__", "__doc__"))
    def call(*positional: Any, **named: Any) -> Any:
        arguments = signature.bind(*positional, **named).arguments
        series = next(iter(arguments.values()))
        if not isinstance(series, KINDS):
            raise TypeError(f"an array of numpy, pandas or xarray is needed, not a {type(series).__name__}")
        result = function(**{name: _time_first(value) for name, value in arguments.items()})
        return tuple(map(_time_last, result)) if isinstance(result, tuple) else _time_last(result)

    return call


def _time_first(value: Any) -> Any:
    if callable(value):  # a moving average of the caller's, who has time along the last axis
        return lambda series: _time_first(value(_time_last(series)))
    if isinstance(value, KINDS):
        kind = (value if isinstance(value, np.ndarray) else value.values).dtype
        if kind != np.float64:
            raise TypeError(f"qnt.ta takes float64 only, not {kind}: use .astype('float64')")
    return np.moveaxis(value, -1, 0) if isinstance(value, np.ndarray) else value


def _time_last(value: Any) -> Any:
    return np.moveaxis(value, 0, -1) if isinstance(value, np.ndarray) else value


globals().update({name: _platform(getattr(indicators, name)) for name in indicators.__all__})
__getattr__ = uncovered(__name__)
