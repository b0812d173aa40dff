"""Prediction: from models, data and the previous state to the weights of the day."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common.market_data import check_data
from lib.engine.inputs import model_inputs
from lib.engine.models import TrainedModels
from lib.engine.warm_up import check_lookback_window
from lib.engine.weights import KnownOutputs, weights_of_day

if TYPE_CHECKING:
    import xarray as xr

    from lib.state import State
    from lib.strategy import Strategy


def predict(
    models: Mapping[str, Any] | KnownOutputs,
    data: "xr.DataArray",
    state: "State | None",
    strategy: "Strategy",
) -> tuple["xr.DataArray", "State"]:
    """Weights of the last day of `data`, blended with the day before.

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
    strategy : Strategy

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


def last_outputs(models: Mapping[str, Any], data: "xr.DataArray", strategy: "Strategy") -> dict[str, float]:
    """Each model's output for the last day; an asset without finite features that day is left out."""
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
    """By asset its model's output (time,) for a sequence (time, feature) float32, from a zero state."""
    outputs = models.fast_outputs(inputs) if isinstance(models, TrainedModels) else {}
    others = [asset for asset in inputs if asset not in outputs]
    if others:
        from lib.engine.torch_training import answer

        outputs |= {asset: answer(models[asset], inputs[asset]) for asset in others}
    return outputs
