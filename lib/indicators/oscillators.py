"""Oscillators: strength of rises, place within the recent range, and differences of averages."""

import numpy as np

from lib.indicators.averages import ema, sma, tema, wilder_ma
from lib.indicators.changes import change, roc
from lib.indicators.windows import Average, Series, count, counted, smoothed


@np.errstate(all="ignore")
def rsi(series: Series, ma: Average = 14) -> Series:
    """Relative strength index, 0..100: the share of rises in the averaged daily changes.

    `ma` averages rises and falls, `wilder_ma` by default. 100 without a fall, NaN without any change. The
    first result follows ``ma + 1`` values. Source: Wilder 1978 (see `wilder_ma`).
    """
    changes = change(series)
    rises = smoothed(np.maximum(changes, 0), ma, wilder_ma)
    falls = smoothed(-np.minimum(changes, 0), ma, wilder_ma)
    return 100 * (1 - 1 / (1 + rises / falls))


def stochastic_k(high: Series, low: Series, close: Series, periods: int = 14) -> Series:
    """Place of the close in the range of the last `periods` days, in percent: George Lane's %K.

    A day with a gap in any of the three series does not count. NaN where the range is 0.
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
    """The fast stochastic oscillator: `stochastic_k`, and its moving average `d_ma`, an `sma` by default."""
    k = stochastic_k(high, low, close, periods)
    return k, smoothed(k, d_ma, sma)


def slow_stochastic(
    high: Series, low: Series, close: Series, periods: int = 5, k_ma: Average = 3, d_ma: Average = 3
) -> tuple[Series, Series]:
    """The slow stochastic oscillator: `stochastic_k` averaged with `k_ma`, and that averaged with `d_ma`."""
    _, slow_k = stochastic(high, low, close, periods, k_ma)
    return slow_k, smoothed(slow_k, d_ma, sma)


@np.errstate(all="ignore")
def macd(
    series: Series, fast_ma: Average = 12, slow_ma: Average = 26, signal_ma: Average = 9
) -> tuple[Series, Series, Series]:
    """Moving average convergence/divergence (Gerald Appel): the line, its signal and their difference.

    The line is the fast average minus the slow one, in units of the series; the signal is the average of the
    line. All averages are `ema` by default.
    """
    line = smoothed(series, fast_ma, ema) - smoothed(series, slow_ma, ema)
    signal = smoothed(line, signal_ma, ema)
    return line, signal, line - signal


def trix(series: Series, periods: int = 18) -> Series:
    """Daily change in percent of the triple exponential mean `tema` (Jack Hutson, 1983)."""
    return roc(tema(series, periods), 1)
