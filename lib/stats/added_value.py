"""What the model adds to return and Sharpe ratio: the strategy beside itself without the model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lib.stats.bootstrap import FEWEST, LEVEL, interval, resampled_means
from lib.stats.portfolios import with_same_assets

if TYPE_CHECKING:
    import xarray as xr


class Measures(NamedTuple):
    """Return and Sharpe ratio of a year, as `qnt.stats` computes them, with samples of the bootstrap."""

    annual_return: float
    sharpe_ratio: float
    returns_sampled: np.ndarray
    ratios_sampled: np.ndarray  # empty for less than `FEWEST` days


class AddedValue(NamedTuple):
    """What the model adds, with intervals; NaN where there are too few days for one."""

    annual_return: float
    return_interval: tuple[float, float]
    sharpe_ratio: float
    sharpe_interval: tuple[float, float]
    correlation: float  # of the daily returns with and without the model
    weight_difference: float  # mean over days of the sum of the absolute differences


def measured(lines: Mapping[str, "xr.DataArray"]) -> dict[str, Measures]:
    """Return the measures of portfolios by name; the samples of all are of the same days.

    Parameters
    ----------
    lines : mapping of str to xarray.DataArray
        (time,), the daily returns of each portfolio on the same days; two days or more.
    """
    import qnt.stats as qns

    values = np.stack([line.values for line in lines.values()], axis=1)  # (time, portfolio)
    per_year = qns.calc_avg_points_per_year(next(iter(lines.values())))
    with np.errstate(all="ignore"):
        moments = np.concatenate([np.log1p(values), values, values**2], axis=1)
        usable = len(values) >= FEWEST and np.isfinite(moments).all()
        samples = resampled_means(moments) if usable else np.empty((0, moments.shape[1]))
        found = [_measures(means, values.shape[1], per_year) for means in (moments.mean(axis=0), samples.T)]
    (returns, ratios), (returns_sampled, ratios_sampled) = found
    return {
        name: Measures(float(returns[k]), float(ratios[k]), returns_sampled[k], ratios_sampled[k])
        for k, name in enumerate(lines)
    }


def _measures(means: np.ndarray, portfolios: int, per_year: int) -> tuple[np.ndarray, np.ndarray]:
    """Annual returns and Sharpe ratios from the means of log(1 + r), r and r², (3 * portfolios, ...)."""
    logarithm, mean, square = np.split(means, [portfolios, 2 * portfolios])
    annual = np.exp(logarithm * per_year) - 1
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0) * per_year)
    return annual, np.where(deviation > 1e-12, annual / np.maximum(deviation, 1e-12), np.nan)


def added_value(
    with_model: Measures, without: Measures, returns: list["xr.DataArray"], weights: list["xr.DataArray"]
) -> AddedValue:
    """Compare two portfolios, whose `returns` (time,) and `weights` (time, asset) are given in this order."""
    pair = np.stack([line.values for line in returns])
    moving = bool((pair.std(axis=1) > 0).all())
    first, second = with_same_assets(*weights)
    return AddedValue(
        with_model.annual_return - without.annual_return,
        interval(with_model.returns_sampled - without.returns_sampled),
        with_model.sharpe_ratio - without.sharpe_ratio,
        interval(with_model.ratios_sampled - without.ratios_sampled),
        float(np.corrcoef(pair)[0, 1]) if moving else float("nan"),
        float(abs(first - second).sum("asset").mean()),
    )


def verdict(value: AddedValue) -> str:
    """Return "adds", "takes away" or "unclear": on which side of 0 the interval of the Sharpe ratio lies.

    Without any edge it lies above 0 in at most 5 of 100 cases: in 3 to 5 of 100 simulated ones of 250 days,
    the more the longer differences last, since the bootstrap of so few days is somewhat too narrow.
    """
    low, high = value.sharpe_interval
    return "adds" if low > 0 else "takes away" if high < 0 else "unclear"


def in_words(value: AddedValue, sizing: str = "") -> str:
    """Return the finding in words; `sizing` is named where the line without the model has another one."""
    if value.weight_difference == 0:
        return "The model adds nothing: without it the weights are the same."
    conclusion = {
        "adds": "The model adds to the Sharpe ratio more than chance explains.",
        "takes away": "The model lowers the Sharpe ratio by more than chance explains.",
        "unclear": "So this backtest does not show that the model adds anything.",
    }[verdict(value)]
    low, high = value.return_interval
    between = f", {LEVEL:.0%} interval {low:+z.2%} to {high:+z.2%}" if np.isfinite(low) else ""
    sentence = f"The model adds {value.annual_return:+z.2%} to the annual return{between}"
    if np.isfinite(value.sharpe_ratio):
        low, high = value.sharpe_interval
        between = f", interval {low:+z.3f} to {high:+z.3f}" if np.isfinite(low) else ""
        sentence += f", and {value.sharpe_ratio:+z.3f} to the Sharpe ratio{between}"
    if not np.isfinite(value.return_interval[0]):
        conclusion = f"Fewer than {FEWEST} days are too few to distinguish that from chance."
    other = f" Without a model this sizing holds nothing; that line is sized {sizing}." if sizing else ""
    alike = f"Daily returns with and without it correlate {value.correlation:.4f}. "
    differ = f"The weights differ by {value.weight_difference:.1%} of the capital on an average day."
    return f"{sentence}. {conclusion} {alike if np.isfinite(value.correlation) else ''}{differ}{other}"
