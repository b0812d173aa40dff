"""Dispersion within a window, and how two series move together.

The window holds `periods` values and is divided by their number, not by one less. Its first result comes one
value later than the window is full, as on the platform.
"""

import numpy as np

from lib.indicators.changes import roc
from lib.indicators.windows import Series, count, counted, ring


def covariance(x: Series, y: Series, periods: int = 1) -> Series:
    """Covariance of the last `periods` pairs; a gap in either series counts as a gap in both."""
    n = count("periods", periods)

    def within(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        out = np.full_like(first, np.nan)
        if len(first) > n:
            mean_first = sum(first[rows] for rows in ring(n, len(first), n)) / n
            mean_second = sum(second[rows] for rows in ring(n, len(first), n)) / n
            products = (
                (first[rows] - mean_first) * (second[rows] - mean_second) for rows in ring(n, len(first), n)
            )
            out[n:] = sum(products) / n
        return out

    return counted(within, x, y)


def variance(series: Series, periods: int = 1) -> Series:
    """Variance of the last `periods` values."""
    return covariance(series, series, periods)


def std(series: Series, periods: int = 1) -> Series:
    """Standard deviation of the last `periods` values."""
    return variance(series, periods) ** 0.5


@np.errstate(all="ignore")
def beta(price_x: Series, price_y: Series, periods: int = 252) -> Series:
    """Covariance of the daily returns of x and y, divided by the variance of those of y."""
    x, y = roc(price_x, 1) / 100, roc(price_y, 1) / 100
    return covariance(x, y, periods) / variance(y, periods)


@np.errstate(all="ignore")
def correlation(price_x: Series, price_y: Series, periods: int = 252) -> Series:
    """Correlation of the daily returns of x and y, -1..1; NaN where either does not vary."""
    x, y = roc(price_x, 1) / 100, roc(price_y, 1) / 100
    return covariance(x, y, periods) / (std(y, periods) * std(x, periods))
