"""Portfolios: their weights, and their returns with and without costs."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from lib.common.market_data import tradable
from lib.common.rules import ROUNDING

if TYPE_CHECKING:
    import xarray as xr

    from lib.common.competitions import Competition


class Portfolio(NamedTuple):
    """The weights and daily returns of a portfolio.

    Weights are (time, asset). Returns (time,) are given after costs and without costs.
    """

    weights: "xr.DataArray"
    returns: "xr.DataArray"
    before_costs: "xr.DataArray"
    turnover: "xr.DataArray"  # (time,), the share of the capital traded on each day


class Exposure(NamedTuple):
    """The daily exposure (time,) of a portfolio.

    Exposures are shares of the capital.
    """

    long: "xr.DataArray"
    short: "xr.DataArray"  # 0 or more
    gross: "xr.DataArray"  # long and short together
    net: "xr.DataArray"  # long less short

    def means(self) -> dict[str, float]:
        """Return the exposure of an average day by name."""
        return {name: float(values.mean()) for name, values in self._asdict().items()}


def exposure(weights: "xr.DataArray") -> Exposure:
    """Compute the exposure of weights (time, asset).

    NaN counts as no position.
    """
    held = weights.fillna(0)
    long, short = held.clip(min=0).sum("asset"), (-held).clip(min=0).sum("asset")
    return Exposure(long, short, long + short, long - short)


def portfolio(data: "xr.DataArray", weights: "xr.DataArray", rules: "Competition") -> Portfolio:
    """Compute the returns and turnover of a portfolio.

    The computation is the one of `qnt.stats`.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset), the days of the weights and some 60 days before them.
    weights : xarray.DataArray
        (time, asset). Days before the contest's first day in sample do not count, as in its filter; a day
        without weights counts as one without positions.
    rules : Competition
    """
    import qnt.output as qnout
    import qnt.stats as qns

    first, last = (weights.time.values[index].astype("M8[D]") for index in (0, -1))
    first = max(first, min(np.datetime64(rules.first_day), last))
    weights = qnout.align(weights, data.time, str(first), str(last))
    returns = qns.calc_relative_return(data, weights)
    arranged, held = qns.arrange_data(data, weights, False)
    daily = {"max_periods": 1, "min_periods": 1, "points_per_year": 1}
    turnover = qns.calc_avg_turnover(
        held.sel(time=returns.time), qns.calc_equity(returns), arranged.sel(time=returns.time), **daily
    )
    free = qns.calc_relative_return(data, weights, slippage_factor=0)
    return Portfolio(weights, returns, free, turnover)


def equal_weights(data: "xr.DataArray", days: "np.ndarray") -> "xr.DataArray":
    """Return equal weights (time, asset) of all tradable assets.

    Their sum on a day is 1, or 0 without any.
    """
    liquid, price = (
        data.sel(field=name, drop=True).reindex(time=days).transpose("time", "asset")
        for name in ("is_liquid", "close")
    )
    held = liquid.copy(data=tradable(liquid.values, price.values).astype(float))
    return held / held.sum("asset").clip(min=1)


def contributions(data: "xr.DataArray", weights: "xr.DataArray") -> pd.Series:
    """Return the contribution of each asset.

    The contribution to the return is the sum of the asset's daily returns after costs, and the largest comes
    first. Returns are shares of the capital of the day. Without compounding, the sum over assets only
    approximates the total return.
    """
    import qnt.stats as qns

    held = weights.fillna(0)
    held = held.sel(asset=(held != 0).any("time"))
    returns = qns.calc_relative_return(data.sel(asset=held.asset), held, per_asset=True)
    return returns.fillna(0).sum("time").to_series().sort_values(ascending=False, kind="stable")


def same_positions(first: "xr.DataArray", second: "xr.DataArray", tolerance: float = ROUNDING) -> bool:
    """Return True if two tables of weights are equal.

    The tables are (time, asset); an absent asset counts as 0.
    """
    if not np.array_equal(first.time.values, second.time.values):
        return False
    pair = with_same_assets(first, second)
    return bool(np.abs(pair[0].values - pair[1].values).max(initial=0) <= tolerance)


def with_same_assets(*tables: "xr.DataArray") -> "list[xr.DataArray]":
    """Return tables of weights with the same assets.

    The assets are the union over all tables. The tables are (time, asset), 0 where an asset is not held.
    """
    union = sorted({asset for table in tables for asset in table.asset.values.tolist()})
    return [table.transpose("time", "asset").reindex(asset=union, fill_value=0).fillna(0) for table in tables]
