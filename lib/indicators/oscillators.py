"""Oscillators, ranges, rolling statistics, and sums of volume and breadth."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from lib.indicators.averages import (
    Average,
    Series,
    change,
    count,
    counted,
    ema,
    over_time,
    ring,
    roc,
    shift,
    sma,
    smoothed,
    tema,
    wilder_ma,
)


@np.errstate(all="ignore")
def rsi(series: Series, ma: Average = 14) -> Series:
    """Return the relative strength index, 0..100.

    It is the share of rises in the averaged daily changes. `ma` averages rises and falls, `wilder_ma` by
    default. The index is 100 without a fall, NaN without any change. The first result follows ``ma + 1``
    values.

    Source: Wilder 1978 (see `wilder_ma`).
    """
    changes = change(series)
    rises = smoothed(np.maximum(changes, 0), ma, wilder_ma)
    falls = smoothed(-np.minimum(changes, 0), ma, wilder_ma)
    return 100 * (1 - 1 / (1 + rises / falls))


def stochastic_k(high: Series, low: Series, close: Series, periods: int = 14) -> Series:
    """Return the place of the close in its range.

    The place is in percent of the range of the last `periods` days. A day with a gap in any of the three
    series does not count. The result is NaN where the range is 0.

    Source: George Lane's %K.
    """
    n = count("periods", periods)

    def place(highs: np.ndarray, lows: np.ndarray, closes: np.ndarray) -> np.ndarray:
        out = np.full_like(closes, np.nan)
        days = len(closes) - n + 1
        if days > 0:
            top, bottom = highs[n - 1 :], lows[n - 1 :]
            for start in range(n - 1):
                top = np.maximum(top, highs[start : start + days])
                bottom = np.minimum(bottom, lows[start : start + days])
            found = 100 * (closes[n - 1 :] - bottom) / (top - bottom)
            out[n - 1 :] = np.where(top > bottom, found, np.nan)
        return out

    return counted(place, high, low, close)


def stochastic(
    high: Series, low: Series, close: Series, periods: int = 5, d_ma: Average = 3
) -> tuple[Series, Series]:
    """Return the fast stochastic oscillator.

    The results are `stochastic_k` and its moving average `d_ma`, an `sma` by default.
    """
    k = stochastic_k(high, low, close, periods)
    return k, smoothed(k, d_ma, sma)


def slow_stochastic(
    high: Series, low: Series, close: Series, periods: int = 5, k_ma: Average = 3, d_ma: Average = 3
) -> tuple[Series, Series]:
    """Return the slow stochastic oscillator.

    The results are `stochastic_k` averaged with `k_ma`, and this average averaged with `d_ma`.
    """
    _, slow_k = stochastic(high, low, close, periods, k_ma)
    return slow_k, smoothed(slow_k, d_ma, sma)


@np.errstate(all="ignore")
def macd(
    series: Series, fast_ma: Average = 12, slow_ma: Average = 26, signal_ma: Average = 9
) -> tuple[Series, Series, Series]:
    """Return the moving average convergence/divergence.

    The results are the line, its signal and their difference. The line is the fast average minus the slow
    one, in units of the series; the signal is the average of the line. All averages are `ema` by default.

    Source: Gerald Appel.
    """
    line = smoothed(series, fast_ma, ema) - smoothed(series, slow_ma, ema)
    signal = smoothed(line, signal_ma, ema)
    return line, signal, line - signal


def trix(series: Series, periods: int = 18) -> Series:
    """Return the daily change of a triple exponential mean.

    The change is in percent; the mean is `tema`.

    Source: Jack Hutson, 1983.
    """
    return roc(tema(series, periods), 1)


@np.errstate(all="ignore")
def tr(high: Series, low: Series, close: Series) -> Series:
    """Return the true range in units of the price.

    The day's range is widened to the previous close. The result is NaN where any of the three series is NaN,
    and on the first day with a close.
    """
    previous = shift(close, 1)
    return np.maximum(high, previous) - np.minimum(low, previous)


def atr(high: Series, low: Series, close: Series, ma: Average = 14) -> Series:
    """Return the average true range.

    The range is in units of the price. The average of `tr` is `ma`, `wilder_ma` by default.
    """
    return smoothed(tr(high, low, close), ma, wilder_ma)


@np.errstate(all="ignore")
def dms(
    high: Series, low: Series, close: Series, di_ma: Average = 14, adx_ma: Average = 20, adxr_periods: int = 7
) -> tuple[Series, Series, Series, Series]:
    """Return the directional movement system.

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


def covariance(x: Series, y: Series, periods: int = 1) -> Series:
    """Return the covariance of the last `periods` pairs.

    A gap in either series counts as a gap in both.
    """
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
    """Return the variance of the last `periods` values."""
    return covariance(series, series, periods)


def std(series: Series, periods: int = 1) -> Series:
    """Return the standard deviation of the last `periods` values."""
    return variance(series, periods) ** 0.5


@np.errstate(all="ignore")
def beta(price_x: Series, price_y: Series, periods: int = 252) -> Series:
    """Return the beta of x to y.

    It is the covariance of their daily returns, divided by the variance of the daily returns of y.
    """
    x, y = roc(price_x, 1) / 100, roc(price_y, 1) / 100
    return covariance(x, y, periods) / variance(y, periods)


@np.errstate(all="ignore")
def correlation(price_x: Series, price_y: Series, periods: int = 252) -> Series:
    """Return the correlation of the daily returns, -1..1.

    The result is NaN where either price does not vary.
    """
    x, y = roc(price_x, 1) / 100, roc(price_y, 1) / 100
    return covariance(x, y, periods) / (std(y, periods) * std(x, periods))


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
