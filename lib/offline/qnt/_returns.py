"""The part of qnt.stats that needs prices: slippage and returns after costs.

The recursions over days are in lib.offline.accounting.
"""

import numpy as np
import xarray as xr

from lib.offline import NotCoveredError, accounting, not_covered

from ._rules import calc_avg_points_per_year, calc_points_per_day, get_default_slippage
from ._weights import normalize


def arrange_data(data, target_weights, per_asset, *additional_series):
    """Return the market without days and assets that have no data, and all else aligned with it.

    Weights where there is no data are dropped, missing ones become 0, and they are normalized. ValueError
    where the market lacks an axis or a price, or has a label twice.
    """
    data = _sorted(_sound(data), "asset")
    there = data.notnull().any("field")
    if not (there.any("time").all() and there.any("asset").all()):
        data = data.sel(asset=there.any("time"), time=there.any("asset"))
    axes = {"time": data.time, "asset": data.asset}
    weights = target_weights.transpose("time", "asset").reindex(axes).drop_vars("field", errors="ignore")
    return data, normalize(weights, per_asset), *(series.reindex(axes) for series in additional_series)


def calc_slippage(data, period_days=14, fract=None, points_per_year=None):
    """Return the cost of trading a share: `fract` of the mean true range of `period_days` days.

    Dims (time, asset). NaN until there are that many true ranges, each of which needs the previous close;
    gaps are forward-filled.
    """
    data = _sound(data)
    fract = get_default_slippage(data) if fract is None else fract
    per_day = calc_points_per_day(points_per_year or calc_avg_points_per_year(data))
    bars = data.sizes["time"]
    day = {"time": min(per_day, bars)}
    close = _field(data, "close").shift(day)
    high, low = _field(data, "high").rolling(day).max(), _field(data, "low").rolling(day).min()
    true_range = np.maximum(np.maximum(high - low, abs(high - close)), abs(close - low))
    window = min(bars, period_days * per_day)
    return true_range.rolling(time=window, min_periods=window).mean().ffill("time") * fract


def calc_relative_return(
    data,
    portfolio_history,
    slippage_factor=None,
    roll_slippage_factor=None,
    per_asset=False,
    points_per_year=None,
):
    """Return the relative return of each bar, from the first day of the weights on.

    A weight of day t is traded at the next day's open, adjusted for what prices did since the close; only
    assets with open, close and slippage are traded. Dividends count. Arguments as for `calc_stat`; dims
    (time,), with `per_asset` (time, asset).
    """
    if "roll" in data.field.values:
        raise NotCoveredError(not_covered("the roll of futures in qnt.stats.calc_relative_return"))
    weights = portfolio_history.shift(time=1)
    weights[{"time": slice(1)}] = 0
    slippage = calc_slippage(data, 14, slippage_factor, points_per_year)
    data, weights, slippage = arrange_data(data, weights, per_asset, slippage)
    open_, close = _field(data, "open"), _field(data, "close")
    weights = normalize(weights * open_ / close.shift(time=1).ffill("time"), per_asset)
    tradable = np.isfinite(open_) & np.isfinite(close) & np.isfinite(slippage) & (open_ > accounting.EPS)
    open_, close = open_.ffill("time").fillna(0), close.ffill("time").fillna(0)
    dividends = _field(data, "divs").fillna(0) if "divs" in data.field.values else xr.zeros_like(close)
    calculate = accounting.asset_returns if per_asset else accounting.portfolio_returns
    series = weights if per_asset else weights.sum("asset")
    if series.size:
        arrays = [x.values for x in (weights, tradable, open_, close, slippage, dividends)]
        series = series.copy(data=calculate(*arrays))
    return series.rename(None).sel(time=slice(portfolio_history.time.min(), None))


def _sound(data):
    """Return the market as (field, time, asset), its days sorted."""
    if set(data.dims) != {"field", "time", "asset"}:
        raise ValueError(f"market data need the dims field, time and asset; these have {data.dims}")
    for dim in data.dims:
        labels, count = np.unique(data[dim].values, return_counts=True)
        if (count > 1).any():
            raise ValueError(f"the data have the {dim} {labels[count > 1][0]} more than once: keep one")
    missing = {"open", "high", "low", "close"} - set(data.field.values)
    if missing:
        raise ValueError(f"the data lack the field(s) {', '.join(sorted(missing))}")
    return _sorted(data.transpose("field", "time", "asset"), "time")


def _sorted(data, dim):
    return data if data.indexes[dim].is_monotonic_increasing else data.sortby(dim)


def _field(data, name):
    return data.sel(field=name, drop=True)
