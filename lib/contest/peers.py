"""The peers of a strategy.

The benchmark, the published template and other systems stand beside its returns.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lib.common.competitions import COMPETITIONS, Competition
from lib.common.errors import WrongValueError
from lib.common.rules import RuleCheck
from lib.stats.performance import annual_volatility, correlation_of, measured
from lib.stats.portfolios import same_positions
from lib.stats.resampling import FEWEST, LEVEL, interval
from lib.stats.sharpe import annual_sharpe_ratio, days_per_year

if TYPE_CHECKING:
    import xarray as xr

TEMPLATE = "the published template"
SELECTED = "equal weights in what is selected"
UNIVERSE = "equal weights in the universe"
SAME = 1e-6  # weights closer than this are the same
# correlations of daily returns above which the better of two Sharpe ratios is a matter of chance, and above
# which one system is a copy of the other for practical purposes
NEAR, COPY = 0.99, 0.999


def relatives(
    returns: "xr.DataArray", others: Mapping[str, "xr.DataArray"], rules: Competition
) -> pd.DataFrame:
    """Compare daily returns (time,) with others.

    Each comparison is on the common days.

    Returns
    -------
    pandas.DataFrame
        A row for each of the others, the closest first: `correlation`; `sharpe_ratio`, its own;
        `recent_sharpe_ratio`, that of the years that the platform compares;
        `mark`, a word where the correlation is above the limit. NaN where returns never change.
    """
    rows = {}
    for name, other in others.items():
        mine, theirs = _on_common_days(returns, other)
        likeness = correlation_of(mine.values, theirs.values)
        rows[name] = {
            "correlation": likeness,
            "sharpe_ratio": annual_sharpe_ratio(theirs, rules),
            "recent_sharpe_ratio": recent_sharpe_ratio(theirs, rules),
            "mark": f"above {rules.max_correlation}" if likeness > rules.max_correlation else "",
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.sort_values("correlation", ascending=False, kind="stable")


def covers(returns: "xr.DataArray", rules: Competition) -> bool:
    """Return True if returns cover the platform's comparison years."""
    days = returns.get_index("time")
    return days[0] <= days[-1] - pd.DateOffset(years=rules.comparison_years) + pd.Timedelta(
        rules.grace_days, "D"
    )


def recent_sharpe_ratio(returns: "xr.DataArray", rules: Competition) -> float:
    """Return the Sharpe ratio of the last years.

    The platform compares two systems by it.
    """
    if returns.sizes["time"] == 0:
        return float("nan")
    return annual_sharpe_ratio(_recent(returns, rules), rules)


def _recent(returns: "xr.DataArray", rules: Competition) -> "xr.DataArray":
    first = returns.get_index("time")[-1] - pd.DateOffset(years=rules.comparison_years)
    return returns.sel(time=slice(first, None))


def by_year(
    returns: "xr.DataArray", others: Mapping[str, "xr.DataArray"], rules: Competition
) -> pd.DataFrame:
    """Return a table with a row for each year.

    Its columns are the number of days, the Sharpe ratio, and the correlation with each of the others.
    """
    years = returns.get_index("time").year
    rows = {}
    for year in sorted(set(years)):
        mine = returns.isel(time=years == year)
        row = {"days": mine.sizes["time"], "sharpe_ratio": annual_sharpe_ratio(mine, rules)}
        rows[year] = row | {
            name: correlation_of(*(each.values for each in _on_common_days(mine, other)))
            for name, other in others.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("year")


def is_copy(
    weights: "xr.DataArray", template: "xr.DataArray", returns: "xr.DataArray", others: "xr.DataArray"
) -> bool:
    """Return True for a copy of the template.

    The weights (time, asset) of a copy are equal to the template's, or its daily returns (time,) hardly
    differ from the template's, `others`, on `FEWEST` days or more.
    """
    if same_positions(weights, template, SAME):
        return True
    mine, theirs = _on_common_days(returns, others)
    return mine.sizes["time"] >= FEWEST and correlation_of(mine.values, theirs.values) > COPY


def check_originality(
    returns: "xr.DataArray", template: "xr.DataArray", rules: Competition, copied: bool
) -> RuleCheck:
    """Check the similarity of a strategy to the template.

    The platform refuses a strategy that is too similar to a better one. Above a correlation of `NEAR` a
    difference of the Sharpe ratios must be larger than its error.

    Parameters
    ----------
    returns, template : xarray.DataArray
        (time,), daily returns of the strategy and of the published template on the same days.
    rules : Competition
    copied : bool
        True if the strategy is a copy of the template: see `is_copy`.
    """
    required = f"at most {rules.max_correlation} to better systems"
    mine, theirs = _on_common_days(returns, template)
    likeness = correlation_of(mine.values, theirs.values)
    if copied:
        return RuleCheck("originality", f"a copy of {TEMPLATE}{_nearly(likeness)}", required, False)
    if not np.isfinite(likeness):
        return RuleCheck("originality", f"no correlation with {TEMPLATE}", required, None)
    own, its = recent_sharpe_ratio(mine, rules), recent_sharpe_ratio(theirs, rules)
    compared = f"{rules.comparison_years} years" if covers(mine, rules) else f"{mine.sizes['time']} days"
    found = f"{likeness:.3f} with {TEMPLATE} (Sharpe ratio of {compared}: {own:.2f}, its {its:.2f}"
    if likeness <= rules.max_correlation:
        return RuleCheck("originality", f"{found})", required, True)
    if not covers(mine, rules):
        return RuleCheck("originality", f"{found})", required, None)
    if likeness > NEAR and not _differ(mine, theirs, rules):
        return RuleCheck("originality", f"{found}: no more apart than their error)", required, None)
    return RuleCheck("originality", f"{found})", required, own >= its)


def _nearly(likeness: float) -> str:
    return f" for practical purposes: returns correlate {likeness:.5f}" if likeness < 1 - 1e-9 else ""


def _differ(first: "xr.DataArray", second: "xr.DataArray", rules: Competition) -> bool:
    """Return True if recent Sharpe ratios clearly differ.

    They differ by more than their error if the interval of their difference does not contain 0.
    """
    pair = measured({"first": _recent(first, rules), "second": _recent(second, rules)}, rules)
    low, high = interval(pair["first"].ratios_sampled - pair["second"].ratios_sampled)
    return low > 0 or high < 0


def _on_common_days(first: "xr.DataArray", second: "xr.DataArray") -> tuple["xr.DataArray", "xr.DataArray"]:
    days = np.intersect1d(first.time.values, second.time.values)
    return first.sel(time=days), second.sel(time=days)


def check_scaling(scaled: bool, competition_type: str, rules: Competition) -> None:
    """Check that the competition has a payout volatility.

    A comparison at that volatility, which `scaled` requests, is refused without one.

    Raises
    ------
    ValueError
    """
    if scaled and rules.payout_volatility is None:
        others = [name for name, row in COMPETITIONS.items() if row.payout_volatility is not None]
        raise WrongValueError(
            f"{competition_type} scales no entry to a volatility: leave out scaled (--scaled), or choose one "
            f"that does: {', '.join(others)}."
        )


def _ratio_in_words(ratio: float) -> str:
    """Return a Sharpe ratio as words; constant returns have none."""
    return f"a Sharpe ratio of {ratio:z.2f}" if np.isfinite(ratio) else "no Sharpe ratio"


def benchmark_sentences(
    returns: "xr.DataArray", benchmark: "xr.DataArray", rules: Competition, scaled: bool = False
) -> list[str]:
    """Compare daily returns (time,) with the benchmark's.

    The benchmark is the competition's, on the same days. With `scaled` both are also scaled down to the
    volatility of the payout. The result is empty for a competition without a benchmark, and for less than two
    days.
    """
    if not rules.benchmark or returns.sizes["time"] < 2:
        return []
    lines = {"the strategy": returns, "the benchmark": benchmark}
    found = measured(lines, rules)
    mine, its = found.values()
    low, high = interval(mine.ratios_sampled - its.ratios_sampled)
    between = f" ({LEVEL:.0%} interval {low:+z.2f} to {high:+z.2f})" if np.isfinite(low) else ""
    volatility = {name: annual_volatility(line.values, days_per_year(line)) for name, line in lines.items()}
    numbers = [
        f"{name} has {_ratio_in_words(each.sharpe_ratio)}, an annual return of "
        f"{each.annual_return:z.1%} and a volatility of {volatility[name]:.1%}"
        for name, each in found.items()
    ]
    lead = mine.sharpe_ratio - its.sharpe_ratio
    led = f" The lead in the Sharpe ratio is {lead:+z.2f}{between}." if np.isfinite(lead) else ""
    sentences = [f"The benchmark is {rules.benchmark}. On these days {'; '.join(numbers)}.{led}"]
    if scaled and rules.payout_volatility is not None:
        limit = rules.payout_volatility
        factors = {name: min(1.0, limit / spread) if spread else 1.0 for name, spread in volatility.items()}
        at_limit = measured({name: line * factors[name] for name, line in lines.items()}, rules)
        parts = [
            f"{name} (times {factors[name]:.3f}) earns {each.annual_return:z.2%} a year"
            for name, each in at_limit.items()
        ]
        sentences.append(
            f"Scaled in hindsight to at most {limit:.0%} volatility, as for the payout, "
            f"{' and '.join(parts)}."
        )
    return sentences
