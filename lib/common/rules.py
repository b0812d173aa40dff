"""The rules of a contest, checked on the weights of a backtest."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lib.common.competitions import Competition
from lib.common.market_data import tradable, trading_days

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

RESULTS = {True: "✓ passed", False: "✗ failed", None: "? cannot be told"}
# names of the rules that positions of a single day can break
LARGEST, ILLIQUID, SHORT = "largest position", "illiquid positions", "short positions"
SHARPE_RATIO, MISSED, FIRST = "Sharpe ratio", "missed days", "first position"
ROUNDING = 1e-9  # by which a weight may exceed a limit


class RuleCheck(NamedTuple):
    """One rule with its finding, requirement and result.

    The result `holds` is None if this backtest cannot decide it.
    """

    rule: str
    found: str
    required: str
    holds: bool | None


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
        Annualised, of all these days. Without the first days in sample it is not the ratio of the contest.
    rules : Competition
    """
    weights = weights.transpose("time", "asset").fillna(0)
    broken = broken_positions(data, weights, rules)
    latest = np.datetime64(rules.first_day) + rules.grace_days
    late = bool(weights.time.values[0].astype("M8[D]") > latest)
    largest = float(np.abs(normalized(weights.values)).max(initial=0.0))
    missed = missed_days(data, weights.time.values)
    checks = [
        RuleCheck(
            SHARPE_RATIO,
            f"{sharpe_ratio:z.2f}" if np.isfinite(sharpe_ratio) else "none",
            f"at least {rules.min_sharpe_ratio} since {rules.first_day}",
            None if late and np.isfinite(sharpe_ratio) else bool(sharpe_ratio >= rules.min_sharpe_ratio),
        ),
        RuleCheck(LARGEST, f"{largest:.4f}", f"at most {rules.max_position}", not broken[LARGEST].any()),
        RuleCheck(MISSED, _with_first(len(missed), "on", missed), "0", not len(missed)),
        RuleCheck(ILLIQUID, _illiquid(weights, broken[ILLIQUID]), "0", not broken[ILLIQUID].any()),
        _first_position(weights, latest, late),
    ]
    if rules.long_only:
        checks.append(RuleCheck(SHORT, str(int(broken[SHORT].sum())), "0", not broken[SHORT].any()))
    return checks


def broken_positions(
    data: "xr.DataArray", weights: "xr.DataArray", rules: Competition
) -> dict[str, np.ndarray]:
    """Return the positions (time, asset) that break a rule.

    The result has True for each of them, by rule: `LARGEST`, `ILLIQUID` and `SHORT`. The parameters are the
    same as of `check_rules`; an asset or day that is missing in `data` is not tradable. Where the platform
    carries weights over a gap in the prices, a position without a price breaks no rule.
    """
    weights = weights.transpose("time", "asset").fillna(0)
    liquid, price = (
        data.sel(field=name, drop=True)
        .reindex(time=weights.time, asset=weights.asset)
        .transpose("time", "asset")
        .values
        for name in ("is_liquid", "close")
    )
    values, closed = weights.values, ~tradable(liquid, price)
    if rules.carries_weights:
        places = ((weights[name].values, data[name].values) for name in ("time", "asset"))
        covered = np.ix_(*(np.isin(mine, known) for mine, known in places))
        closed[covered] = liquid[covered] == 0
    return {
        LARGEST: np.abs(normalized(values)) > rules.max_position + ROUNDING,
        ILLIQUID: (values != 0) & closed,
        SHORT: (values < 0) & rules.long_only,
    }


def missed_days(data: "xr.DataArray", days: np.ndarray) -> np.ndarray:
    """Return the trading days missing from `days`.

    Only days between the first and the last of `days` count.
    """
    expected = trading_days(data)
    days = days.astype("M8[D]")
    return np.setdiff1d(expected[(expected >= days.min()) & (expected <= days.max())], days)


def normalized(values: np.ndarray) -> np.ndarray:
    """Return weights (time, asset) scaled as in the contest.

    The sum of absolute weights is at most 1 on each day.
    """
    return values / np.maximum(np.abs(values).sum(axis=1), 1.0)[:, None]


def rules_table(checks: list[RuleCheck]) -> "pd.DataFrame":
    """Return a table with a row for each rule.

    Its columns are the finding, the requirement and the result.
    """
    import pandas as pd

    rows = [(*check[:3], RESULTS[check.holds]) for check in checks]
    return pd.DataFrame(rows, columns=["rule", "found", "required", "result"]).set_index("rule")


def _with_first(count: int, word: str, places: Any) -> str:
    return f"{count}, the first {word} {places[0]}" if count else "0"


def _illiquid(weights: "xr.DataArray", broken: np.ndarray) -> str:
    day, asset = np.nonzero(broken)
    days, assets = weights.time.values.astype("M8[D]"), weights.asset.values
    return _with_first(len(day), "in", [f"{assets[asset[k]]} on {days[day[k]]}" for k in range(len(day))[:1]])


def _first_position(weights: "xr.DataArray", latest: np.datetime64, late: bool) -> RuleCheck:
    required = f"by {latest}"
    invested = weights.time.values[(weights.values != 0).any(axis=1)].astype("M8[D]")
    if len(invested) == 0:
        return RuleCheck(FIRST, "none", required, False)
    return RuleCheck(FIRST, str(invested[0]), required, None if late else bool(invested[0] <= latest))
