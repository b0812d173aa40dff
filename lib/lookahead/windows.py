"""The days that can be asked about, the windows that end on them, and gaps to plant in these."""

from typing import TYPE_CHECKING

import numpy as np

from lib.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr

CHAIN = 2  # days predicted one after the other, the state handed on


def askable(data: "xr.DataArray", strategy: Strategy) -> np.ndarray:
    """Rows of days with whole windows before them, those of a chain included, and a day after them."""
    periods = sorted((strategy.lookback_period, strategy.train_period))
    rows = np.arange(CHAIN - 1, data.sizes["time"] - 1)
    time = data.time.values
    whole = [row for row in rows if time[row - CHAIN + 1] - np.timedelta64(periods[1], "D") >= time[0]]
    long = [row for row in whole if int(row) - first_row(data, int(row), periods[0]) > strategy.lwma_period]
    if not long:
        raise ValueError(
            f"no day of the {len(time)} has {periods[1]} calendar days of data before it, a day after it, "
            f"and more than lwma_period + 1 = {strategy.lwma_period + 1} days in a window: load more."
        )
    return np.array(long)


def random_gaps(data: "xr.DataArray", row: int, rng: np.random.Generator) -> np.ndarray:
    """Places of planted gaps, (time, asset): one to three days up to the row, in about half of the assets."""
    gaps = np.zeros(data.shape[1:], bool)
    chosen = rng.permutation(data.sizes["asset"])[: (data.sizes["asset"] + 1) // 2]
    gaps[row + 1 - rng.integers(1, 4) : row + 1, chosen] = True
    return gaps


def first_row(data: "xr.DataArray", row: int, period: int) -> int:
    """First row of the window of so many calendar days that ends on a row, as `backtest_ml` cuts it."""
    return int(np.searchsorted(data.time.values, data.time.values[row] - np.timedelta64(period, "D")))
