"""The part of qnt.stats that needs returns only: equity, drawdown, volatility and Sharpe ratio.

``relative_return`` has a dimension time; each value depends on the bars up to its own only. Periods are
bars, by default all.
"""

import numpy as np

from ._holdings import rolling
from ._rules import calc_avg_points_per_year


def calc_equity(relative_return):
    """Return the value of the portfolio; 1 before the first bar."""
    return (relative_return + 1).cumprod("time")


def calc_underwater(equity):
    """Return the distance from the highest equity so far, 0 or less."""
    return equity / rolling(equity, None, 1).max() - 1


def calc_max_drawdown(underwater):
    """Return the lowest underwater so far."""
    return rolling(underwater, None, 1).min()


def calc_volatility(relative_return, max_periods=None, min_periods=2):
    """Return the population standard deviation of the last `max_periods` returns."""
    return rolling(relative_return, max_periods, min_periods).std()


def calc_volatility_annualized(relative_return, max_periods=None, min_periods=2, points_per_year=None):
    """Return `calc_volatility`, times the square root of the bars a year."""
    points_per_year = points_per_year or calc_avg_points_per_year(relative_return)
    return calc_volatility(relative_return, max_periods, min_periods) * pow(points_per_year, 1.0 / 2)


def calc_mean_return(relative_return, max_periods=None, min_periods=1, points_per_year=None):
    """Return the geometric mean of the last `max_periods` returns, NaN once more than everything was lost."""
    with np.errstate(all="ignore"):
        return np.exp(rolling(np.log(relative_return + 1), max_periods, min_periods).mean()) - 1


def calc_mean_return_annualized(relative_return, max_periods=None, min_periods=1, points_per_year=None):
    """Return `calc_mean_return`, compounded over a year."""
    points_per_year = points_per_year or calc_avg_points_per_year(relative_return)
    mean = calc_mean_return(relative_return, max_periods, min_periods)
    with np.errstate(all="ignore"):
        return np.power(mean + 1, points_per_year) - 1


def calc_simple_mean_return_annualized(
    relative_return, max_periods=None, min_periods=1, points_per_year=None
):
    """Return the arithmetic mean of the last `max_periods` returns, times the bars a year."""
    points_per_year = points_per_year or calc_avg_points_per_year(relative_return)
    return rolling(relative_return, max_periods, min_periods).mean() * points_per_year


def calc_sharpe_ratio_annualized(
    relative_return, max_periods=None, min_periods=2, points_per_year=None, mean_estimator="geometric"
):
    """Return mean over volatility, both annualized; NaN or infinite where volatility is 0.

    `mean_estimator` is "geometric" or "arithmetic".
    """
    means = {"geometric": calc_mean_return_annualized, "arithmetic": calc_simple_mean_return_annualized}
    if mean_estimator not in means:
        raise ValueError(f"Unknown mean_estimator='{mean_estimator}'. Use 'arithmetic' or 'geometric'.")
    points_per_year = points_per_year or calc_avg_points_per_year(relative_return)
    arguments = relative_return, max_periods, min_periods, points_per_year
    return means[mean_estimator](*arguments) / calc_volatility_annualized(*arguments)
