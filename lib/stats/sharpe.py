"""The deflated Sharpe ratio, which corrects for the choice of the best among many variants.

Bailey, D. H. and Lopez de Prado, M. (2014): The Deflated Sharpe Ratio: Correcting for Selection Bias,
Backtest Overfitting and Non-Normality. The Journal of Portfolio Management 40 (5), 94-107.
https://papers.ssrn.com/sol3/papers.cfm?abstract_id=2460551

Sharpe ratios here are those of one period (one day, where returns are daily), not annualised: divide an
annualised one by the square root of the days a year, an annualised variance of Sharpe ratios by the days a
year.
"""

import math
from statistics import NormalDist

import numpy as np

EULER_MASCHERONI = 0.5772156649015329
NORMAL = NormalDist()


def deflated_sharpe_ratio(returns: np.ndarray, trials: int, sharpe_variance: float) -> float:
    """Probability that the true Sharpe ratio of the chosen variant exceeds the expected best of chance.

    Parameters
    ----------
    returns : array_like, (time,)
        Returns of the chosen variant, one per period. NaN is left out.
    trials : int
        How many variants were tried, the chosen one among them. Variants that resemble each other count for
        less than one each; counting all of them is the cautious choice.
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
    sharpe = sharpe_ratio(returns)
    if math.isnan(sharpe):
        return math.nan
    returns = np.asarray(returns, dtype=np.float64)
    returns = returns[np.isfinite(returns)]
    standard = (returns - returns.mean()) / returns.std()
    skewness, kurtosis = float((standard**3).mean()), float((standard**4).mean())
    return probabilistic_sharpe_ratio(sharpe, by_luck, len(returns), skewness, kurtosis)


def sharpe_ratio(returns: np.ndarray) -> float:
    """Mean over sample standard deviation of the returns, per period.

    Returns that are not finite are left out. NaN for less than three returns, or returns that never change
    by more than rounding does.
    """
    returns = np.asarray(returns, dtype=np.float64)
    returns = returns[np.isfinite(returns)]
    if len(returns) < 3 or np.ptp(returns) <= 1e-12 * np.abs(returns).max():
        return math.nan
    return float(returns.mean() / returns.std(ddof=1))


def expected_maximum(trials: int, sharpe_variance: float) -> float:
    """Expected highest Sharpe ratio of so many variants of which none has any skill; per period.

    0 for one trial: nothing was chosen. The paper's approximation (equation 1), for independent variants.
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
    """Probability that the true Sharpe ratio is above `benchmark`, having seen `sharpe`; both per period.

    `skewness` and `kurtosis` are those of the returns, 0 and 3 for normal ones. NaN for less than two
    periods, or where no returns can have such moments.
    """
    variance = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if periods < 2 or not variance > 0:
        return math.nan
    return NORMAL.cdf((sharpe - benchmark) * math.sqrt((periods - 1) / variance))
