"""The user's selection, features and target, applied to data, with a check of their results."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common.errors import WrongValueError
from lib.common.market_data import check_data, field
from lib.common.registry import find, label, name_of, needs_universe
from lib.engine.learners import dtype_of
from lib.features import feature, target
from lib.universe import selection

if TYPE_CHECKING:
    import xarray as xr

    from lib.parameters import Parameters

    Array = np.ndarray | xr.DataArray

KEEP = "It must keep each of them, in order, with NaN where it has no value."


def select_assets(data: "xr.DataArray", strategy: "Parameters") -> list[str]:
    """Select the assets to train and trade, in the order of `data` (field, time, asset).

    Only assets that are liquid on the last day are offered to the strategy's `selection`. Empty where none
    is.

    Raises
    ------
    ValueError
        `data` is not in the platform's layout, or the selection does not return one bool per asset.
    """
    data = check_data(data)
    liquid = field(data, "is_liquid")[-1] > 0  # NaN is not
    if not liquid.any():
        return []
    offered = data.isel(asset=np.flatnonzero(liquid))
    chosen = np.asarray(find("selection", strategy.selection, selection)(offered, strategy))
    if chosen.dtype != bool or chosen.shape != (offered.sizes["asset"],):
        raise WrongValueError(
            f"selection must return one True or False for each of the {offered.sizes['asset']} assets given, "
            f"not an array of {chosen.dtype} with shape {chosen.shape}."
        )
    return offered.get_index("asset")[chosen].tolist()


def feature_names(strategy: "Parameters") -> list[str]:
    """Return the names of the strategy's features, as they are written, or of their functions."""
    return [label(item) for item in strategy.features]


def feature_values(
    data: "xr.DataArray", strategy: "Parameters", assets: list[str] | None = None
) -> np.ndarray:
    """Compute the strategy's features of every day, (feature, time, asset), float64.

    The assets are all of `data`, or those in `assets`, in their order. A day without a value is NaN or
    infinite; training and prediction leave it out.
    """
    return np.stack([one_feature(item, data, strategy, assets) for item in strategy.features])


def one_feature(
    item: str | Callable, data: "xr.DataArray", strategy: "Parameters", assets: list[str] | None = None
) -> np.ndarray:
    """Compute one feature of every day, (time, asset), float64; see `feature_values`."""
    return _values_of(find("feature", item, feature), "feature", data, strategy, assets)


def get_target_classes(
    data: "xr.DataArray", strategy: "Parameters", assets: list[str] | None = None
) -> "xr.DataArray":
    """Compute the target of every day, dims (time, asset), float64, of the same assets as `feature_values`.

    A day whose future is not known is 0, as published; with `leave_out_unknown` it is NaN and not trained on.
    """
    import xarray as xr

    data = check_data(data)
    values = with_unknown(target_values(data, strategy, assets), strategy)
    coords = {"time": data.time, "asset": data.asset if assets is None else assets}
    return xr.DataArray(values, dims=("time", "asset"), coords=coords)


def target_values(
    data: "xr.DataArray", strategy: "Parameters", assets: list[str] | None = None
) -> np.ndarray:
    """Compute the target of every day, (time, asset), float64; NaN where the future is not known."""
    return _values_of(find("target", strategy.target, target), "target", data, strategy, assets)


def with_unknown(target: np.ndarray, strategy: "Parameters") -> np.ndarray:
    """Return a target with the label that the strategy gives to days whose future is not known."""
    return target if strategy.leave_out_unknown else np.where(np.isnan(target), 0.0, target)


def _values_of(
    function: Callable, kind: str, data: "xr.DataArray", strategy: "Parameters", assets: list[str] | None
) -> np.ndarray:
    """Apply a feature or target to `assets` of the data, or, marked with `whole_universe`, to all."""
    places = slice(None) if assets is None else data.get_index("asset").get_indexer(assets)
    if assets is None or needs_universe(function):
        return _checked(function(data, strategy), data, kind, function)[:, places]
    chosen = data.isel(asset=places)
    return _checked(function(chosen, strategy), chosen, kind, function)


def model_inputs(
    data: "xr.DataArray", strategy: "Parameters", assets: list[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute features as (asset, time, feature), and which days (asset, time) are finite.

    They are float32 for a network, and float64 for an estimator or a rule.

    The assets are all of `data`, or those in `assets`, in their order.
    """
    with np.errstate(over="ignore"):
        values = feature_values(data, strategy, assets).transpose(2, 1, 0)
        x: np.ndarray = np.ascontiguousarray(values, dtype=dtype_of(strategy))
    return x, np.asarray(np.isfinite(x).all(axis=2))


def _checked(array: "Array", data: "xr.DataArray", kind: str, function: Callable) -> np.ndarray:
    """Return values (time, asset), float64, after a check of dims, days and assets against `data`."""
    place = f"{kind} {name_of(function)}"
    if not isinstance(array, np.ndarray):
        if set(getattr(array, "dims", ())) != {"time", "asset"}:
            got: Any = getattr(array, "dims", type(array).__name__)
            raise WrongValueError(f"{place} must return an array with dims time and asset, not {got}.")
        array = array.transpose("time", "asset")
        if any(not array.get_index(dim).equals(data.get_index(dim)) for dim in array.dims):
            raise WrongValueError(f"{place} returns other days or assets than it was given. {KEEP}")
        array = array.values
    if array.shape != data.shape[1:]:
        raise WrongValueError(
            f"{place} returns an array {array.shape} for {data.shape[1:]} days and assets. {KEEP}"
        )
    return array.astype(np.float64, copy=False)
