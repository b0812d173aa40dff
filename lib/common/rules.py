"""The rules of a contest, checked on a backtest as far as it can tell."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lib.common.competitions import Competition

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

RESULTS = {True: "✓ passed", False: "✗ failed", None: "? cannot be told"}


class RuleCheck(NamedTuple):
    """One rule, what was found, what is required, and whether it holds; None: this backtest cannot tell."""

    rule: str
    found: str
    required: str
    holds: bool | None


def sharpe_ratio_of(returns: "xr.DataArray") -> float:
    """Return the annualised Sharpe ratio of all days, as the platform's filter does; NaN for one day."""
    import qnt.stats as qns

    if returns.sizes["time"] < 2:
        return float("nan")
    return float(qns.calc_sharpe_ratio_annualized(returns).isel(time=-1))


def check_rules(
    data: "xr.DataArray", weights: "xr.DataArray", sharpe_ratio: float, rules: Competition
) -> list[RuleCheck]:
    """Check the rules that a backtest can show.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset), the days of the weights at least.
    weights : xarray.DataArray
        (time, asset), as they would be submitted; NaN is no position.
    sharpe_ratio : float
        Annualised, of all these days. Without the first days in sample it does not tell the contest's.
    rules : Competition
    """
    weights = weights.transpose("time", "asset").fillna(0)
    held = weights.values != 0
    latest = np.datetime64(rules.first_day) + rules.grace_days
    late = bool(weights.time.values[0].astype("M8[D]") > latest)
    checks = [
        RuleCheck(
            "Sharpe ratio",
            f"{sharpe_ratio:z.2f}" if np.isfinite(sharpe_ratio) else "none",
            f"at least {rules.min_sharpe_ratio} since {rules.first_day}",
            None if late and np.isfinite(sharpe_ratio) else bool(sharpe_ratio >= rules.min_sharpe_ratio),
        ),
        _largest_position(weights, rules),
        _missed_days(data, weights),
        _liquidity(data, weights, held),
        _first_position(weights, held, latest, late),
    ]
    return checks + ([_long_only(weights)] if rules.long_only else [])


def as_table(checks: list[RuleCheck]) -> "pd.DataFrame":
    """Return a row for each rule: found, required, and whether it passed."""
    import pandas as pd

    rows = [(*check[:3], RESULTS[check.holds]) for check in checks]
    return pd.DataFrame(rows, columns=["rule", "found", "required", "result"]).set_index("rule")


def _largest_position(weights: "xr.DataArray", rules: Competition) -> RuleCheck:
    sizes = np.abs(weights.values)
    largest = float((sizes / np.maximum(sizes.sum(axis=1), 1.0)[:, None]).max(initial=0.0))
    holds = largest <= rules.max_position + 1e-9
    return RuleCheck("largest position", f"{largest:.4f}", f"at most {rules.max_position}", holds)


def _missed_days(data: "xr.DataArray", weights: "xr.DataArray") -> RuleCheck:
    days = data.time.values[(data.sel(field="is_liquid") > 0).any("asset").values]
    first, last = weights.time.values[[0, -1]]
    missed = np.setdiff1d(days[(days >= first) & (days <= last)], weights.time.values)
    found = f"{len(missed)}, the first on {str(missed[0])[:10]}" if len(missed) else "0"
    return RuleCheck("missed days", found, "0", len(missed) == 0)


def _liquidity(data: "xr.DataArray", weights: "xr.DataArray", held: np.ndarray) -> RuleCheck:
    liquid = (
        data.sel(field="is_liquid").reindex(time=weights.time, asset=weights.asset).transpose("time", "asset")
    )
    day, asset = np.nonzero(held & ~(liquid.values > 0))  # NaN is not liquid
    found = "0"
    if len(day):
        first = f"{weights.asset.values[asset[0]]} on {str(weights.time.values[day[0]])[:10]}"
        found = f"{len(day)}, the first in {first}"
    return RuleCheck("illiquid positions", found, "0", len(day) == 0)


def _first_position(
    weights: "xr.DataArray", held: np.ndarray, latest: np.datetime64, late: bool
) -> RuleCheck:
    required = f"by {latest}"
    invested = weights.time.values[held.any(axis=1)].astype("M8[D]")
    if len(invested) == 0:
        return RuleCheck("first position", "none", required, False)
    holds = None if late else bool(invested[0] <= latest)
    return RuleCheck("first position", str(invested[0]), required, holds)


def _long_only(weights: "xr.DataArray") -> RuleCheck:
    short = int((weights.values < 0).sum())
    return RuleCheck("short positions", str(short), "0", short == 0)
