"""Training: from data to one trained model per asset, with a report of each fit."""

import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lib.common.market_data import check_data
from lib.engine import fast_training, published
from lib.engine.constant import MODELS
from lib.engine.inputs import get_target_classes, model_inputs, select_assets
from lib.engine.models import Fit, TrainedModels
from lib.engine.warm_up import check_training_window

if TYPE_CHECKING:
    import xarray as xr

    from lib.strategy import Strategy

ADVICE = "A smaller learning_rate may help"


class TrainingWarning(UserWarning):
    """An asset was left out because its model could not be trained."""


class TrainingSet(NamedTuple):
    """The examples of one training window: the selected assets, and the sequence and target of each."""

    window: tuple[np.datetime64, np.datetime64]  # first and last day
    assets: list[str]
    examples: dict[str, tuple[np.ndarray, np.ndarray]]


def train_model(data: "xr.DataArray", strategy: "Strategy") -> TrainedModels:
    """Select assets and train a model for each, all from the same initial weights.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset); all its days are the training window.
    strategy : Strategy

    Returns
    -------
    TrainedModels
        By asset, in the order of `data`; empty where nothing is liquid. An asset without a day on which all
        features and the target are finite, or whose training diverges, gets no model and a `TrainingWarning`.

    Raises
    ------
    ValueError
        `data` is not in the platform's layout, or a feature, target or selection returns an array of the
        wrong form.
    """
    started = time.perf_counter()
    (models,) = train_sets([training_set_of(data, strategy)], strategy)
    models.seconds = time.perf_counter() - started
    for asset, reason in models.dropped.items():
        warnings.warn(
            f"{asset} is left out until the next training: {reason}.", TrainingWarning, stacklevel=2
        )
    return models


def training_set_of(data: "xr.DataArray", strategy: "Strategy") -> TrainingSet:
    """Apply the strategy's selection, features and target to a training window; errors as `train_model`."""
    data = check_data(data)
    assets = select_assets(data, strategy)
    first, last = data.time.values[[0, -1]].astype("M8[D]")
    return TrainingSet((first, last), assets, training_examples(data, strategy, assets) if assets else {})


def training_examples(
    data: "xr.DataArray", strategy: "Strategy", assets: list[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Compute by asset the sequence (time, feature) and the target (time,), float32, without unknown days."""
    x, known = model_inputs(data, strategy, assets)
    check_training_window(x, data, strategy, assets)
    y = get_target_classes(data, strategy, assets).values.T.astype(np.float32)
    known = known & np.isfinite(y)
    return {asset: (x[k][known[k]], y[k][known[k]]) for k, asset in enumerate(assets)}


def train_sets(training_sets: Sequence[TrainingSet], strategy: "Strategy") -> list[TrainedModels]:
    """Train the models of several windows, which share the calls of the published network.

    A model has the same bits as if its window had been trained alone; a batched product in torch does not
    promise that, so there the windows take turns. `seconds` is the mean of all windows; nothing is warned of.
    """
    started = time.perf_counter()
    examples = [
        {(k, asset): xy for asset, xy in training_set.examples.items() if len(xy[1])}
        for k, training_set in enumerate(training_sets)
    ]
    if len(training_sets) > 1 and not published.needs_torch(strategy):
        examples = [{key: xy for part in examples for key, xy in part.items()}]
    fitted = {key: fit for part in examples if part for key, fit in _fit(part, strategy).items()}
    trained = []
    for k, training_set in enumerate(training_sets):
        models = TrainedModels(strategy, training_set.window)
        for asset in training_set.assets:
            model, losses, output = fitted.get((k, asset), (None, (), np.empty(0)))
            reason = _add(models, asset, model, losses, output, training_set.examples[asset][1])
            if reason:
                models.dropped[asset] = reason
        trained.append(models)
    for models in trained:
        models.seconds = (time.perf_counter() - started) / len(trained)
    return trained


def _fit(examples: dict[Any, tuple], strategy: "Strategy") -> dict[Any, tuple]:
    """By key of `examples`, such as an asset, the trained model, the losses and the output after training."""
    if strategy.model in MODELS:
        model = MODELS[strategy.model]()
        return {key: (model, (), model(x)) for key, (x, _) in examples.items()}
    if published.is_published(strategy):
        return fast_training.fit(examples, strategy)
    from lib.engine import torch_training

    return torch_training.fit(examples, strategy)


def _add(
    models: TrainedModels, asset: str, model: Any, losses: tuple, output: np.ndarray, target: np.ndarray
) -> str:
    """Add a model and its report to `models`, or return why it is left out."""
    if model is None:
        return "no day of the training window has all features and the target"
    with np.errstate(all="ignore"):  # a loss that overflows is reported as not finite
        after = float(np.mean((output - target) ** 2))
    if not np.isfinite([*losses, after]).all():
        return f"its training diverged: the loss is not finite. {ADVICE}"
    if after > max([1.0, *losses[:1]]):  # 1: as if every class was called wrong
        return f"its training diverged: the loss rose from {losses[0]:.3g} to {after:.3g}. {ADVICE}"
    risen = target > 0.5
    fit = Fit(
        losses=losses,
        loss_after=after,
        accuracy=float(np.mean((output > 0.5) == risen)),
        majority_accuracy=float(max(risen.mean(), 1 - risen.mean())),
        days=len(target),
    )
    models.add(asset, model, fit)
    return ""
