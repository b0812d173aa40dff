"""The uncertainty of a Sharpe ratio.

Source: Lo, A. W. (2002): The Statistics of Sharpe Ratios. Financial Analysts Journal 58 (4), 36-52, for
returns that are independent and identically distributed.
"""

import math
from statistics import NormalDist

SOURCE = "Lo, 2002"
YEAR = 252  # trading days


def sharpe_interval(sharpe_ratio: float, days: int, level: float = 0.95) -> tuple[float, float]:
    """Interval that covers the true annualised Sharpe ratio with the probability `level`.

    The standard error of the ratio of one day is sqrt((1 + ratio² / 2) / days). Both ends are NaN for less
    than two days, or where there is no ratio.
    """
    if days < 2 or not math.isfinite(sharpe_ratio):
        return math.nan, math.nan
    daily = sharpe_ratio / math.sqrt(YEAR)
    error = math.sqrt((1 + daily**2 / 2) / days) * math.sqrt(YEAR)
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    return sharpe_ratio - reach, sharpe_ratio + reach
