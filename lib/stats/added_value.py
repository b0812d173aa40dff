"""The return and Sharpe ratio that the model adds to its strategy."""

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
    """The value that the model adds, with confidence intervals.

    An interval is NaN if there are too few days for one.
    """

    annual_return: float
    return_interval: tuple[float, float]
    sharpe_ratio: float
    sharpe_interval: tuple[float, float]
    correlation: float  # of the daily returns with and without the model
    weight_difference: float  # mean over days of the sum of the absolute differences


def added_value(
    with_model: Measures, without: Measures, returns: list["xr.DataArray"], weights: list["xr.DataArray"]
) -> AddedValue:
    """Compare a portfolio with the model to one without.

    `returns` (time,) and `weights` (time, asset) are given in this order.
    """
    first, second = with_same_assets(*weights)
    return AddedValue(
        with_model.annual_return - without.annual_return,
        interval(with_model.returns_sampled - without.returns_sampled),
        with_model.sharpe_ratio - without.sharpe_ratio,
        interval(with_model.ratios_sampled - without.ratios_sampled),
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
    conclusion = {
        "adds": f"The model adds to the Sharpe ratio more than chance explains. {ERROR_RATE}",
        "takes away": f"The model lowers the Sharpe ratio by more than chance explains. {ERROR_RATE}",
        "unclear": "So this backtest does not show that the model adds anything.",
    }[significance(value)]
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
