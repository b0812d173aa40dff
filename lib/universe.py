"""The selections of assets to trade: yours to change.

A selection takes data (field, time, asset) of the assets that are liquid on the last day, and the strategy,
and returns one bool per asset.
"""

from typing import TYPE_CHECKING

import numpy as np

from lib.common.market_data import field
from lib.common.registry import Choices

if TYPE_CHECKING:
    import xarray as xr

    from lib.parameters import Parameters

selection = Choices("selection")


@selection
def low_volatility(data: "xr.DataArray", strategy: "Parameters") -> np.ndarray:
    """Select the `top_assets` assets with the lowest volatility.

    This is the published selection. The volatility is the standard deviation of daily returns.

    The window is `lookback_period` **trading** days, or all days of the data. An asset with a gap in the
    window is left out. Equal volatilities share the mean of their ranks, so that slightly more or fewer
    assets may pass. The result equals the last row of `qnt.filter.filter_volatility`, which computes every
    day.
    """
    window = min(strategy.lookback_period, data.sizes["time"] - 1)
    if window < 1:
        return np.zeros(data.sizes["asset"], bool)
    close = field(data, "close")[-window - 1 :]
    with np.errstate(all="ignore"):
        volatility = (np.diff(close, axis=0) / close[:-1]).std(axis=0)
    known = np.flatnonzero(np.isfinite(volatility))
    chosen = np.zeros(data.sizes["asset"], bool)
    _, place, count = np.unique(volatility[known], return_inverse=True, return_counts=True)
    mean_rank = (np.cumsum(count) - (count - 1) / 2)[place]
    chosen[known[mean_rank <= strategy.top_assets]] = True
    return chosen
