"""What does the model see, and what should it say?"""

from typing import TYPE_CHECKING

import numpy as np

from lib.indicators import lwma, roc, shift
from lib.strategy import Strategy, find
from lib.universe import check_data, field

if TYPE_CHECKING:
    import xarray as xr

    Array = np.ndarray | xr.DataArray

# ---- your place: a feature takes data (field, time, asset) and the strategy, answers (time, asset) ----
# It may use each day's own values and those before. `lib.lookahead` tells whether it does.


def trend(data: "xr.DataArray", strategy: Strategy) -> "Array":
    """Daily change in percent of the weighted average of the close: the published feature.

    Gaps take the value before them; where there is none, the first after it (so the first `lwma_period` days
    of a window say what the next one says: only training reads them); where there is none at all, 1.
    """
    close = filled(field(data, "close"))
    if strategy.log_price:
        with np.errstate(all="ignore"):
            close = np.log(close)
    return filled(roc(lwma(close, strategy.lwma_period), 1))


FEATURES = {feature.__name__: feature for feature in (trend,)}

# ---- your place: a target takes the same, answers numbers (time, asset), NaN where not known yet ----


def next_open_up(data: "xr.DataArray", strategy: Strategy) -> "Array":
    """1 where the next open is above this day's, else 0: the published target."""
    opened = field(data, "open")
    return _rises(opened, shift(opened, -1))


def tradable_open_up(data: "xr.DataArray", strategy: Strategy) -> "Array":
    """1 where the open after the next is above the next: what a position of this day's close can earn."""
    opened = field(data, "open")
    return _rises(shift(opened, -1), shift(opened, -2))


TARGETS = {target.__name__: target for target in (next_open_up, tradable_open_up)}

# ---- end of your place ----


def get_features(data: "xr.DataArray", strategy: Strategy | None = None) -> "xr.DataArray":
    """The strategy's features of every day, dims (feature, time, asset), float64.

    NaN, or infinite, where a feature has no value; training and prediction leave such days out.
    """
    import xarray as xr

    strategy = strategy or Strategy()
    data = check_data(data)
    names = [find("features", feature, FEATURES).__name__ for feature in strategy.features]
    coords = {"feature": names, "time": data.time, "asset": data.asset}
    return xr.DataArray(feature_values(data, strategy), dims=("feature", "time", "asset"), coords=coords)


def feature_values(data: "xr.DataArray", strategy: Strategy) -> np.ndarray:
    """What `get_features` answers, as a plain array."""
    functions = [find("features", feature, FEATURES) for feature in strategy.features]
    return np.stack([_plain(f(data, strategy), data, f"feature {f.__name__}") for f in functions])


def get_target_classes(data: "xr.DataArray", strategy: Strategy | None = None) -> "xr.DataArray":
    """What the model should have said on every day, dims (time, asset), float64.

    A day whose future is not known is 0, as published; NaN, and so not trained on, with `leave_out_unknown`.
    """
    import xarray as xr

    strategy = strategy or Strategy()
    data = check_data(data)
    target = find("target", strategy.target, TARGETS)
    values = _plain(target(data, strategy), data, f"target {target.__name__}")
    if not strategy.leave_out_unknown:
        values = np.where(np.isnan(values), 0.0, values)
    return xr.DataArray(values, dims=("time", "asset"), coords={"time": data.time, "asset": data.asset})


def filled(values: np.ndarray) -> np.ndarray:
    """Gaps along time, axis 0, filled forwards, then backwards, then with 1."""
    if not np.isnan(values).any():
        return values
    values = _forwards(_forwards(values)[::-1])[::-1]
    return np.where(np.isnan(values), 1.0, values)


def _forwards(values: np.ndarray) -> np.ndarray:
    days = np.arange(len(values))[:, None]
    last_seen = np.maximum.accumulate(np.where(np.isnan(values), 0, days), axis=0)
    return np.take_along_axis(values, last_seen, axis=0)


def _rises(now: np.ndarray, later: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(now) | np.isnan(later), np.nan, later > now)


def _plain(array: "Array", data: "xr.DataArray", what: str) -> np.ndarray:
    """Values (time, asset), float64; an error where the array has other dims, days or assets than `data`."""
    if not isinstance(array, np.ndarray):
        if set(getattr(array, "dims", ())) != {"time", "asset"}:
            got = getattr(array, "dims", type(array).__name__)
            raise ValueError(f"{what} must answer an array with dims time and asset, not {got}.")
        array = array.transpose("time", "asset")
        if any(not array.get_index(dim).equals(data.get_index(dim)) for dim in array.dims):
            raise ValueError(f"{what} answers other days or assets than it was given. {_KEEP}")
        array = array.values
    if array.shape != data.shape[1:]:
        raise ValueError(
            f"{what} answers an array {array.shape} to {data.shape[1:]} days and assets. {_KEEP}"
        )
    return array.astype(np.float64, copy=False)


_KEEP = "It must keep each, in order, with NaN where it has no value."
