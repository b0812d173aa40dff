"""Sums since the first day: of volume by direction, and of advancing and declining assets."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from lib.indicators.averages import change, ema
from lib.indicators.windows import Average, Series, over_time, smoothed


def obv(close: Series, volume: Series) -> Series:
    """On-balance volume: volume added up on days with a higher close, subtracted on days with a lower one.

    NaN, and nothing added, on the first day and where either is NaN. Source: Joseph Granville, 1963.
    """
    return over_time(lambda closes, volumes: _summed(np.sign(change(closes)) * volumes), close, volume)


def chaikin_adl(high: Series, low: Series, close: Series, volume: Series) -> Series:
    """Accumulation/distribution line (Marc Chaikin): volume weighted by the place of the close in its range.

    A close at the high adds the day's volume, one at the low subtracts it. NaN, and nothing added, where any
    of the four is NaN and on a day without a range.
    """

    def line(highs: np.ndarray, lows: np.ndarray, closes: np.ndarray, volumes: np.ndarray) -> np.ndarray:
        return _summed(volumes * ((closes - lows) - (highs - closes)) / (highs - lows))

    return over_time(line, high, low, close, volume)


@np.errstate(all="ignore")
def chaikin_osc(cadl: Series, fast_ma: Average = 3, slow_ma: Average = 10) -> Series:
    """Chaikin's oscillator: a fast minus a slow average of `chaikin_adl`, both `ema` by default."""
    return smoothed(cadl, fast_ma, ema) - smoothed(cadl, slow_ma, ema)


def ad_line(prices: Any) -> Any:
    """Advance/decline line: the number of assets that rose minus those that fell, summed over the days.

    Parameters
    ----------
    prices : array (time, asset), DataArray with ``time`` and one other dimension, or DataFrame

    Returns
    -------
    Whole numbers (time,) of the same kind; a DataFrame gives a Series. A price that is NaN neither rises nor
    falls.

    Raises
    ------
    ValueError
        `prices` has not two dimensions.
    """
    advances, declines = _breadth(prices)
    return _labelled((advances - declines).cumsum(), prices)


def ad_ratio(prices: Any) -> Any:
    """Advance/decline ratio: the number of assets that rose divided by those that fell; see `ad_line`.

    NaN or infinite where none fell.
    """
    advances, declines = _breadth(prices)
    with np.errstate(all="ignore"):
        return _labelled(advances / declines, prices)


def _summed(steps: np.ndarray) -> np.ndarray:
    """Sum over time; a gap adds nothing and stays a gap."""
    return np.where(np.isnan(steps), np.nan, np.nancumsum(steps, axis=0))


def _breadth(prices: Any) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (time,) of assets that rose and that fell."""
    if np.ndim(prices) != 2:
        raise ValueError(f"prices over time and asset are needed, not {np.ndim(prices)} dimension(s)")
    values = prices.transpose("time", ...) if isinstance(prices, xr.DataArray) else prices
    changes = change(np.asarray(values, np.float64))
    return (changes > 0).sum(axis=1), (changes < 0).sum(axis=1)


def _labelled(values: np.ndarray, prices: Any) -> Any:
    if isinstance(prices, xr.DataArray):
        return xr.DataArray(values, {"time": prices["time"]}, ("time",))
    return pd.Series(values, prices.index) if isinstance(prices, pd.DataFrame) else values
