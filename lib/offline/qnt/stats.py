"""Statistics of a portfolio: its returns and holdings.

``data`` is a market with dims field, time, asset; ``portfolio_history`` weights with dims time, asset; a
weight of day t is traded at the next day's open. Periods are bars. Statistics are series over time, with a
dimension asset with `per_asset`; a value depends only on the bars up to its own, except for the holding time.
"""

import numpy as np
import xarray as xr

from lib.offline import uncovered

from ._holdings import *
from ._ratios import *
from ._returns import *
from ._rules import *
from ._weights import normalize
from .log import log_err

print_correlation = check_correlation


def calc_stat(
    data,
    portfolio_history,
    slippage_factor=None,
    roll_slippage_factor=None,
    min_periods=1,
    max_periods=None,
    per_asset=False,
    points_per_year=None,
):
    """Return all statistics; warn on stderr of missed days and of positions in illiquid assets.

    Parameters
    ----------
    slippage_factor : share of the average true range paid per trade, by default the competition's (0.05)
    roll_slippage_factor : for futures; without effect here
    min_periods, max_periods : bars that a statistic needs and looks back at, by default 1 and all of `data`
    per_asset : every asset as a portfolio of its own, its weights clipped to -1..1 instead of normalized
    points_per_year : bars a year, by default derived from `data`

    Returns
    -------
    DataArray (time, field) or (time, field, asset) for every day of `data` that has any. NaN before the first
    day of the weights (except for bias, instruments and holding time), and where a ratio is 0/0. ValueError
    for weights without a day, and data without a price from their first day on.
    """
    if portfolio_history.sizes["time"] == 0:
        raise ValueError("the weights have no day: there are no statistics")
    yearly = {
        "min_periods": min_periods,
        "max_periods": data.sizes["time"] if max_periods is None else max_periods,
        "points_per_year": points_per_year or calc_avg_points_per_year(data),
    }
    if len(find_missed_dates(portfolio_history, data)) > 0:
        log_err("WARNING: some dates are missed in the portfolio_history")
    weights = normalize(portfolio_history, per_asset)
    arranged, held = arrange_data(data, weights, per_asset)
    if is_non_liquid(arranged, held).any():
        log_err("WARNING: Strategy trades non-liquid assets.")
    returns = calc_relative_return(
        data, weights, slippage_factor, roll_slippage_factor, per_asset, yearly["points_per_year"]
    )
    if returns.size == 0:
        raise ValueError("the data have no price from the first day of the weights on: load other data")
    equity = calc_equity(returns)
    underwater = calc_underwater(equity)
    statistics = {
        "equity": equity,
        "relative_return": returns,
        "volatility": calc_volatility_annualized(returns, **yearly),
        "underwater": underwater,
        "max_drawdown": calc_max_drawdown(underwater),
        "sharpe_ratio": calc_sharpe_ratio_annualized(returns, **yearly),
        "mean_return": calc_mean_return_annualized(returns, **yearly),
        "bias": calc_bias(held, per_asset),
        "instruments": calc_instruments(held, per_asset),
        "avg_turnover": calc_avg_turnover(held, equity, arranged, per_asset=per_asset, **yearly),
        "avg_holding_time": calc_avg_holding_time(held, per_asset=per_asset, **yearly),
    }
    dims = ("time", "asset") if per_asset else ("time",)
    rows = [values.reindex(time=held.time).transpose(*dims).values for values in statistics.values()]
    return xr.DataArray(
        np.stack(rows, axis=1),
        {"field": list(statistics), **{dim: held[dim] for dim in dims}},
        ("time", "field", *dims[1:]),
    )


__getattr__ = uncovered(__name__)
