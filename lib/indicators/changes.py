"""Shifts, and what changed since: differences and rates."""

import numpy as np

from lib.indicators.averages import ema
from lib.indicators.windows import Average, Series, count, counted, smoothed


def shift(series: Series, periods: int = 1) -> Series:
    """The value `periods` values ago, NaN where there is none.

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
    """Difference to the value `periods` values ago."""
    return series - shift(series, periods)


@np.errstate(all="ignore")
def roc(series: Series, periods: int = 7) -> Series:
    """Rate of change in percent, ``100 * (x / shift(x, periods) - 1)``; a division by 0 gives an infinity."""
    return 100 * (series / shift(series, periods) - 1)


def sroc(series: Series, ma: Average = 13, periods: int = 21) -> Series:
    """Rate of change in percent of the moving average `ma`, an `ema` by default.

    Source: the smoothed rate of change of Fred Schutzman.
    """
    return roc(smoothed(series, ma, ema), periods)
