"""A chain of days: the data that each day sees, and predictions that hand the state on.

Contest, report and look-ahead check all follow a strategy through many days with these functions.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common.market_data import field, trading_days

if TYPE_CHECKING:
    import xarray as xr


def predict_days(
    predict: Callable[[Any, "xr.DataArray", Any], tuple["xr.DataArray", Any]],
    steps: Iterable[tuple[Any, "xr.DataArray"]],
    state: Any = None,
) -> Iterator[tuple["xr.DataArray", Any]]:
    """Predict day after day, and hand the state of each day to the next.

    Parameters
    ----------
    predict : callable
        `strategy.predict`: (models, data, state) to the weights of the last day and the next state.
    steps : iterable of (models, data)
        By day, in order: what `train_model` returned, or a `lib.engine.prediction.KnownOutputs`, and the data
        that end on the day.
    state
        The state before the first day; None starts without positions.

    Yields
    ------
    weights : xarray.DataArray, (time, asset)
    state
        After that day.
    """
    for models, data in steps:
        weights, state = predict(models, data, state)
        yield weights, state


def window_between(data: "xr.DataArray", first: np.datetime64, last: np.datetime64) -> "xr.DataArray":
    """Return what the platform's loader would return for the calendar days `first` to `last`, as a copy.

    Both days are included. `data` (field, time, asset) is a load of these days and more. Keeps the assets
    that are liquid at least once within the days, and the days on which any of them has data.
    """
    data = data.sel(time=slice(first, last))
    data = data.isel(asset=np.flatnonzero((field(data, "is_liquid") > 0).any(axis=0)))
    empty = np.isnan(data.values).all(axis=(0, 2))
    return data.isel(time=~empty) if empty.any() else data


def window_of(data: "xr.DataArray", day: np.datetime64, period: int) -> "xr.DataArray":
    """Return what a pass on `day` loads for a period of calendar days; see `window_between`."""
    return window_between(data, day - np.timedelta64(period, "D"), day)


def last_rows(data: "xr.DataArray", days: Iterable[np.datetime64], period: int) -> Iterator["xr.DataArray"]:
    """Yield for each of some trading days the last day of `window_of`, as (field, 1, asset)."""
    times = data.time.values.astype("M8[D]")
    liquid = field(data, "is_liquid") > 0
    before = np.concatenate([np.zeros((1, liquid.shape[1]), int), liquid.cumsum(axis=0)])  # days so far
    for day in days:
        first, last = np.searchsorted(times, [day - np.timedelta64(period, "D"), day])
        yield data.isel(time=[last], asset=np.flatnonzero(before[last + 1] > before[first]))


def days_between(data: "xr.DataArray", first: np.datetime64, last: np.datetime64) -> np.ndarray:
    """Return the trading days from `first` to `last`, both included, datetime64[D]."""
    days = trading_days(data)
    return days[(days >= first) & (days <= last)]
