"""Originality: how closely the daily returns of a strategy follow those of others."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lib.common.competitions import Competition
from lib.common.rules import RuleCheck, sharpe_ratio_of
from lib.stats.portfolios import with_same_assets

if TYPE_CHECKING:
    import xarray as xr

TEMPLATE = "the published template"
SELECTED = "equal weights in what is selected"
UNIVERSE = "equal weights in the universe"
SAME = 1e-6  # weights closer than this are the same


def relatives(
    returns: "xr.DataArray", others: Mapping[str, "xr.DataArray"], rules: Competition
) -> pd.DataFrame:
    """Compare daily returns (time,) with those of others, each on the days that both have.

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
        correlation = correlation_of(mine, theirs)
        rows[name] = {
            "correlation": correlation,
            "sharpe_ratio": sharpe_ratio_of(theirs),
            "recent_sharpe_ratio": recent_sharpe_ratio(theirs, rules),
            "mark": f"above {rules.max_correlation}" if correlation > rules.max_correlation else "",
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.sort_values("correlation", ascending=False, kind="stable") if len(table) else table


def covers(returns: "xr.DataArray", rules: Competition) -> bool:
    """Return True where returns cover the years whose Sharpe ratio the platform compares."""
    days = returns.get_index("time")
    return days[0] <= days[-1] - pd.DateOffset(years=rules.comparison_years) + pd.Timedelta(
        rules.grace_days, "D"
    )


def recent_sharpe_ratio(returns: "xr.DataArray", rules: Competition) -> float:
    """Return the Sharpe ratio of the last years, by which the platform compares two systems."""
    if returns.sizes["time"] == 0:
        return float("nan")
    first = returns.get_index("time")[-1] - pd.DateOffset(years=rules.comparison_years)
    return sharpe_ratio_of(returns.sel(time=slice(first, None)))


def correlation_of(first: "xr.DataArray", second: "xr.DataArray") -> float:
    """Return the correlation of two series; NaN for fewer than two days, or where one never changes."""
    pair = np.stack([first.values, second.values])
    pair = pair[:, np.isfinite(pair).all(axis=0)]
    if pair.shape[1] < 2 or not pair.std(axis=1).all():
        return float("nan")
    return float(np.corrcoef(pair)[0, 1])


def by_year(returns: "xr.DataArray", others: Mapping[str, "xr.DataArray"]) -> pd.DataFrame:
    """Return a row for each calendar year: days, Sharpe ratio, correlation with each of the others."""
    years = returns.get_index("time").year
    rows = {}
    for year in sorted(set(years)):
        mine = returns.isel(time=years == year)
        row = {"days": mine.sizes["time"], "sharpe_ratio": sharpe_ratio_of(mine)}
        rows[year] = row | {
            name: correlation_of(*_on_common_days(mine, other)) for name, other in others.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("year")


def check_originality(
    returns: "xr.DataArray", template: "xr.DataArray", rules: Competition, is_copy: bool
) -> RuleCheck:
    """Check whether the platform would refuse a strategy for its likeness to the template.

    Parameters
    ----------
    returns, template : xarray.DataArray
        (time,), daily returns of the strategy and of the published template on the same days.
    rules : Competition
    is_copy : bool
        Whether the weights of both are the same.
    """
    required = f"at most {rules.max_correlation} to better systems"
    if is_copy:
        return RuleCheck("originality", f"a copy of {TEMPLATE}", required, False)
    mine, theirs = _on_common_days(returns, template)
    correlation = correlation_of(mine, theirs)
    own, its = recent_sharpe_ratio(mine, rules), recent_sharpe_ratio(theirs, rules)
    compared = f"{rules.comparison_years} years" if covers(mine, rules) else f"{mine.sizes['time']} days"
    found = f"{correlation:.3f} with {TEMPLATE} (Sharpe ratio of {compared}: {own:.2f}, its {its:.2f})"
    if not np.isfinite(correlation):
        return RuleCheck("originality", f"no correlation with {TEMPLATE}", required, None)
    if correlation <= rules.max_correlation:
        return RuleCheck("originality", found, required, True)
    return RuleCheck("originality", found, required, own >= its if covers(mine, rules) else None)


def same_weights(first: "xr.DataArray", second: "xr.DataArray") -> bool:
    """Return True where two tables of weights (time, asset) hold the same; an absent asset is not held."""
    if not np.array_equal(first.time.values, second.time.values):
        return False
    pair = with_same_assets(first, second)
    return bool(np.abs(pair[0].values - pair[1].values).max(initial=0) <= SAME)


def _on_common_days(first: "xr.DataArray", second: "xr.DataArray") -> tuple["xr.DataArray", "xr.DataArray"]:
    days = np.intersect1d(first.time.values, second.time.values)
    return first.sel(time=days), second.sel(time=days)
