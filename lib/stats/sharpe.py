"""The Sharpe ratio, its correction for multiple testing, and friction.

Bailey, D. H. and Lopez de Prado, M. (2014): The Deflated Sharpe Ratio: Correcting for Selection Bias,
Backtest Overfitting and Non-Normality. The Journal of Portfolio Management 40 (5), 94-107.
https://papers.ssrn.com/sol3/papers.cfm?abstract_id=2460551

Deflated, expected and probabilistic Sharpe ratios are those of one period (one day, where returns are daily),
not annualised: divide an annualised one by the square root of the days a year, an annualised variance of
Sharpe ratios by the days a year.
"""

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

    from lib.common.competitions import Competition

ARITHMETIC, GEOMETRIC = "arithmetic", "geometric"
ROUNDING = 1e-7  # a standard deviation below this share of the returns comes from rounding
EULER_MASCHERONI = 0.5772156649015329
NORMAL = NormalDist()
COSTS = (2, 3)  # times the platform's trading cost
LATE = "sharpe_late"


def deflated_sharpe_ratio(returns: np.ndarray, trials: int, sharpe_variance: float) -> float:
    """Return the probability that the Sharpe ratio beats chance.

    Chance gives the best of as many variants without skill.

    Parameters
    ----------
    returns : array_like, (time,)
        Returns of the chosen variant, one per period. NaN is left out.
    trials : int
        Number of variants that were tried, the chosen one among them. Variants that resemble each other count
        for less than one each; counting all of them is the cautious choice.
    sharpe_variance : float
        Variance of the Sharpe ratios of all variants, per period.

    Returns
    -------
    float
        0 to 1; below 0.95 the paper would not call it a finding. With one trial it is the probability that
        the Sharpe ratio is above 0. NaN for less than three returns, or returns that never change.

    Raises
    ------
    ValueError
        Less than one trial, or a variance that is negative or not finite.
    """
    by_luck = expected_maximum(trials, sharpe_variance)
    sharpe = float(sharpe_ratio(returns, sample=True))
    returns = np.asarray(returns, dtype=np.float64)
    returns = returns[np.isfinite(returns)]
    if math.isnan(sharpe) or len(returns) < 3:
        return math.nan
    standard = (returns - returns.mean()) / returns.std()
    skewness, kurtosis = float((standard**3).mean()), float((standard**4).mean())
    return probabilistic_sharpe_ratio(sharpe, by_luck, len(returns), skewness, kurtosis)


def ratio_of_moments(
    mean: np.ndarray,
    mean_square: np.ndarray,
    mean_log: np.ndarray | None = None,
    days_per_year: float = 1.0,
    correction: float = 1.0,
) -> np.ndarray:
    """Compute Sharpe ratios from moments of returns.

    Every Sharpe ratio here comes from this formula.

    Parameters
    ----------
    mean, mean_square : numpy.ndarray
        Means of the returns and of their squares.
    mean_log : numpy.ndarray, optional
        Means of log(1 + return): the return is compounded over a year (geometric) instead of added up.
    days_per_year : float
        1 for the ratio of one period.
    correction : float
        By which the variance is multiplied: n / (n - 1) for the sample variance.

    Returns
    -------
    numpy.ndarray
        NaN where returns change by no more than rounding does.
    """
    deviation = np.sqrt(np.maximum(mean_square - mean**2, 0.0) * correction * days_per_year)
    moving = deviation > ROUNDING * np.sqrt(mean_square * days_per_year)
    gain = annual_return(mean, mean_log, days_per_year)
    return np.where(moving, gain / np.where(moving, deviation, 1.0), np.nan)


def annual_return(mean: np.ndarray, mean_log: np.ndarray | None, days_per_year: float) -> np.ndarray:
    """Return the annual return from moments of returns.

    The arguments are the same as for `ratio_of_moments`: without `mean_log` returns are added up.
    """
    return mean * days_per_year if mean_log is None else np.exp(mean_log * days_per_year) - 1


def sharpe_ratio(
    returns: np.ndarray, days_per_year: float = 1.0, mean: str = ARITHMETIC, sample: bool = False
) -> np.ndarray:
    """Compute Sharpe ratios along the first axis.

    A ratio is the mean of returns divided by their standard deviation.

    Parameters
    ----------
    returns : array_like, (time, ...)
        Returns that are not finite are left out.
    days_per_year : float
        Periods of a year; 1 for the ratio of one period.
    mean : "arithmetic" or "geometric"
        Returns are added up or compounded over a year.
    sample : bool
        True for the sample standard deviation, False for the population's, as on the platform.

    Returns
    -------
    numpy.ndarray
        NaN for less than two returns (three with `sample`), or returns that change by no more than rounding
        does.
    """
    returns = np.asarray(returns, dtype=np.float64)
    known = np.isfinite(returns)
    count = known.sum(axis=0)
    few = count < (3 if sample else 2)
    number = np.where(few, 2, count)

    def average(values: np.ndarray) -> np.ndarray:
        return np.where(known, values, 0.0).sum(axis=0) / number

    correction = number / (number - 1) if sample else 1.0
    with np.errstate(all="ignore"):  # a loss of everything has the logarithm -inf
        mean_log = average(np.log1p(returns)) if mean == GEOMETRIC else None
        ratios = ratio_of_moments(average(returns), average(returns**2), mean_log, days_per_year, correction)
    return np.where(few, np.nan, ratios)


def annual_sharpe_ratio(returns: "xr.DataArray", rules: "Competition") -> float:
    """Return the annualised Sharpe ratio as on the platform.

    All days (time,) count, as in the platform's filter. The ratio is NaN for one day, and for returns that
    never change.
    """
    if returns.sizes["time"] < 2:
        return math.nan
    return float(sharpe_ratio(returns.values, days_per_year(returns), rules.mean_estimator))


def days_per_year(returns: "xr.DataArray") -> int:
    """Return the trading days of a year.

    The platform counts them from the days of the returns if there are many.
    """
    import qnt.stats as qns

    return int(qns.calc_avg_points_per_year(returns))


def expected_maximum(trials: int, sharpe_variance: float) -> float:
    """Return the expected best Sharpe ratio without skill.

    The ratio is per period, the highest of `trials` variants; 0 for one trial, since nothing was chosen. The
    formula is the paper's approximation (equation 1) for independent variants.
    """
    if trials < 1 or trials != int(trials):
        raise ValueError(
            f"trials must be a whole number from 1 on, not {trials!r}: count the chosen one too."
        )
    if not (math.isfinite(sharpe_variance) and sharpe_variance >= 0):
        raise ValueError(f"sharpe_variance must be 0 or more, not {sharpe_variance!r}.")
    if trials == 1:
        return 0.0
    near = NORMAL.inv_cdf(1 - 1 / trials)
    far = NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(sharpe_variance) * ((1 - EULER_MASCHERONI) * near + EULER_MASCHERONI * far)


def probabilistic_sharpe_ratio(
    sharpe: float, benchmark: float, periods: int, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Return the probability of a Sharpe ratio above `benchmark`.

    It concerns the true ratio; `sharpe` is the observed one, both per period. `skewness` and `kurtosis`
    belong to the returns: 0 and 3 for normal ones. The result is NaN for less than two periods, or where no
    returns can have such moments.
    """
    variance = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if periods < 2 or not variance > 0:
        return math.nan
    return NORMAL.cdf((sharpe - benchmark) * math.sqrt((periods - 1) / variance))


def under_friction(data: "xr.DataArray", weights: "xr.DataArray", rules: "Competition") -> dict[str, float]:
    """Return annual Sharpe ratios under more friction.

    The weights of a backtest are held one day late, or at a multiple of the trading cost. Nothing is trained
    anew.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset): the days of the weights, and some 60 days before them for the costs.
    weights : xarray.DataArray
        (time, asset), 0 where nothing is held.
    rules : Competition
        Whose Sharpe ratio is computed.

    Returns
    -------
    dict of str to float
        Computed as by `qnt.stats`, by the names in `friction_names()`. NaN where returns never change.
    """
    import qnt.stats as qns

    per_year = days_per_year(data)
    cost = qns.get_default_slippage(data)  # share of the average true range that a trade costs

    def ratio(held: "xr.DataArray", times: int) -> float:
        returns = qns.calc_relative_return(data, held, slippage_factor=times * cost, points_per_year=per_year)
        return float(sharpe_ratio(returns.values, per_year, rules.mean_estimator))

    late = weights.shift(time=1).fillna(0)
    return dict(
        zip(friction_names(), [ratio(late, 1), *(ratio(weights, times) for times in COSTS)], strict=True)
    )


def friction_names() -> list[str]:
    """Return the names of the ratios under friction.

    The names are "sharpe_late", "sharpe_cost_2" and so on.
    """
    return [LATE, *(f"sharpe_cost_{times}" for times in COSTS)]
