"""The data that a single pass of the platform sees, cut from one load of many days."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from lib.common.market_data import field, trading_days

if TYPE_CHECKING:
    import xarray as xr

    from lib.strategy import Strategy


def loaded(data: "xr.DataArray", first: np.datetime64, last: np.datetime64) -> "xr.DataArray":
    """What the platform's loader returns for the calendar days `first` to `last`, both included, as a copy.

    `data` (field, time, asset) is a load of these days and more. Left are the assets that are liquid at least
    once within the days, and the days on which any of them has data.
    """
    data = data.sel(time=slice(first, last))
    data = data.isel(asset=np.flatnonzero((field(data, "is_liquid") > 0).any(axis=0)))
    empty = np.isnan(data.values).all(axis=(0, 2))
    return data.isel(time=~empty) if empty.any() else data


def seen_on(data: "xr.DataArray", day: np.datetime64, period: int) -> "xr.DataArray":
    """What a pass on `day` loads for a period of calendar days."""
    return loaded(data, day - np.timedelta64(period, "D"), day)


def last_days_seen(
    data: "xr.DataArray", days: Iterable[np.datetime64], period: int
) -> Iterator["xr.DataArray"]:
    """For each of some trading days the last day of `seen_on`, as (field, 1, asset)."""
    times = data.time.values.astype("M8[D]")
    liquid = field(data, "is_liquid") > 0
    before = np.concatenate([np.zeros((1, liquid.shape[1]), int), liquid.cumsum(axis=0)])  # days so far
    for day in days:
        first, last = np.searchsorted(times, [day - np.timedelta64(period, "D"), day])
        yield data.isel(time=[last], asset=np.flatnonzero(before[last + 1] > before[first]))


def seen_by(
    data: "xr.DataArray", first: np.datetime64, last: np.datetime64, strategy: "Strategy"
) -> "xr.DataArray":
    """All that the passes on the days `first` to `last` load together."""
    period = max(strategy.train_period, strategy.lookback_period)
    return loaded(data, first - np.timedelta64(period, "D"), last)


def days_between(data: "xr.DataArray", first: np.datetime64, last: np.datetime64) -> np.ndarray:
    """Trading days from `first` to `last`, datetime64[D]: those with a pass."""
    days = trading_days(data)
    return days[(days >= first) & (days <= last)]
