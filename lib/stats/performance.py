"""The performance of portfolios side by side, as a table, with drawdowns and months."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib.stats.added_value import Measures
from lib.stats.bootstrap import LEVEL, interval
from lib.stats.portfolios import Portfolio

if TYPE_CHECKING:
    import xarray as xr

DEPTHS = ["from", "lowest on", "recovered on", "depth", "days"]


def performance_table(
    portfolios: Mapping[str, Portfolio], measures: Mapping[str, Measures], benchmark: str
) -> pd.DataFrame:
    """Return a row for each measure and a column for each portfolio, as text.

    Parameters
    ----------
    portfolios : mapping of str to Portfolio
        On the same days, two or more.
    measures : mapping of str to Measures
        Of the same portfolios, from `lib.stats.added_value.measured`.
    benchmark : str
        Name of the portfolio that beta is measured against.

    Returns
    -------
    pandas.DataFrame
        Annual return, volatility, Sharpe ratio and maximum drawdown are those of `qnt.stats`; the interval of
        the Sharpe ratio is that of `lib.stats.bootstrap`. Sortino ratio: the annual return by the root mean
        square of the losses, annualised. Calmar ratio: the annual return by the maximum drawdown. Turnover:
        the share of the capital traded on an average day. Trading cost: the annual return without costs less
        that with them. Win rate: the share of days with a gain among those with a gain or a loss. Beta: to
        the benchmark. Empty where a ratio has no value.
    """
    base = portfolios[benchmark].returns.values
    columns = {name: _column(each, measures[name], base, benchmark) for name, each in portfolios.items()}
    return pd.DataFrame(columns).rename_axis("measure")


def _column(each: Portfolio, measures: Measures, base: np.ndarray, benchmark: str) -> dict[str, str]:
    import qnt.stats as qns

    returns = each.returns.values
    per_year = qns.calc_avg_points_per_year(each.returns)
    year, ratio = measures.annual_return, measures.sharpe_ratio
    losses = float(np.sqrt((np.minimum(returns, 0) ** 2).mean() * per_year))
    worst = drawdowns(each.returns, 1)
    depth = float(worst["depth"].min()) if len(worst) else 0.0
    moved = returns[(returns != 0) & np.isfinite(returns)]
    free = float(qns.calc_mean_return_annualized(each.before_costs).values[-1])
    low, high = interval(measures.ratios_sampled)
    return {
        "annual return": f"{year:z.2%}",
        "volatility": f"{qns.calc_volatility_annualized(each.returns).values[-1]:.2%}",
        "Sharpe ratio": _ratio(ratio, 3),
        f"its {LEVEL:.0%} interval": f"{low:z.2f} to {high:z.2f}" if np.isfinite(low) else "",
        "Sortino ratio": _ratio(year / losses if losses else np.nan),
        "Calmar ratio": _ratio(year / -depth if depth else np.nan),
        "maximum drawdown": f"{depth:z.2%}",
        "its days": f"{_day(worst['from'].iloc[0])} to {_day(worst['lowest on'].iloc[0])}" if depth else "",
        "turnover per day": f"{float(each.turnover.mean()):.2%}",
        "trading cost per year": f"{free - year:z.2%}",
        "win rate": f"{(moved > 0).mean():.1%}" if len(moved) else "",
        f"beta to {benchmark}": _ratio(_beta(returns, base)),
    }


def drawdowns(returns: "xr.DataArray", number: int = 5) -> pd.DataFrame:
    """Return the deepest drawdowns of returns (time,): the highest equity, the lowest, and the recovery.

    By number from 1: `from` (the day of the highest equity), `lowest on`, `recovered on` (NaT if not yet),
    `depth` (negative) and `days`, calendar days from the first to the recovery or to the last day.
    """
    import qnt.stats as qns

    underwater = qns.calc_underwater(qns.calc_equity(returns)).values
    below, time = underwater < -1e-12, pd.DatetimeIndex(returns.time.values)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], below.astype(int), [0]])))
    rows: list[dict[str, Any]] = []
    for first, after in zip(edges[::2], edges[1::2], strict=True):
        lowest = first + int(underwater[first:after].argmin())
        recovered, began = after < len(time), time[max(first - 1, 0)]
        end = time[after] if recovered else time[-1]
        recovery = end if recovered else pd.NaT
        values = (began, time[lowest], recovery, underwater[lowest], (end - began).days)
        rows.append(dict(zip(DEPTHS, values, strict=True)))
    table = pd.DataFrame(rows, columns=DEPTHS).astype({"depth": float})
    table = table.nsmallest(number, "depth")
    return table.set_index(pd.RangeIndex(1, len(table) + 1, name="drawdown"))


def monthly_returns(returns: "xr.DataArray") -> pd.DataFrame:
    """Return the returns (time,) of each month, a row for each year; `year` compounds its months.

    A month in which the backtest begins or ends counts with the days it has.
    """
    series = returns.to_series()
    months = (1 + series).groupby([series.index.year, series.index.month]).prod() - 1
    table = months.unstack()  # noqa: PD010 (a series has no pivot_table)
    table.columns = [pd.Timestamp(2000, month, 1).strftime("%b") for month in table.columns]
    table["year"] = (1 + series).groupby(series.index.year).prod() - 1
    return table.rename_axis("month")


def _beta(returns: np.ndarray, base: np.ndarray) -> float:
    variance = base.var()
    return (
        float(((returns - returns.mean()) * (base - base.mean())).mean() / variance) if variance else np.nan
    )


def _ratio(value: float, digits: int = 2) -> str:
    return f"{value:z.{digits}f}" if np.isfinite(value) else ""


def _day(day: Any) -> str:
    return f"{day:%Y-%m-%d}"
