"""The performance of portfolios and their added value.

The module has every measure, and a table of them.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from lib.stats.portfolios import Portfolio, exposure, with_same_assets
from lib.stats.resampling import FEWEST, LEVEL, block_length, interval, resampled_means
from lib.stats.sharpe import GEOMETRIC, annual_return, days_per_year, ratio_of_moments

if TYPE_CHECKING:
    import xarray as xr

    from lib.common.competitions import Competition


ERROR_RATE = (  # measured: see `significance`
    "Without an effect this would be said in about 5 of 100 backtests of a year, in up to 15 where "
    "differences last for weeks or come from rare large losses."
)
DEPTHS = ["from", "lowest on", "recovered on", "depth", "days"]


class Measures(NamedTuple):
    """The annual return and Sharpe ratio of returns.

    Both are computed as in `qnt.stats`, and have bootstrap samples.
    """

    annual_return: float
    sharpe_ratio: float
    returns_sampled: np.ndarray
    ratios_sampled: np.ndarray  # empty for less than `FEWEST` days
    estimator: str  # of the mean of returns, "geometric" or "arithmetic"


class Line(NamedTuple):
    """The numbers of one portfolio, for its measures."""

    portfolio: Portfolio
    measures: Measures
    returns: np.ndarray  # (time,)
    benchmark: np.ndarray  # (time,), its returns
    per_year: int  # trading days
    worst: pd.DataFrame  # the deepest drawdown, if any


def measured(lines: Mapping[str, "xr.DataArray"], rules: "Competition") -> dict[str, Measures]:
    """Compute the measures of portfolios by name.

    The samples of all portfolios have the same days, in blocks that suit their returns and the differences
    between them.

    Parameters
    ----------
    lines : mapping of str to xarray.DataArray
        (time,), the daily returns of each portfolio on the same days; two days or more.
    rules : Competition
        Whose Sharpe ratio is computed.
    """
    values = np.stack([line.values for line in lines.values()], axis=1)  # (time, portfolio)
    per_year = days_per_year(next(iter(lines.values())))
    with np.errstate(all="ignore"):
        moments = np.concatenate([np.log1p(values), values, values**2], axis=1)
        usable = len(values) >= FEWEST and np.isfinite(moments).all()
        if usable:
            pairs = [first - second for first, second in itertools.combinations(values.T, 2)]
            samples = resampled_means(moments, block_length(np.stack([*values.T, *pairs], axis=1)))
        else:
            samples = np.empty((0, moments.shape[1]))
        found = []
        for means in (moments.mean(axis=0), samples.T):
            logarithm, mean, square = np.split(means, 3)
            compounded = logarithm if rules.mean_estimator == GEOMETRIC else None
            ratios = ratio_of_moments(mean, square, compounded, per_year)
            found.append((annual_return(mean, compounded, per_year), ratios))
    (returns, ratios), (returns_sampled, ratios_sampled) = found
    return {
        name: Measures(
            float(returns[k]), float(ratios[k]), returns_sampled[k], ratios_sampled[k], rules.mean_estimator
        )
        for k, name in enumerate(lines)
    }


def performance_table(
    portfolios: Mapping[str, Portfolio], measures: Mapping[str, Measures], benchmark: str
) -> pd.DataFrame:
    """Return the measures of portfolios as text.

    The table has a row for each measure in `ROWS` and a column for each portfolio.

    Parameters
    ----------
    portfolios : mapping of str to Portfolio
        On the same days, two or more.
    measures : mapping of str to Measures
        Of the same portfolios, from `measured`.
    benchmark : str
        Name of the portfolio that beta is measured against.

    Returns
    -------
    pandas.DataFrame
        Annual return, volatility, Sharpe ratio and maximum drawdown are those of `qnt.stats`; the interval of
        the Sharpe ratio is that of `lib.stats.resampling`. Turnover is the share of the capital traded on an
        average day, exposure the share held: long and short, and their sum and difference. Empty where a
        ratio has no value.
    """
    base = portfolios[benchmark].returns.values
    columns = {}
    for name, each in portfolios.items():
        values, per_year = each.returns.values, days_per_year(each.returns)
        line = Line(each, measures[name], values, base, per_year, drawdowns(each.returns, 1))
        rows = {heading.format(benchmark=benchmark): row(line) for heading, row in ROWS.items()}
        columns[name] = rows
    return pd.DataFrame(columns).rename_axis("measure")


def annual_volatility(returns: np.ndarray, per_year: float) -> float:
    """Return the annualised standard deviation of daily returns."""
    return float(returns.std() * per_year**0.5)


def sortino_ratio(line: Line) -> float:
    """Return the annual return divided by the downside deviation.

    The downside deviation is the annualised root mean square of the losses.
    """
    losses = float(np.sqrt((np.minimum(line.returns, 0) ** 2).mean() * line.per_year))
    return line.measures.annual_return / losses if losses else float("nan")


def max_drawdown(line: Line) -> float:
    """Return the depth of the deepest drawdown.

    The depth is 0 or less.
    """
    return float(line.worst["depth"].min()) if len(line.worst) else 0.0


def calmar_ratio(line: Line) -> float:
    """Return the annual return divided by the maximum drawdown."""
    depth = max_drawdown(line)
    return line.measures.annual_return / -depth if depth else float("nan")


def trading_cost(line: Line) -> float:
    """Return the annual return lost to trading costs."""
    free = line.portfolio.before_costs.values
    with np.errstate(all="ignore"):
        compounded = np.log1p(free).mean() if line.measures.estimator == GEOMETRIC else None
        return float(annual_return(free.mean(), compounded, line.per_year)) - line.measures.annual_return


def win_rate(returns: np.ndarray) -> float:
    """Return the share of gains among days that moved.

    Days without a change do not count. The share is NaN without any gain or loss.
    """
    moved = returns[(returns != 0) & np.isfinite(returns)]
    return float((moved > 0).mean()) if len(moved) else float("nan")


def beta_of(returns: np.ndarray, benchmark: np.ndarray) -> float:
    """Return the slope of returns on a benchmark's returns.

    The slope is NaN where the benchmark never changes.
    """
    variance = benchmark.var()
    shared = ((returns - returns.mean()) * (benchmark - benchmark.mean())).mean()
    return float(shared / variance) if variance else float("nan")


def correlation_of(first: np.ndarray, second: np.ndarray) -> float:
    """Return the correlation of two series.

    It is NaN for fewer than two values, or where one series never changes.
    """
    pair = np.stack([first, second]).astype(np.float64)
    pair = pair[:, np.isfinite(pair).all(axis=0)]
    if pair.shape[1] < 2 or (np.ptp(pair, axis=1) <= 1e-12 * np.abs(pair).max(axis=1)).any():
        return float("nan")
    return float(np.corrcoef(pair)[0, 1])


def drawdowns(returns: "xr.DataArray", number: int = 5) -> pd.DataFrame:
    """Return the deepest drawdowns of returns (time,).

    By number from 1, the columns are `from` (the day of the highest equity), `lowest on`, `recovered on` (NaT
    if not yet), `depth` (negative) and `days`, calendar days from the first to the recovery or to the last
    day.
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
    """Return the returns (time,) of each month.

    The table has a row for each year; its column `year` compounds the months. A month in which the backtest
    begins or ends counts with the days it has.
    """
    series = returns.to_series()
    months = (1 + series).groupby([series.index.year, series.index.month]).prod() - 1
    table = months.unstack()  # noqa: PD010 (a series has no pivot_table)
    table.columns = [pd.Timestamp(2000, month, 1).strftime("%b") for month in table.columns]
    table["year"] = (1 + series).groupby(series.index.year).prod() - 1
    return table.rename_axis("month")


def _ratio(value: float, digits: int = 2) -> str:
    return f"{value:z.{digits}f}" if np.isfinite(value) else ""


def _interval(line: Line) -> str:
    low, high = interval(line.measures.ratios_sampled)
    return f"{low:z.2f} to {high:z.2f}" if np.isfinite(low) else ""


def _depth_days(line: Line) -> str:
    if not len(line.worst):
        return ""
    begin, lowest = (line.worst[name].iloc[0] for name in ("from", "lowest on"))
    return f"{begin:%Y-%m-%d} to {lowest:%Y-%m-%d}"


def _exposure(line: Line, *names: str) -> str:
    means = exposure(line.portfolio.weights).means()
    return ", ".join(f"{means[name]:z.1%}" for name in names)


def _win_rate(line: Line) -> str:
    share = win_rate(line.returns)
    return f"{share:.1%}" if np.isfinite(share) else ""


ROWS: Mapping[str, Callable[[Line], str]] = {  # a row of the table: its heading, and its text
    "annual return": lambda line: f"{line.measures.annual_return:z.2%}",
    "volatility": lambda line: f"{annual_volatility(line.returns, line.per_year):.2%}",
    "Sharpe ratio": lambda line: _ratio(line.measures.sharpe_ratio, 3),
    f"its {LEVEL:.0%} interval": _interval,
    "Sortino ratio": lambda line: _ratio(sortino_ratio(line)),
    "Calmar ratio": lambda line: _ratio(calmar_ratio(line)),
    "maximum drawdown": lambda line: f"{max_drawdown(line):z.2%}",
    "its days": _depth_days,
    "exposure long, short": lambda line: _exposure(line, "long", "short"),
    "exposure gross, net": lambda line: _exposure(line, "gross", "net"),
    "turnover per day": lambda line: f"{float(line.portfolio.turnover.mean()):.2%}",
    "trading cost per year": lambda line: f"{trading_cost(line):z.2%}",
    "win rate": _win_rate,
    "beta to {benchmark}": lambda line: _ratio(beta_of(line.returns, line.benchmark)),
}


class AddedValue(NamedTuple):
    """The value that one portfolio adds to another.

    The intervals are confidence intervals, NaN if there are too few days for one.
    """

    annual_return: float
    return_interval: tuple[float, float]
    sharpe_ratio: float
    sharpe_interval: tuple[float, float]
    correlation: float  # of the daily returns of both
    weight_difference: float  # mean over days of the sum of the absolute differences


def added_value(
    mine: Measures, other: Measures, returns: list["xr.DataArray"], weights: list["xr.DataArray"]
) -> AddedValue:
    """Return the value that a portfolio adds.

    The other portfolio is on the same days, such as one without the model. `returns` (time,) and `weights`
    (time, asset) hold the first portfolio, then the other one.
    """
    first, second = with_same_assets(*weights)
    return AddedValue(
        mine.annual_return - other.annual_return,
        interval(mine.returns_sampled - other.returns_sampled),
        mine.sharpe_ratio - other.sharpe_ratio,
        interval(mine.ratios_sampled - other.ratios_sampled),
        correlation_of(returns[0].values, returns[1].values),
        float(abs(first - second).sum("asset").mean()),
    )


def significance(value: AddedValue) -> str:
    """Return "adds", "takes away" or "unclear".

    The interval of the Sharpe ratio lies above 0, below 0 or on both sides. Without any edge it lies above 0
    in 2 to 5 of 100 simulated cases of 250 days if the daily differences are independent or have an
    autocorrelation of up to 0.5. In 8 cases it does so at 0.8, in 11 at 0.9, in 15 at 0.95, and in 8 where a
    rare large loss makes the difference: so few days hardly show effects that last for weeks or are rare.
    """
    low, high = value.sharpe_interval
    return "adds" if low > 0 else "takes away" if high < 0 else "unclear"


def added_value_sentence(value: AddedValue, sizing: str = "") -> str:
    """Return a sentence on the model's added value.

    `sizing` is named where the line without the model has another one.
    """
    if value.weight_difference == 0:
        return "The model adds nothing: without it the weights are the same."
    conclusions = {
        "adds": f"The model adds to the Sharpe ratio more than chance explains. {ERROR_RATE}",
        "takes away": f"The model lowers the Sharpe ratio by more than chance explains. {ERROR_RATE}",
        "unclear": "So this backtest does not show that the model adds anything.",
    }
    other = f" Without a model this sizing holds nothing; that line is sized {sizing}." if sizing else ""
    return f"{_in_words(value, 'The model', conclusions)} {_likeness(value, 'with and without it')}{other}"


def change_sentence(value: AddedValue) -> str:
    """Return a sentence on a change's added value.

    The change is from an earlier run to the present one.
    """
    conclusions = {
        "adds": f"The change raises the Sharpe ratio by more than chance explains. {ERROR_RATE}",
        "takes away": f"The change lowers the Sharpe ratio by more than chance explains. {ERROR_RATE}",
        "unclear": "So this backtest does not show that the change matters.",
    }
    return f"{_in_words(value, 'The change', conclusions)} {_likeness(value, 'before and now')}"


def _in_words(value: AddedValue, subject: str, conclusions: dict[str, str]) -> str:
    low, high = value.return_interval
    between = f", {LEVEL:.0%} interval {low:+z.2%} to {high:+z.2%}" if np.isfinite(low) else ""
    sentence = f"{subject} adds {value.annual_return:+z.2%} to the annual return{between}"
    if np.isfinite(value.sharpe_ratio):
        low, high = value.sharpe_interval
        between = f", interval {low:+z.3f} to {high:+z.3f}" if np.isfinite(low) else ""
        sentence += f", and {value.sharpe_ratio:+z.3f} to the Sharpe ratio{between}"
    conclusion = conclusions[significance(value)]
    if not np.isfinite(value.return_interval[0]):
        conclusion = f"Fewer than {FEWEST} days are too few to distinguish that from chance."
    return f"{sentence}. {conclusion}"


def _likeness(value: AddedValue, when: str) -> str:
    alike = f"Daily returns {when} correlate {value.correlation:.4f}. "
    differ = f"The weights differ by {value.weight_difference:.1%} of the capital on an average day."
    return f"{alike if np.isfinite(value.correlation) else ''}{differ}"
