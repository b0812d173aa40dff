"""Training: from data to one trained model per asset, with a report of each fit."""

import time
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.engine import lstm
from lib.engine.examples import TrainingSet, in_chunks, stacked, training_set_of
from lib.engine.lbfgs import minimise
from lib.engine.models import MODELS, Fit, TrainedModels, needs_torch

if TYPE_CHECKING:
    import xarray as xr

    from lib.parameters import Parameters

TOGETHER = 16  # most assets of one call: more would leave the processor's cache


class TrainingWarning(UserWarning):
    """An asset was left out because its model could not be trained."""


class FeatureWarning(UserWarning):
    """A feature has no value on most days of the training window."""


def train_model(data: "xr.DataArray", strategy: "Parameters") -> TrainedModels:
    """Select assets and train a model for each, all from the same initial weights.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset); all its days are the training window.
    strategy : Parameters

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
    training_set = training_set_of(data, strategy)
    (models,) = train_sets([training_set], strategy)
    models.seconds = time.perf_counter() - started
    for sentence in training_set.warnings:
        key = sentence.partition(" has ")[0], strategy.train_period
        if key not in _warned:  # the sentences of other windows differ by a day
            _warned.add(key)
            warnings.warn(sentence, FeatureWarning, stacklevel=2)
    for asset, reason in models.dropped.items():
        warnings.warn(
            f"{asset} is left out until the next training: {reason}.", TrainingWarning, stacklevel=2
        )
    return models


_warned: set[tuple[str, int]] = set()


def train_sets(training_sets: Sequence[TrainingSet], strategy: "Parameters") -> list[TrainedModels]:
    """Train the models of several windows, which share the calls of the published network.

    A model has the same bits as if its window had been trained alone; a batched product in torch does not
    promise that, so there the windows take turns. `seconds` is the mean of all windows; nothing is warned of.
    """
    started = time.perf_counter()
    examples = [
        {(k, asset): xy for asset, xy in training_set.examples.items() if len(xy[1])}
        for k, training_set in enumerate(training_sets)
    ]
    if len(training_sets) > 1 and not needs_torch(strategy):
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


def _fit(examples: dict[Any, tuple], strategy: "Parameters") -> dict[Any, tuple]:
    """Train by key of `examples`: return the model, the losses and the output afterwards."""
    if strategy.model in MODELS:
        model = MODELS[strategy.model]()
        return {key: (model, (), model(x)) for key, (x, _) in examples.items()}
    if lstm.is_published(strategy):
        return _fit_published(examples, strategy)
    from lib.engine import torch_training

    return torch_training.fit(examples, strategy)


def _fit_published(examples: Mapping[Any, tuple], strategy: "Parameters") -> dict[Any, tuple]:
    """Train the published network: return by asset the parameters, the losses and the output afterwards.

    `examples` are by asset the sequence (time, feature) and the target (time,), float32; so is the output. A
    model has the same bits whichever others are trained, and in whichever process.
    """
    fit_part = partial(
        _fit_together,
        hidden=strategy.hidden_size,
        seed=strategy.seed,
        learning_rate=strategy.learning_rate,
        epochs=strategy.epochs,
    )
    fitted: dict[Any, tuple] = {}
    for assets, x, y in stacked(examples):
        fitted.update(zip(assets, in_chunks(fit_part, x, y, TOGETHER), strict=True))
    return fitted


@lstm.one_thread
def _fit_together(
    x: np.ndarray, y: np.ndarray, hidden: int, seed: int, learning_rate: float, epochs: int
) -> list[tuple]:
    start = lstm.initial_parameters(x.shape[2], hidden, seed)
    rows = np.repeat(lstm.from_torch(start, x.shape[2], hidden)[None], len(x), axis=0)
    losses = minimise(
        rows,
        lambda active, chosen: lstm.loss_and_gradient(chosen, x[active], y[active], hidden),
        learning_rate,
        epochs,
    )
    with np.errstate(all="ignore"):  # a training that diverges is recognised by its loss
        output = lstm.outputs(rows, x, hidden)
    return [
        (row.copy(), tuple(of_asset), out) for row, of_asset, out in zip(rows, losses, output, strict=True)
    ]


def _largest_loss(first: float, target: np.ndarray) -> float:
    """Return the loss above which a training did not converge.

    Four times the better of the first loss and that of a constant. For classes it is 1, the loss where every
    class is predicted wrong.
    """
    if target.min() >= 0 and target.max() <= 1:
        return 1.0
    constant = float(np.var(target))
    return 4 * (min(first, constant) if constant else first)


def _add(
    models: TrainedModels, asset: str, model: Any, losses: tuple, output: np.ndarray, target: np.ndarray
) -> str:
    """Add a model and its report to `models`, or return why it is left out."""
    if model is None:
        return "no day of the training window has all features and the target"
    with np.errstate(all="ignore"):  # a loss that overflows is reported as not finite
        after = float(np.mean((output - target) ** 2))
    if not np.isfinite([*losses, after]).all():
        return "its training diverged: the loss is not finite. A smaller learning_rate may help"
    if losses and after > _largest_loss(losses[0], target):
        return (
            f"its training did not converge: the loss went from {losses[0]:.3g} to {after:.3g}, and that of "
            f"a constant is {np.var(target):.3g}. A smaller learning_rate or more epochs may help"
        )
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
