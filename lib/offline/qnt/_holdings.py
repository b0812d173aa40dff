"""The part of qnt.stats that looks at weights: exposure, liquidity, turnover and holding time.

``portfolio_history`` are weights with dims time, asset. The recursion over days is in lib.offline.accounting.
"""

import numpy as np
import xarray as xr

from lib.offline import accounting

from ._returns import arrange_data
from ._rules import calc_avg_points_per_year, calc_points_per_day


def calc_bias(portfolio_history, per_asset=False):
    """Return the sum of weights over the sum of their sizes, 0 without any; per asset the weights."""
    if per_asset:
        return portfolio_history
    bias = portfolio_history.sum("asset") / abs(portfolio_history).sum("asset")
    return bias.where(np.isfinite(bias)).fillna(0)


def calc_exposure(portfolio_history):
    """Return the size of each position as a share of the day, from 0 to 1; NaN stays."""
    size = abs(portfolio_history)
    total = size.sum("asset")
    return size / total.where(total > accounting.EPS, 1)


def calc_non_liquid(data, portfolio_history):
    """Return the weights held while `is_liquid` is 0 (NaN is not 0), for the days and assets with any."""
    data, weights = arrange_data(data, portfolio_history, False)
    held = weights.where(is_non_liquid(data, weights))
    return held.dropna("asset", how="all").dropna("time", how="all")


def is_non_liquid(data, weights):
    """Return where arranged weights hold an illiquid asset; nowhere if the data lack `is_liquid`."""
    if "is_liquid" not in data.field.values:
        return xr.zeros_like(data.sel(field="close"), dtype=bool)
    return (data.sel(field="is_liquid") == 0) & (weights != 0)


def find_missed_dates(output, data):
    """Return the days with a liquid asset (or a price) that `output` lacks since its first day, sorted."""
    says = data.sel(field="is_liquid" if "is_liquid" in data.field.values else "close")
    days = data.time.values[(says > 0).any("asset").values]
    return np.setdiff1d(days[days >= output.time.values.min()], output.time.values)


def calc_instruments(portfolio_history, per_asset=False):
    """Return how many assets were ever held so far; per asset 1."""
    if per_asset:
        return xr.ones_like(portfolio_history)
    return ((portfolio_history.fillna(0) != 0).cumsum("time") > 0).sum("asset").astype("float64")


def calc_avg_turnover(
    portfolio_history, equity, data, max_periods=None, min_periods=1, per_asset=False, points_per_year=None
):
    """Return the mean share of the capital traded per bar, over `max_periods` bars, by default a year."""
    points_per_year = points_per_year or calc_avg_points_per_year(portfolio_history)
    wanted = _shifted(portfolio_history.transpose("time", "asset"), 0)
    open_ = data.sel(field="open", drop=True).transpose("time", "asset")
    open_ = open_.sel(time=wanted.time, asset=wanted.asset)
    held = _shifted(wanted, 0) * _shifted(equity, 1) * open_ / (_shifted(open_, open_[:1].values) * equity)
    turnover = abs(wanted - held)
    if not per_asset:
        turnover = turnover.sum("asset")
    max_periods = points_per_year if max_periods is None else max_periods
    return rolling(turnover, max_periods, min_periods).mean()


def calc_avg_holding_time(
    portfolio_history, max_periods=None, min_periods=1, per_asset=False, points_per_year=None
):
    """Return the mean holding time in days of what was sold, weighted by size; NaN before the first sale.

    The last weights but one count as 0, so that a position never closed has a holding time too.
    """
    per_day = calc_points_per_day(points_per_year or calc_avg_points_per_year(portfolio_history))
    weights = portfolio_history.transpose("time", "asset").rename(None).copy()
    weights[{"time": slice(-2, -1)}] = 0
    sold, held = (weights.copy(data=x) for x in accounting.holding_log(weights.values))
    if not per_asset:
        total = sold.sum("asset")
        sold, held = total, (sold * held).sum("asset") / total
    spent = rolling(sold * held, max_periods, min_periods).sum()
    return spent / rolling(sold, max_periods, min_periods).sum() / per_day


def rolling(series, max_periods, min_periods):
    """Return the rolling window over the last `max_periods` bars, no more than there are."""
    bars = series.sizes["time"]
    if bars == 0:
        raise ValueError("there is no day to calculate statistics of")
    periods = bars if max_periods is None else min(max_periods, bars)
    return series.rolling(time=periods, min_periods=min(min_periods, periods))


def _shifted(series, first):
    """Return the value of the bar before; `first` for the first bar."""
    shifted = series.shift(time=1)
    shifted[{"time": slice(1)}] = first
    return shifted
