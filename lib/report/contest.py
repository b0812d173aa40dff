"""Which of the contest's rules does a backtest meet, as far as it can tell?"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

MIN_SHARPE_RATIO = 0.7
MAX_POSITION = 0.1
FIRST_DAY = np.datetime64("2006-01-01")  # of the period in sample
DAYS_OF_GRACE = 7  # calendar days from then to the first position


class Finding(NamedTuple):
    """What was found about one rule."""

    rule: str
    holds: bool | None  # None: this backtest cannot tell
    text: str


def findings(data: "xr.DataArray", weights: "xr.DataArray", sharpe_ratio: float) -> list[Finding]:
    """What the contest would find, rule by rule.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset), the days of the weights at least.
    weights : xarray.DataArray
        (time, asset), as they would be submitted.
    sharpe_ratio : float
        Annualised, of all these days.
    """
    weights = weights.transpose("time", "asset").fillna(0)
    held = weights.values != 0
    sums = np.abs(weights.values).sum(axis=1)
    largest = float((np.abs(weights.values) / np.maximum(sums, 1.0)[:, None]).max(initial=0.0))
    return [
        Finding(
            "sharpe ratio",
            bool(sharpe_ratio >= MIN_SHARPE_RATIO),
            f"Sharpe ratio {round(sharpe_ratio, 2) + 0.0:.2f} (at least {MIN_SHARPE_RATIO})",  # never -0.00
        ),
        Finding(
            "position",
            largest <= MAX_POSITION + 1e-9,
            f"largest position {largest:.4f} (at most {MAX_POSITION})",
        ),
        _missed_days(data, weights),
        _liquidity(data, weights, held),
        _first_position(weights, held),
    ]


def verdict(found: list[Finding], weights: "xr.DataArray") -> str:
    """The findings in one line: ✓ holds, ✗ does not, ? cannot be told from these days."""
    first, last = (str(day)[:10] for day in weights.time.values[[0, -1]])
    mark = {True: "✓", False: "✗", None: "?"}
    line = " · ".join(f"{mark[finding.holds]} {finding.text}" for finding in found)
    return f"Contest rules, {first} to {last}: {line}"


def _missed_days(data: "xr.DataArray", weights: "xr.DataArray") -> Finding:
    days = data.time.values[(data.sel(field="is_liquid") > 0).any("asset").values]
    first, last = weights.time.values[[0, -1]]
    missed = np.setdiff1d(days[(days >= first) & (days <= last)], weights.time.values)
    named = f", {str(missed[0])[:10]} the first" if len(missed) else ""
    return Finding("missed days", len(missed) == 0, f"{len(missed)} missed days{named}")


def _liquidity(data: "xr.DataArray", weights: "xr.DataArray", held: np.ndarray) -> Finding:
    liquid = (
        data.sel(field="is_liquid").reindex(time=weights.time, asset=weights.asset).transpose("time", "asset")
    )
    illiquid = held & ~(liquid.values > 0)  # NaN is not
    day, asset = np.nonzero(illiquid)
    named = (
        f", {weights.asset.values[asset[0]]} on {str(weights.time.values[day[0]])[:10]} the first"
        if len(day)
        else ""
    )
    return Finding("liquidity", len(day) == 0, f"{len(day)} positions in illiquid assets{named}")


def _first_position(weights: "xr.DataArray", held: np.ndarray) -> Finding:
    invested = weights.time.values[held.any(axis=1)].astype("M8[D]")
    if len(invested) == 0:
        return Finding("first position", False, "no position on any day")
    text = f"first position {invested[0]}"
    latest = FIRST_DAY + np.timedelta64(DAYS_OF_GRACE, "D")
    if weights.time.values[0] > latest:
        return Finding(
            "first position",
            None,
            f"{text} (near {FIRST_DAY} wanted: a backtest that starts later cannot tell)",
        )
    return Finding("first position", bool(invested[0] <= latest), f"{text} (near {FIRST_DAY} wanted)")
