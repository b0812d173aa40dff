"""Ranges of a day and their direction: Wilder's true range and directional movement.

Source: J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.
"""

import numpy as np

from lib.indicators.averages import wilder_ma
from lib.indicators.changes import shift
from lib.indicators.windows import Average, Series, smoothed


@np.errstate(all="ignore")
def tr(high: Series, low: Series, close: Series) -> Series:
    """True range in units of the price: the day's range, widened to the previous close.

    NaN where any of the three is, and on the first day with a close.
    """
    previous = shift(close, 1)
    return np.maximum(high, previous) - np.minimum(low, previous)


def atr(high: Series, low: Series, close: Series, ma: Average = 14) -> Series:
    """Average true range in units of the price: `tr` averaged with `ma`, `wilder_ma` by default."""
    return smoothed(tr(high, low, close), ma, wilder_ma)


@np.errstate(all="ignore")
def dms(
    high: Series, low: Series, close: Series, di_ma: Average = 14, adx_ma: Average = 20, adxr_periods: int = 7
) -> tuple[Series, Series, Series, Series]:
    """Directional movement system.

    Parameters
    ----------
    high, low, close : see `lib.indicators`
    di_ma, adx_ma
        Averages of the movements and of their difference, `wilder_ma` by default.
    adxr_periods : int
        Distance of the two values whose mean is the rating.

    Returns
    -------
    plus_di, minus_di, adx, adxr
        The averaged upward and downward movement and their averaged relative difference, in percent, and its
        rating. NaN where a range or both movements are 0.
    """
    up, down = high - shift(high, 1), shift(low, 1) - low
    average_range = atr(high, low, close, di_ma)
    plus_di = 100 * smoothed(np.maximum(up, 0) * (up > down), di_ma, wilder_ma) / average_range
    minus_di = 100 * smoothed(np.maximum(down, 0) * (down > up), di_ma, wilder_ma) / average_range
    adx = smoothed(100 * abs(plus_di - minus_di) / (plus_di + minus_di), adx_ma, wilder_ma)
    return plus_di, minus_di, adx, (adx + shift(adx, adxr_periods)) / 2
