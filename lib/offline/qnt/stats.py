"""Statistics of a portfolio: its returns, their ratios, and its holdings.

``data`` is a market with dims field, time, asset; ``portfolio_history`` weights with dims time, asset; a
weight of day t is traded at the next day's open. Periods are bars. Statistics are series over time, with a
dimension asset with `per_asset`; a value depends only on the bars up to its own, except for the holding time.
The recursions over days are in lib.offline.accounting.
"""

import numpy as np
import xarray as xr

from lib.common.competitions import KINDS
from lib.offline import NotCoveredError, accounting, not_covered, uncovered

from .data.common import get_env
from .exposure import calc_exposure as calc_exposure
from .exposure import normalize
from .log import log_err


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
    """Return all statistics of a portfolio.

    Warnings on stderr report missed days and positions in illiquid assets.

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
    rules = rules_of_data(data.name)
    # As on the platform, the name of the loader's data decides, not that of the competition.
    named_like_its_data = rules is not None and data.name == rules.data_name
    estimator = rules.mean_estimator if named_like_its_data else "geometric"
    means = {"geometric": calc_mean_return_annualized, "arithmetic": calc_simple_mean_return_annualized}
    equity = calc_equity(returns)
    underwater = calc_underwater(equity)
    statistics = {
        "equity": equity,
        "relative_return": returns,
        "volatility": calc_volatility_annualized(returns, **yearly),
        "underwater": underwater,
        "max_drawdown": calc_max_drawdown(underwater),
        "sharpe_ratio": calc_sharpe_ratio_annualized(returns, **yearly, mean_estimator=estimator),
        "mean_return": means[estimator](returns, **yearly),
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


def arrange_data(data, target_weights, per_asset, *additional_series):
    """Align weights and other series with a market.

    Days and assets that have no data are dropped from the market, and all else is aligned with it. Weights
    where there is no data are dropped, missing ones become 0, and they are normalized. ValueError is raised
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
    """Return the cost of trading one share.

    The cost is `fract` of the mean true range of `period_days` days, with dims (time, asset). It is NaN until
    there are as many true ranges, each of which needs the previous close. Gaps are forward-filled.
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
    """Return the relative return of each bar.

    The series begins on the first day of the weights. Its dims are (time,), or (time, asset) with
    `per_asset`.

    A weight of day t is traded at the next day's open, adjusted for the change of prices since the close.
    Only assets with open, close and slippage are traded, and dividends count. Arguments are as for
    `calc_stat`.
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
    """Return a checked market with sorted days.

    Its dims are (field, time, asset). ValueError is raised for other dims, repeated labels and missing
    prices.
    """
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


def calc_equity(relative_return):
    """Return the value of the portfolio.

    The value before the first bar is 1.
    """
    return (relative_return + 1).cumprod("time")


def calc_underwater(equity):
    """Return the distance from the highest equity so far.

    The distance is relative, and 0 or less.
    """
    return equity / rolling(equity, None, 1).max() - 1


def calc_max_drawdown(underwater):
    """Return the lowest underwater so far."""
    return rolling(underwater, None, 1).min()


def calc_volatility(relative_return, max_periods=None, min_periods=2):
    """Return the standard deviation of recent returns.

    It is the population standard deviation of the last `max_periods` returns.
    """
    return rolling(relative_return, max_periods, min_periods).std()


def calc_volatility_annualized(relative_return, max_periods=None, min_periods=2, points_per_year=None):
    """Return the annualized volatility.

    It is `calc_volatility` times the square root of the bars per year.
    """
    points_per_year = points_per_year or calc_avg_points_per_year(relative_return)
    return calc_volatility(relative_return, max_periods, min_periods) * pow(points_per_year, 1.0 / 2)


def calc_mean_return(relative_return, max_periods=None, min_periods=1, points_per_year=None):
    """Return the geometric mean of recent returns.

    The mean covers the last `max_periods` returns. It is NaN once more than everything was lost.
    """
    with np.errstate(all="ignore"):
        return np.exp(rolling(np.log(relative_return + 1), max_periods, min_periods).mean()) - 1


def calc_mean_return_annualized(relative_return, max_periods=None, min_periods=1, points_per_year=None):
    """Return `calc_mean_return`, compounded over a year."""
    points_per_year = points_per_year or calc_avg_points_per_year(relative_return)
    mean = calc_mean_return(relative_return, max_periods, min_periods)
    with np.errstate(all="ignore"):
        return np.power(mean + 1, points_per_year) - 1


def calc_simple_mean_return_annualized(
    relative_return, max_periods=None, min_periods=1, points_per_year=None
):
    """Return the annualized arithmetic mean of recent returns.

    It is the mean of the last `max_periods` returns times the bars per year.
    """
    points_per_year = points_per_year or calc_avg_points_per_year(relative_return)
    return rolling(relative_return, max_periods, min_periods).mean() * points_per_year


def calc_sharpe_ratio_annualized(
    relative_return, max_periods=None, min_periods=2, points_per_year=None, mean_estimator="geometric"
):
    """Return the annualized Sharpe ratio.

    It is mean over volatility, both annualized, and NaN or infinite where volatility is 0. `mean_estimator`
    is "geometric" or "arithmetic".
    """
    means = {"geometric": calc_mean_return_annualized, "arithmetic": calc_simple_mean_return_annualized}
    if mean_estimator not in means:
        raise ValueError(f"Unknown mean_estimator='{mean_estimator}'. Use 'arithmetic' or 'geometric'.")
    points_per_year = points_per_year or calc_avg_points_per_year(relative_return)
    arguments = relative_return, max_periods, min_periods, points_per_year
    return means[mean_estimator](*arguments) / calc_volatility_annualized(*arguments)


def calc_bias(portfolio_history, per_asset=False):
    """Return the balance of long and short weights.

    It is the sum of weights over the sum of their sizes, and 0 without any weight. With `per_asset` it is the
    weights themselves.
    """
    if per_asset:
        return portfolio_history
    bias = portfolio_history.sum("asset") / abs(portfolio_history).sum("asset")
    return bias.where(np.isfinite(bias)).fillna(0)


def calc_non_liquid(data, portfolio_history):
    """Return the weights held in illiquid assets.

    An asset is illiquid while `is_liquid` is 0, but not while it is NaN. The result has only the days and
    assets with such weights.
    """
    data, weights = arrange_data(data, portfolio_history, False)
    held = weights.where(is_non_liquid(data, weights))
    return held.dropna("asset", how="all").dropna("time", how="all")


def is_non_liquid(data, weights):
    """Return True where weights hold an illiquid asset.

    The weights are arranged as by `arrange_data`. The result is False everywhere if the data lack
    `is_liquid`.
    """
    if "is_liquid" not in data.field.values:
        return xr.zeros_like(data.sel(field="close"), dtype=bool)
    return (data.sel(field="is_liquid") == 0) & (weights != 0)


def find_missed_dates(output, data):
    """Return the trading days that `output` lacks.

    They are sorted and begin with the first day of `output`. A trading day has a liquid asset, or a price
    where the data lack `is_liquid`.
    """
    says = data.sel(field="is_liquid" if "is_liquid" in data.field.values else "close")
    days = data.time.values[(says > 0).any("asset").values]
    return np.setdiff1d(days[days >= output.time.values.min()], output.time.values)


def calc_instruments(portfolio_history, per_asset=False):
    """Return the number of assets held so far.

    An asset counts from its first position on. With `per_asset` the result is 1.
    """
    if per_asset:
        return xr.ones_like(portfolio_history)
    return ((portfolio_history.fillna(0) != 0).cumsum("time") > 0).sum("asset").astype("float64")


def calc_avg_turnover(
    portfolio_history, equity, data, max_periods=None, min_periods=1, per_asset=False, points_per_year=None
):
    """Return the mean turnover per bar.

    Turnover is the share of the capital traded. The mean covers `max_periods` bars, by default a year.
    """
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
    """Return the mean holding time in days.

    The mean covers the amounts sold, is weighted by their size, and is NaN before the first sale. The last
    weights but one count as 0, so that a position never closed has a holding time too.
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
    """Return the rolling window over recent bars.

    The window has `max_periods` bars, but no more than the series.
    """
    bars = series.sizes["time"]
    if bars == 0:
        raise ValueError("there is no day to calculate statistics of")
    periods = bars if max_periods is None else min(max_periods, bars)
    return series.rolling(time=periods, min_periods=min(min_periods, periods))


def _shifted(series, first):
    """Return the value of the bar before.

    The value of the first bar is `first`.
    """
    shifted = series.shift(time=1)
    shifted[{"time": slice(1)}] = first
    return shifted


def calc_avg_points_per_year(data):
    """Return the number of bars per year.

    For less than 251 days it is the number of the competition. Otherwise it follows from the mean step
    between days. ValueError is raised for a single day of unnamed data.
    """
    rules = rules_of_data(data.name)
    if data.sizes["time"] < 251 and rules is not None:
        return rules.points_a_year
    if data.sizes["time"] < 2:
        raise ValueError("one day does not tell the bars a year: pass points_per_year, or name the data")
    days = data.time.values.astype("datetime64[ns]")
    mean_step = (days.max() - days.min()) / (len(days) - 1)
    return round(np.timedelta64(8766, "h") / mean_step)


def calc_points_per_day(days_per_year):
    """Return the number of bars per day.

    It is 24 where a year has 400 bars or more, else 1.
    """
    return 1 if days_per_year < 400 else 24


def get_default_is_start_date_for_type(name):
    """Return the first in-sample day of a competition.

    The result is None for unnamed data.
    """
    return _default("SD", name, "first_day", None)


def get_default_slippage(data):
    """Return the default cost of a trade.

    It is a share of the average true range.
    """
    return float(_default("SL", data.name, "slippage", 0.05))


def get_default_max_exposure(name):
    """Return the largest weight in a competition.

    It is 1 for unnamed data.
    """
    return float(_default("ME", name, "max_position", 1))


def check_correlation(portfolio_history, data, print_stack_trace=True):
    """Print that the correlation check needs Quantiacs.

    Only Quantiacs has the other strategies to compare with.
    """
    log_err("Correlation check failed.")
    log_err("It needs the other strategies of Quantiacs: run it there.")


def _default(prefix, name, rule, otherwise):
    """Return a rule of a competition.

    The environment may override the rule. The result is `otherwise` for unnamed data.
    """
    rules = rules_of_data(name)
    if rules is None:
        return otherwise
    return get_env(f"{prefix}_{rules.data_name.upper()}", str(getattr(rules, rule)), True)


def rules_of_data(name):
    """Return the competition of data with this name.

    The result is None for unnamed data and for a name of the user's own. NotCoveredError is raised for a
    competition that the stand-in lacks.
    """
    if name not in KINDS and str(name).startswith(("stocks", "crypto", "futures")):
        raise NotCoveredError(f"{not_covered(f'qnt.stats for {name!r}')} Here are {', '.join(KINDS)}.")
    return KINDS.get(name)


print_correlation = check_correlation


__getattr__ = uncovered(__name__)
