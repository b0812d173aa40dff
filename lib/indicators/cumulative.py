"""Indicators summed from the first day on.

They are volume by direction, and market breadth.
"""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from lib.indicators.averages import Average, Series, change, ema, over_time, smoothed


def obv(close: Series, volume: Series) -> Series:
    """Return the on-balance volume.

    Volume is added on days with a higher close and subtracted on days with a lower one. The result is NaN on
    the first day and where either series is NaN; such days add nothing.

    Source: Joseph Granville, 1963.
    """
    return over_time(lambda closes, volumes: _summed(np.sign(change(closes)) * volumes), close, volume)


def chaikin_adl(high: Series, low: Series, close: Series, volume: Series) -> Series:
    """Return the accumulation/distribution line.

    The volume is weighted by the place of the close in the day's range: a close at the high adds the volume,
    a close at the low subtracts it. The result is NaN where any of the four series is NaN and on a day
    without a range; such days add nothing.

    Source: Marc Chaikin.
    """

    def line(highs: np.ndarray, lows: np.ndarray, closes: np.ndarray, volumes: np.ndarray) -> np.ndarray:
        return _summed(volumes * ((closes - lows) - (highs - closes)) / (highs - lows))

    return over_time(line, high, low, close, volume)


@np.errstate(all="ignore")
def chaikin_osc(cadl: Series, fast_ma: Average = 3, slow_ma: Average = 10) -> Series:
    """Return Chaikin's oscillator.

    It is a fast minus a slow average of `chaikin_adl`, both `ema` by default.
    """
    return smoothed(cadl, fast_ma, ema) - smoothed(cadl, slow_ma, ema)


def ad_line(prices: Any) -> Any:
    """Return the advance/decline line.

    It sums over the days the number of rising assets minus the number of falling assets.

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
    """Return the advance/decline ratio.

    It divides the number of rising assets by the number of falling assets (see `ad_line`). The result is NaN
    or infinite where none fell.
    """
    advances, declines = _breadth(prices)
    with np.errstate(all="ignore"):
        return _labelled(advances / declines, prices)


def _summed(steps: np.ndarray) -> np.ndarray:
    """Return the sum over time.

    A gap adds nothing and stays a gap.
    """
    return np.where(np.isnan(steps), np.nan, np.nancumsum(steps, axis=0))


def _breadth(prices: Any) -> tuple[np.ndarray, np.ndarray]:
    """Count the rising and the falling assets.

    Both counts are (time,).
    """
    if np.ndim(prices) != 2:
        raise ValueError(f"prices over time and asset are needed, not {np.ndim(prices)} dimension(s)")
    values = prices.transpose("time", ...) if isinstance(prices, xr.DataArray) else prices
    changes = change(np.asarray(values, np.float64))
    return (changes > 0).sum(axis=1), (changes < 0).sum(axis=1)


def _labelled(values: np.ndarray, prices: Any) -> Any:
    if isinstance(prices, xr.DataArray):
        return xr.DataArray(values, {"time": prices["time"]}, ("time",))
    return pd.Series(values, prices.index) if isinstance(prices, pd.DataFrame) else values
