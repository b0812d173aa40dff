"""Prediction: from models, data and the previous state to the weights of the day."""

import functools
import warnings
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lib.common.errors import WrongTypeError, WrongValueError
from lib.common.market_data import check_data, field, tradable
from lib.common.registry import find, name_of
from lib.engine.inputs import model_inputs
from lib.engine.models import TrainedModels
from lib.engine.warm_up import check_lookback_window
from lib.sizing import sizing
from lib.state import State, StateWarning

if TYPE_CHECKING:
    import xarray as xr

    from lib.parameters import Parameters


# targets whose models rarely have negative outputs; the published strategy drops those
CLASSES = ("next_open_up", "tradable_open_up")


class KnownOutputs(NamedTuple):
    """Models whose outputs for the day are known already; `predict` takes it in their place."""

    outputs: Mapping[str, float]  # by asset, for the last day of the data
    models: Container[str]  # assets that have a model, with an output or without


def predict(
    models: Mapping[str, Any] | KnownOutputs,
    data: "xr.DataArray",
    state: State | None,
    strategy: "Parameters",
) -> tuple["xr.DataArray", State]:
    """Compute the weights of the last day of `data`, blended with the day before.

    Parameters
    ----------
    models : mapping of asset to model, or KnownOutputs
        What `train_model` returned; a model of an asset that is not in `data` is ignored. With
        `KnownOutputs` only the last day of `data` counts.
    data : xarray.DataArray
        (field, time, asset): the lookback window, ending on the day to predict.
    state : State or None
        The state that the previous day returned; None starts without positions. A state of the same day gives
        the same weights again; one of a later day is not used, with a `StateWarning`.
    strategy : Parameters

    Returns
    -------
    weights : xarray.DataArray
        (time, asset): the last day, and every asset of `data` in its order. Finite; the sum of \\|w\\| is at
        most 1, none above `max_weight`; 0 where an asset is not held, is not liquid that day, or has no
        price.
    state : State
        To hand on: the blended weights before those of illiquid assets were set to 0, as published.

    Raises
    ------
    ValueError
        `data` is not in the platform's layout.
    StateError
        The state was made with other parameters.
    TypeError
        `state` is neither a `State` nor None.
    """
    data = check_data(data)
    known = models
    if not isinstance(known, KnownOutputs):
        known = KnownOutputs(last_outputs(known, data, strategy), known)
    return weights_of_day(known.outputs, known.models, data, state, strategy)


def last_outputs(models: Mapping[str, Any], data: "xr.DataArray", strategy: "Parameters") -> dict[str, float]:
    """Compute each model's output for the last day, without assets whose features are not finite."""
    index = data.get_index("asset")
    assets = [asset for asset in models if asset in index]
    if not assets:
        return {}
    x, finite = model_inputs(data, strategy, assets)
    if not finite[:, -1].any():
        check_lookback_window(data, strategy, assets)
    inputs = {}
    for k, asset in enumerate(assets):
        if finite[k, -1]:
            inputs[asset] = x[k][finite[k]] if strategy.whole_sequence else x[k, -1:]
    return {asset: float(output[-1]) for asset, output in model_outputs(models, inputs).items()}


def model_outputs(models: Mapping[str, Any], inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Compute by asset its model's output (time,) for a sequence (time, feature), from a zero state."""
    outputs = models.fast_outputs(inputs) if isinstance(models, TrainedModels) else {}
    others = [asset for asset in inputs if asset not in outputs]
    if others:
        from lib.engine.torch_training import output_of

        outputs |= {asset: output_of(models[asset], inputs[asset]) for asset in others}
    return outputs


def weights_of_day(
    outputs: Mapping[str, float],
    models: Container[str],
    data: "xr.DataArray",
    state: State | None,
    strategy: "Parameters",
) -> tuple["xr.DataArray", State]:
    """Turn the models' `outputs` for the last day of `data` into weights, and return the next state.

    Only the names of the assets in `models` and the last day of `data` count; otherwise like `predict`.
    """
    if state is not None and not isinstance(state, State):
        raise WrongTypeError(
            f"predict takes the state that it returned the day before, or None, not {type(state).__name__}: "
            "state_read reads the file that backtest_ml wrote, too."
        )
    days = data.get_index("time")
    day = days[-1].to_datetime64()
    parameters = strategy.as_dict()
    carried_in: Mapping[str, float] = {}
    memory: Mapping[str, Any] = {}
    if state is not None:
        carried_in = state.carried_into(day, parameters, strategy.defaults())
        memory = state.memory_carried_into(day)
    missed = 0 if state is None else len(days) - 1 - int(days.searchsorted(state.date, side="right"))
    if state is not None and missed > 0:
        warnings.warn(
            f"The state is of {state.date}: {missed} trading days lie between it and {str(day)[:10]}. Its "
            "positions count as those of the day before. To start without positions, move the state file "
            "away.",
            StateWarning,
            stacklevel=2,
        )

    price, liquid = field(data, "close")[-1], field(data, "is_liquid")[-1]

    assets = data.get_index("asset").tolist()
    new = raw_weights(outputs, assets, liquid, models, strategy)

    gone = sorted(set(carried_in).difference(assets))
    old = np.array([carried_in.get(asset, 0.0) for asset in [*assets, *gone]])
    blended = blend(np.append(new, np.zeros(len(gone))), old, strategy.min_weight, strategy.max_weight)

    kept = {asset: weight for asset, weight in zip([*assets, *gone], blended.tolist(), strict=True) if weight}
    next_state = State(day, kept, dict(carried_in), parameters, memory, memory)
    last_day = data.isel(field=0, time=slice(-1, None), drop=True)  # a slice: a list would copy the indexes
    weights = last_day.copy(deep=False, data=[np.where(tradable(liquid, price), blended[: len(assets)], 0.0)])
    return weights, next_state


def raw_weights(
    outputs: Mapping[str, float],
    assets: list[str],
    liquid: np.ndarray,
    models: Container[str],
    strategy: "Parameters",
) -> np.ndarray:
    """Apply the strategy's `sizing` to the outputs of the liquid assets: raw weights (asset,).

    0 where an asset is not liquid or has no output. NaN, so that it is not held even if it was before, where
    the output is not finite, and, as published, where an asset with a model has no data that day.

    Raises
    ------
    ValueError
        The sizing does not return one number for each output.
    """
    new = np.where(liquid > 0, [outputs.get(asset, 0.0) for asset in assets], 0.0)
    sized = (liquid > 0) & np.isfinite(new) & [asset in outputs for asset in assets]
    if sized.any():
        function = find("sizing", strategy.sizing, sizing)
        raw = np.asarray(function(new[sized], strategy))
        if raw.shape != (sized.sum(),) or raw.dtype.kind not in "fiub":
            raise WrongValueError(
                f"sizing {name_of(function)} must return one number for each of the {sized.sum()} outputs "
                f"given, not an array of {raw.dtype} with shape {raw.shape}."
            )
        if (raw < 0).any() and not (strategy.sizing == "as_output" and strategy.target in CLASSES):
            _warn_of_shorts(name_of(function))
        new[sized] = raw
    new[np.isnan(liquid) & [asset in models for asset in assets]] = np.nan
    return new


class SizingWarning(UserWarning):
    """A sizing returns weights that are not held."""


@functools.cache
def _warn_of_shorts(name: str) -> None:
    warnings.warn(
        f"Sizing {name} returns negative weights: they become 0, since short positions are not supported. "
        "Return 0 or more.",
        SizingWarning,
        stacklevel=4,
    )


def blend(new: np.ndarray, old: np.ndarray, min_weight: float, max_weight: float) -> np.ndarray:
    """Blend today's raw weights with yesterday's weights, both (asset,) in the same order.

    The mean of both where there was a position, else the raw weight; below `min_weight` nothing; scaled to a
    sum of at most 1; cut at `max_weight`. An asset without a finite raw weight is not held, even
    if it was before.
    """
    weights = np.where(old == 0, new, (new + old) / 2)
    weights = np.where(np.isfinite(weights) & (weights >= min_weight), weights, 0.0)
    return np.minimum(weights / max(weights.sum(), 1.0), max_weight)
