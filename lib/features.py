"""The features and targets of the model: yours to change.

A feature takes data (field, time, asset) and the strategy, and returns an array (time, asset). It may use the
values of each day and of the days before; `lib.lookahead` checks this. Its data hold the selected assets, or
all assets if it is marked with `whole_universe`. Further arguments with defaults are its parameters, set as
in `"rsi(periods=21)"`.

A target takes the same arguments and may be marked alike. It returns the outcome that the model learns to
predict, NaN where the outcome is not known yet.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lib import indicators
from lib.common.market_data import field, filled
from lib.common.registry import Choices, whole_universe

if TYPE_CHECKING:
    import xarray as xr

    from lib.parameters import Parameters

feature, target = Choices("feature"), Choices("target")


@feature
def trend(data: "xr.DataArray", strategy: "Parameters") -> np.ndarray:
    """Return the daily change of the close's weighted average.

    This is the published feature. The change is in percent, and the average is linearly weighted.

    Gaps in the close are forward-filled, then back-filled, then set to 1; so are gaps in the result. The
    first `lwma_period` days of a window therefore repeat the value of the next day, which only a training
    reads.
    """
    close = filled(field(data, "close"))
    if strategy.log_price:
        with np.errstate(all="ignore"):
            close = np.log(close)
    return filled(indicators.roc(indicators.lwma(close, strategy.lwma_period), 1))


@feature
def momentum(data: "xr.DataArray", strategy: "Parameters", periods: int = 20) -> np.ndarray:
    """Return the change of the close in `periods` days.

    The change is in percent, divided by the square root of `periods`.

    Source: Jegadeesh & Titman 1993.
    """
    return indicators.roc(field(data, "close"), periods) / np.sqrt(periods)


@feature
def volatility(data: "xr.DataArray", strategy: "Parameters", periods: int = 20) -> np.ndarray:
    """Return the standard deviation of the last daily returns.

    The returns cover `periods` days and are in percent.

    Source: Ang, Hodrick, Xing & Zhang 2006.
    """
    return indicators.std(_returns(data), periods)


@feature
def rsi(data: "xr.DataArray", strategy: "Parameters", periods: int = 14) -> np.ndarray:
    """Return the relative strength index of the close.

    It is scaled from 0..100 to -1..1.

    Source: Wilder 1978.
    """
    return indicators.rsi(field(data, "close"), periods) / 50 - 1


@feature
def atr_percent(data: "xr.DataArray", strategy: "Parameters", periods: int = 14) -> np.ndarray:
    """Return the average true range in percent.

    The range is relative to the close.

    Source: Wilder 1978.
    """
    high, low, close = (field(data, name) for name in ("high", "low", "close"))
    with np.errstate(all="ignore"):
        return 100 * indicators.atr(high, low, close, periods) / close


@feature
def ema_ratio(data: "xr.DataArray", strategy: "Parameters", periods: int = 15) -> np.ndarray:
    """Return the distance of the close from its mean.

    The mean is exponential over `periods` days. The distance is in percent of it, divided by the square root
    of `periods`.

    Source: Appel 1979.
    """
    close = field(data, "close")
    with np.errstate(all="ignore"):
        return 100 * (close / indicators.ema(close, periods) - 1) / np.sqrt(periods)


@feature
def volume_ratio(data: "xr.DataArray", strategy: "Parameters", periods: int = 20) -> np.ndarray:
    """Return the logarithm of the relative volume.

    The volume of the day is divided by its mean over `periods` days.

    Source: Gervais, Kaniel & Mingelgrin 2001.
    """
    volume = field(data, "vol")
    with np.errstate(all="ignore"):
        return np.log((1 + volume) / (1 + indicators.sma(volume, periods)))


@feature
def gap(data: "xr.DataArray", strategy: "Parameters") -> np.ndarray:
    """Return the overnight return in percent.

    It is the change from the previous close to the open.

    Source: Lou, Polk & Skouras 2019.
    """
    with np.errstate(all="ignore"):
        return 100 * (field(data, "open") / indicators.shift(field(data, "close"), 1) - 1)


@feature
@whole_universe
def market(data: "xr.DataArray", strategy: "Parameters") -> np.ndarray:
    """Return the mean daily return of the market.

    It is the mean over the liquid assets, in percent, and the same for each asset.

    Source: Sharpe 1964.
    """
    returns = np.where(field(data, "is_liquid") > 0, _returns(data), np.nan)
    known = np.isfinite(returns)
    with np.errstate(all="ignore"):
        mean = np.where(known, returns, 0).sum(axis=1, keepdims=True) / known.sum(axis=1, keepdims=True)
    return np.repeat(mean, returns.shape[1], axis=1)


@feature
@whole_universe
def rank(data: "xr.DataArray", strategy: "Parameters") -> np.ndarray:
    """Return the rank of the daily return, 0..1.

    Of the liquid assets, the lowest return has rank 0, the highest rank 1.

    Source: Jegadeesh 1990.
    """
    ranks = pd.DataFrame(np.where(field(data, "is_liquid") > 0, _returns(data), np.nan)).rank(axis=1)
    last = ranks.count(axis=1).to_numpy()[:, None]
    with np.errstate(all="ignore"):
        return np.where(last > 1, (ranks.to_numpy() - 1) / (last - 1), ranks.to_numpy() * 0.5)


@target
def next_open_up(data: "xr.DataArray", strategy: "Parameters") -> np.ndarray:
    """Return 1 where the next open is higher.

    It is compared with the open of this day; other values are 0. This is the published target.
    """
    opens = field(data, "open")
    return _rises(opens, indicators.shift(opens, -1))


@target
def tradable_open_up(data: "xr.DataArray", strategy: "Parameters") -> np.ndarray:
    """Return 1 where the open after next is higher.

    It is compared with the next open; other values are 0. A position of this day earns this change.
    """
    opens = field(data, "open")
    return _rises(indicators.shift(opens, -1), indicators.shift(opens, -2))


def _rises(now: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Return 1 where `later` is above `now`, else 0.

    The result is NaN where either is unknown.
    """
    return np.where(np.isnan(now) | np.isnan(later), np.nan, later > now)


def _returns(data: "xr.DataArray") -> np.ndarray:
    """Return the daily change of the close in percent."""
    return indicators.roc(field(data, "close"), 1)
