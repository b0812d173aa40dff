"""Prediction: from models, data and state to the weights of a day."""

import warnings
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lib.common.errors import WrongTypeError, WrongValueError
from lib.common.market_data import check_data, field, tradable
from lib.common.registry import find, name_of
from lib.engine.inputs import check_lookback_window, check_model_window, model_inputs, select_assets
from lib.engine.learners import Constant, Rule, estimator_outputs, is_estimator, kind_of, rule_outputs
from lib.engine.models import TrainedModels
from lib.sizing import check_shorts, sees_window, sizing
from lib.state import State, StateWarning

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from lib.parameters import Parameters


class KnownOutputs(NamedTuple):
    """Models whose outputs for the day are known.

    `predict` takes such an object in place of the models.
    """

    outputs: Mapping[str, float]  # by asset, for the last day of the data
    models: Container[str]  # assets that have a model, with an output or without


def predict(
    models: Mapping[str, Any] | KnownOutputs,
    data: "xr.DataArray",
    state: State | None,
    strategy: "Parameters",
) -> tuple["xr.DataArray", State]:
    """Compute the weights of the last day.

    They are the weights for the last day of `data`, blended with the day before.

    Parameters
    ----------
    models : mapping of asset to model, or KnownOutputs
        What `train_model` returned; a model of an asset that is not in `data` is ignored. With
        `KnownOutputs` only the last day of `data` counts, unless the sizing takes data.
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
        most 1, no \\|w\\| above `max_weight`; 0 where an asset is not held, is not liquid that day, or has no
        price.
    state : State
        To hand on: the blended weights before those of illiquid assets were set to 0, as published. With
        `min_change` or `rebalance_interval` those are 0 in the state too.

    Raises
    ------
    ValueError
        `data` is not in the platform's layout, or the sizing returns no weights that the competition allows.
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


def predict_days(
    predict: Callable[[Any, "xr.DataArray", Any], tuple["xr.DataArray", Any]],
    steps: Iterable[tuple[Any, "xr.DataArray"]],
    state: Any = None,
) -> Iterator[tuple["xr.DataArray", Any]]:
    """Predict the weights of one day after another.

    The state of each day is handed to the next.

    Parameters
    ----------
    predict : callable
        `strategy.predict`: (models, data, state) to the weights of the last day and the next state.
    steps : iterable of (models, data)
        By day, in order: what `train_model` returned, or `KnownOutputs`, and the data that end on the day.
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


def last_outputs(models: Mapping[str, Any], data: "xr.DataArray", strategy: "Parameters") -> dict[str, float]:
    """Compute each model's output for the last day.

    Assets whose features are not finite are left out.
    """
    assets = _predicted(models, data, strategy)
    if not assets:
        return {}
    x, finite = model_inputs(data, strategy, assets)
    if not finite[:, -1].any():
        check_lookback_window(data, strategy, assets)
    check_model_window(data, strategy, "lookback_period")
    days = strategy.window or (x.shape[1] if strategy.whole_sequence else 1)
    values, there = panel_outputs(models, assets, x[:, -days:], finite[:, -days:], strategy)
    return {asset: float(values[k, -1]) for k, asset in enumerate(assets) if finite[k, -1] and there[k, -1]}


def _predicted(models: Mapping[str, Any], data: "xr.DataArray", strategy: "Parameters") -> list[str]:
    """Return the assets to predict.

    They have a model of their own or a pooled one. With `select_each_day` they are also selected today.
    """
    index = data.get_index("asset")
    if not models or not strategy.select_each_day:
        return [asset for asset in models if asset in index]
    selected = select_assets(data, strategy)
    return selected if strategy.scope == "pooled" else [asset for asset in selected if asset in models]


def panel_outputs(
    models: Mapping[str, Any], assets: Sequence[str], x: np.ndarray, known: np.ndarray, strategy: "Parameters"
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the models' outputs for a panel of features.

    The features are (asset, time, feature), and the outputs (asset, time). The second array is True where
    there are outputs. A model without a `window` sees the `known` days (asset, time) as one sequence from a
    zero state.
    """
    if isinstance(models, TrainedModels):
        x = models.scaled(assets, x)
    return outputs_by_kind(models, assets, x, known, strategy)


def outputs_by_kind(
    models: Mapping[str, Any], assets: Sequence[str], x: np.ndarray, known: np.ndarray, strategy: "Parameters"
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the outputs for features already standardised.

    The results are as in `panel_outputs`. If the features are to be standardised, this was done before.
    """
    shared = _shared(models, strategy)
    kind = _kind(models, strategy)
    values, there = np.full(known.shape, np.nan), np.zeros(known.shape, bool)
    held = np.array([shared is not None or asset in models for asset in assets], bool)
    known = known & held[:, None]
    if shared is None and not strategy.window and kind != "estimator":  # a sequence for each asset
        inputs = {asset: x[k][known[k]] for k, asset in enumerate(assets) if known[k].any()}
        found = model_outputs(models, inputs)
        for k, asset in enumerate(assets):
            if asset in found:
                values[k, known[k]] = found[asset]
        return _as_probabilities(values, kind, strategy), known
    function: Any = {"rule": rule_outputs, "estimator": estimator_outputs}.get(kind)
    if function is None:
        from lib.engine.torch_options import module_outputs as function
    each = (
        [(shared, slice(None))]
        if shared is not None
        else [(models[asset], slice(k, k + 1)) for k, asset in enumerate(assets) if held[k]]
    )
    for model, part in each:
        values[part], there[part] = function(model, x[part], known[part], strategy)
    return _as_probabilities(values, kind, strategy), there


def _as_probabilities(values: np.ndarray, kind: str, strategy: "Parameters") -> np.ndarray:
    """Return the outputs of a module as probabilities.

    The sigmoid is applied to the logits of a module that was trained with binary cross-entropy. Other values
    are returned unchanged.
    """
    if kind != "torch" or strategy.loss != "bce":
        return values
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-values))


def _shared(models: Mapping[str, Any], strategy: "Parameters") -> Any:
    """Return the model of all assets.

    The result is None where each asset has its own.
    """
    if strategy.scope == "asset" or not len(models):
        return None
    return models.shared if isinstance(models, TrainedModels) else next(iter(models.values()))


def _kind(models: Mapping[str, Any], strategy: "Parameters") -> str:
    if isinstance(models, TrainedModels):
        return kind_of(models.strategy)
    model = next(iter(models.values()), None)
    return "rule" if isinstance(model, Rule | Constant) else "estimator" if is_estimator(model) else "torch"


def model_outputs(models: Mapping[str, Any], inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Compute the output of each asset's own model.

    The result is by asset the output (time,) for a sequence (time, feature), from a zero state.
    """
    outputs = models.fast_outputs(inputs) if isinstance(models, TrainedModels) else {}
    others = {asset: models[asset] for asset in inputs if asset not in outputs}
    for asset, model in others.items():
        if isinstance(model, Rule | Constant):
            outputs[asset] = model(inputs[asset][None])[0]
    if any(asset not in outputs for asset in others):
        from lib.engine.torch_training import output_of

        outputs |= {
            asset: output_of(model, inputs[asset]) for asset, model in others.items() if asset not in outputs
        }
    return outputs


def weights_of_day(
    outputs: Mapping[str, float],
    models: Container[str],
    data: "xr.DataArray",
    state: State | None,
    strategy: "Parameters",
) -> tuple["xr.DataArray", State]:
    """Turn the models' outputs into weights and a state.

    The outputs and the weights are of the last day of `data`; the state is for the next day. Only the names
    of the assets in `models` count, and the last day of `data` unless the sizing takes data. Otherwise the
    function works like `predict`.
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
        older = not parameters.keys() <= state.parameters.keys()  # a record without later parameters
        carried_in = state.carried_into(day, parameters, strategy.defaults() if older else None)
        memory = state.memory_carried_into(day)
    missed = 0 if state is None else _later_days(days, state.date) - 1
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
    gone = sorted(set(carried_in).difference(assets))
    old = np.array([carried_in.get(asset, 0.0) for asset in [*assets, *gone]])
    may_trade = np.append(tradable(liquid, price), np.zeros(len(gone), bool))
    waited = _days_since_rebalance(state, days, strategy.rebalance_interval)
    positions = old
    if waited == 0:
        new = raw_weights(outputs, assets, liquid, models, strategy, data)
        positions = _positions(np.append(new, np.zeros(len(gone))), old, strategy)
    if strategy.min_change > 0 or strategy.rebalance_interval > 1:
        positions = np.where(may_trade, positions, 0.0)  # a position that was closed does not stay as it was

    held = {asset: w for asset, w in zip([*assets, *gone], positions.tolist(), strict=True) if w}
    next_state = State(day, held, dict(carried_in), parameters, memory, memory, waited)
    last_day = data.isel(field=0, time=slice(-1, None), drop=True)  # a slice: a list would copy the indexes
    weights = last_day.copy(deep=False, data=[np.where(may_trade, positions, 0.0)[: len(assets)]])
    return weights, next_state


def _days_since_rebalance(state: State | None, days: "pd.Index", interval: int) -> int:
    """Return the trading days since the last rebalance.

    They are counted to the last of `days`, and are 0 if this is a rebalance itself. A day that is run again
    is a rebalance if it was one before.
    """
    if state is None or interval == 1 or state.date > days.values[-1]:
        return 0
    later = _later_days(days, state.date)
    waited = state.days_since_rebalance + later
    return 0 if later and waited >= interval else waited


def _later_days(days: "pd.Index", day: np.datetime64) -> int:
    return len(days) - int(days.values.searchsorted(day, side="right"))


def _positions(new: np.ndarray, old: np.ndarray, strategy: "Parameters") -> np.ndarray:
    """Return the positions of a rebalance.

    They are computed from the raw weights and the positions before, both (asset,).
    """
    weights = blend(
        new,
        old,
        strategy.min_weight,
        strategy.max_weight,
        mean=strategy.blend == "mean",
        shorts=strategy.sizing != "as_output",
    )
    return without_small_changes(weights, old, new, strategy.min_change) if strategy.min_change else weights


def sizing_of(strategy: "Parameters") -> tuple[Callable, bool]:
    """Return the sizing of a strategy.

    The second value is True if the sizing takes the data of the lookback window.

    Raises
    ------
    TypeError
        It takes another number of arguments.
    """
    function = find("sizing", strategy.sizing, sizing)
    return function, sees_window(function)


def raw_weights(
    outputs: Mapping[str, float],
    assets: list[str],
    liquid: np.ndarray,
    models: Container[str],
    strategy: "Parameters",
    data: "xr.DataArray",
) -> np.ndarray:
    """Compute the raw weights (asset,) with the strategy's `sizing`.

    It is applied to the outputs of the liquid assets. `data` are (field, time, asset), for a sizing that
    takes them; it gets the assets that it sizes.

    A raw weight is 0 where an asset is not liquid or has no output. It is not finite where the output is not,
    and NaN, as published, where an asset with a model has no data that day. Such an asset is not held, even
    if it was before.

    Raises
    ------
    ValueError
        The sizing does not return one number for each output, or a negative one in a long-only competition.
    """
    new = np.where(liquid > 0, [outputs.get(asset, 0.0) for asset in assets], 0.0)
    sized = (liquid > 0) & np.isfinite(new) & [asset in outputs for asset in assets]
    if sized.any():
        function, takes_data = sizing_of(strategy)
        window = (data.isel(asset=np.flatnonzero(sized)),) if takes_data else ()
        raw = np.asarray(function(new[sized], *window, strategy))
        if raw.shape != (sized.sum(),) or raw.dtype.kind not in "fiub":
            raise WrongValueError(
                f"sizing {name_of(function)} must return one number for each of the {sized.sum()} outputs "
                f"given, not an array of {raw.dtype} with shape {raw.shape}."
            )
        if strategy.sizing != "as_output":
            check_shorts(function, raw, strategy)
        new[sized] = raw
    new[np.isnan(liquid) & [asset in models for asset in assets]] = np.nan
    return new


def blend(
    new: np.ndarray,
    old: np.ndarray,
    min_weight: float,
    max_weight: float,
    mean: bool = True,
    shorts: bool = False,
) -> np.ndarray:
    """Blend today's raw weights with yesterday's weights.

    Both are (asset,) in the same order. With `mean` the mean of both is taken where there was a position,
    else the raw weight. A weight becomes 0 where its absolute value is below `min_weight`, or, without
    `shorts`, where the weight itself is. The absolute values are scaled to a sum of at most 1, then cut at
    `max_weight`. An asset without a finite raw weight is not held, even if it was before.
    """
    weights = np.where(old == 0, new, (new + old) / 2) if mean else new
    size = np.abs(weights) if shorts else weights
    weights = np.where(np.isfinite(weights) & (size >= min_weight), weights, 0.0)
    return np.clip(weights / max(np.abs(weights).sum(), 1.0), -max_weight, max_weight)


def without_small_changes(
    weights: np.ndarray, old: np.ndarray, new: np.ndarray, min_change: float
) -> np.ndarray:
    """Replace small changes of weights by the old weights.

    The old weight stays where the change is smaller than `min_change`. All arrays are (asset,).

    An asset whose raw weight in `new` is 0 or not finite is closed instead, since it would stay for ever.
    Where the old weights that stay leave less than the others need, the others share the rest of the capital
    in proportion.
    """
    small = np.abs(weights - old) < min_change
    stays = small & np.isfinite(new) & (new != 0)
    weights = np.where(stays, old, np.where(small, 0.0, weights))
    needed, room = np.abs(weights[~stays]).sum(), max(1 - np.abs(old[stays]).sum(), 0.0)
    return np.where(stays, old, weights * (room / needed)) if needed > room else weights
