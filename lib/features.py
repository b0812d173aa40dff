"""What does the model see, and what should it say?"""

from typing import TYPE_CHECKING

import numpy as np

from lib.indicators import lwma, roc, shift
from lib.strategy import Strategy, find

if TYPE_CHECKING:
    import xarray as xr

# ---- your place: a feature takes data (field, time, asset) and the strategy, answers an array (time, asset) ----
# It may use each day's own values and those before; `lib.lookahead` tells whether it does.


def trend(data: "xr.DataArray", strategy: Strategy) -> "xr.DataArray":
    """Daily change in percent of the weighted average of the close: the published feature.

    Gaps take the value before them; what has none before it, the first after it (so the first `lwma_period` days of a window
    say what the next one says: only training reads them); what has none at all is 1.
    """
    close = filled(data.sel(field="close"))
    if strategy.log_price:
        with np.errstate(all="ignore"):
            close = np.log(close)
    return filled(roc(lwma(close, strategy.lwma_period), 1))


FEATURES = {feature.__name__: feature for feature in (trend,)}

# ---- your place: a target takes the same, answers a number for each day and asset, NaN where it is not known yet ----


def next_open_up(data: "xr.DataArray", strategy: Strategy) -> "xr.DataArray":
    """1 where the next open is above this day's, else 0: the published target."""
    opened = data.sel(field="open")
    return _rises(opened, shift(opened, -1))


def tradable_open_up(data: "xr.DataArray", strategy: Strategy) -> "xr.DataArray":
    """1 where the open after the next is above the next: what a position taken on this day's close can earn."""
    opened = data.sel(field="open")
    return _rises(shift(opened, -1), shift(opened, -2))


TARGETS = {target.__name__: target for target in (next_open_up, tradable_open_up)}

# ---- end of your place ----


def get_features(data: "xr.DataArray", strategy: Strategy | None = None) -> "xr.DataArray":
    """The strategy's features of every day, dims (feature, time, asset), float64.

    NaN, or infinite, where a feature has no value; training and prediction leave such days out.
    """
    import xarray as xr

    strategy = strategy or Strategy()
    arrays, names = [], []
    for feature in strategy.features:
        function = find("features", feature, FEATURES)
        names.append(function.__name__)
        arrays.append(_by_day(function(data, strategy), data, f"feature {names[-1]}"))
    return xr.DataArray(
        np.stack(arrays),
        dims=("feature", "time", "asset"),
        coords={"feature": names, "time": data.time, "asset": data.asset},
    )


def get_target_classes(data: "xr.DataArray", strategy: Strategy | None = None) -> "xr.DataArray":
    """What the model should have said on every day, dims (time, asset), float64.

    A day whose future is not known is 0, as published; NaN, and so not trained on, with `leave_out_unknown`.
    """
    strategy = strategy or Strategy()
    function = find("target", strategy.target, TARGETS)
    values = _by_day(function(data, strategy), data, f"target {function.__name__}")
    if not strategy.leave_out_unknown:
        values = np.where(np.isnan(values), 0.0, values)
    return data.sel(field="open").drop_vars("field").transpose("time", "asset").copy(data=values)


def filled(array: "xr.DataArray") -> "xr.DataArray":
    """Gaps along time filled forwards, then backwards, then with 1."""
    values = array.transpose("time", ...).values.astype(np.float64)
    if np.isnan(values).any():
        values = _forwards(_forwards(values)[::-1])[::-1]
        values = np.where(np.isnan(values), 1.0, values)
    return array.transpose("time", ...).copy(data=values)


def _forwards(values: np.ndarray) -> np.ndarray:
    days = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    last_seen = np.maximum.accumulate(np.where(np.isnan(values), 0, days), axis=0)
    return np.take_along_axis(values, last_seen, axis=0)


def _rises(now: "xr.DataArray", later: "xr.DataArray") -> "xr.DataArray":
    return (later > now).astype(np.float64).where(now.notnull() & later.notnull())


def _by_day(array: "xr.DataArray", data: "xr.DataArray", what: str) -> np.ndarray:
    """Values (time, asset) in the order of `data`; an error where the array has other dims, days or assets."""
    if set(getattr(array, "dims", ())) != {"time", "asset"}:
        raise ValueError(f"{what} must answer an array with dims time and asset, not {getattr(array, 'dims', array)}.")
    array = array.transpose("time", "asset")
    if any(not array.indexes[dim].equals(data.indexes[dim]) for dim in array.dims):
        raise ValueError(
            f"{what} answers other days or assets than it was given: it must keep each, in order, with NaN where it has "
            "no value."
        )
    return array.values.astype(np.float64)
