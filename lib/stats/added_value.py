"""The return and Sharpe ratio that one portfolio has more than another, such as one without the model."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lib.stats.bootstrap import FEWEST, LEVEL, interval
from lib.stats.performance import Measures, correlation_of
from lib.stats.portfolios import with_same_assets

if TYPE_CHECKING:
    import xarray as xr


ERROR_RATE = (  # measured: see `significance`
    "Without an effect this would be said in about 5 of 100 backtests of a year, in up to 15 where "
    "differences last for weeks or come from rare large losses."
)


class AddedValue(NamedTuple):
    """The value that one portfolio adds to another, with confidence intervals.

    An interval is NaN if there are too few days for one.
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
    """Compare a portfolio with another on the same days, such as one with the model and one other.

    `returns` (time,) and `weights` (time, asset) are given in this order.
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
    rare large loss makes the difference: so few days hardly show what lasts for weeks or is rare.
    """
    low, high = value.sharpe_interval
    return "adds" if low > 0 else "takes away" if high < 0 else "unclear"


def added_value_sentence(value: AddedValue, sizing: str = "") -> str:
    """Return a sentence on the value that the model adds.

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
    """Return a sentence on the value that a change adds, from a run before it to the present one."""
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
