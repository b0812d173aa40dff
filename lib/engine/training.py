"""Training: from data to models, with a report of each fit.

There is one model per asset, or one for all.
"""

import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lib.engine import lstm
from lib.engine.inputs import TrainingSet, in_chunks, stacked, training_set_of
from lib.engine.lbfgs import minimise
from lib.engine.learners import (
    fit_estimator,
    has_options,
    is_classifier,
    is_published,
    kind_of,
    new_rule,
    rows_of,
)
from lib.engine.models import Fit, TrainedModels
from lib.engine.prediction import outputs_by_kind

if TYPE_CHECKING:
    import xarray as xr

    from lib.parameters import Parameters

TOGETHER = 16  # most assets of one call: more would leave the processor's cache


class TrainingWarning(UserWarning):
    """A warning about an asset that was left out.

    Its model could not be trained.
    """


class FeatureWarning(UserWarning):
    """A warning about a feature with few values.

    The feature has no value on most days of the training window.
    """


def train_model(data: "xr.DataArray", strategy: "Parameters") -> TrainedModels:
    """Select assets and train their models.

    Each asset has a model of its own, all from the same initial weights, or all assets share one model.

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


class Fitted(NamedTuple):
    """A trained model with its outputs in training.

    The outputs are of the days trained on.
    """

    model: Any
    losses: tuple[float, ...]
    output: np.ndarray  # (day,)
    target: np.ndarray  # (day,)
    validation_losses: tuple[float, ...] = ()


NO_DAYS = "no day of the training window has all features and the target"
NO_WINDOW = "no day of the training window has all features on it and on the other days of its `window`"


def train_windows(windows: "Iterable[xr.DataArray]", strategy: "Parameters") -> list[TrainedModels]:
    """Train the models of several windows of data.

    The windows are (field, time, asset); see `train_sets`.
    """
    return train_sets([training_set_of(window, strategy) for window in windows], strategy)


def train_sets(training_sets: Sequence[TrainingSet], strategy: "Parameters") -> list[TrainedModels]:
    """Train the models of several training sets.

    The windows share the calls of the published network. A model has the same bits as if its window had been
    trained alone; a batched product in torch does not promise that, so there the windows take turns.
    `seconds` is the mean of all windows. No warnings are issued.
    """
    started = time.perf_counter()
    trained = [TrainedModels(strategy, training_set.window) for training_set in training_sets]
    sets = [_scaled(*pair, strategy) for pair in zip(training_sets, trained, strict=True)]
    if is_published(strategy):
        fitted = _fit_sets(sets, strategy)
    else:
        fitted = [_fit_others(each, strategy) if each.known.any() else {} for each in sets]
    for training_set, models, by_asset in zip(sets, trained, fitted, strict=True):
        for k, asset in enumerate(training_set.assets):
            absent = NO_WINDOW if training_set.known[k].any() else NO_DAYS
            result = by_asset.get(asset, absent)
            if isinstance(result, Fitted):
                result = _add(models, asset, result, strategy)
            if result:
                models.dropped[asset] = result
    for models in trained:
        models.seconds = (time.perf_counter() - started) / len(trained)
    return trained


def _scaled(training_set: TrainingSet, models: TrainedModels, strategy: "Parameters") -> TrainingSet:
    """Standardise the features of a training set.

    They stay as they are unless the strategy has `scale`. The mean and the deviation are computed from the
    asset's known days or, for a pooled model, from the known days of all assets. They are stored in `models`.
    A feature that never changes becomes 0.
    """
    if not strategy.scale:
        return training_set
    x, known = training_set.x, training_set.known
    if strategy.scope == "pooled":
        models.shared_scale = _moments(x[known]) if known.any() else None
    else:
        parts = zip(training_set.assets, x, known, strict=True)
        models.scales = {asset: _moments(of[days]) for asset, of, days in parts if days.any()}
    return training_set._replace(x=models.scaled(training_set.assets, x))


def _moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and standard deviation of features.

    Both are (feature,), float64, of rows (row, feature). A deviation of 0 is replaced by 1.
    """
    mean, deviation = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    return mean, np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)


def _fit_sets(sets: Sequence[TrainingSet], strategy: "Parameters") -> list[dict[str, Fitted | str]]:
    """Train the published network for all windows together.

    The results are by window and asset.
    """
    examples = {
        (number, asset): xy
        for number, training_set in enumerate(sets)
        for asset, xy in training_set.examples.items()
        if len(xy[1])
    }
    found: list[dict[str, Fitted | str]] = [{} for _ in sets]
    for (number, asset), result in _fit_published(examples, strategy).items():
        model, losses, output = result
        found[number][asset] = Fitted(model, losses, output, examples[number, asset][1])
    return found


def _fit_others(training_set: TrainingSet, strategy: "Parameters") -> dict[str, Fitted | str]:
    """Train models other than the published network.

    The result is by asset the trained model, or the reason why there is none.
    """
    kind, assets, known = kind_of(strategy), training_set.assets, training_set.known
    if kind == "torch" and not has_options(strategy):
        from lib.engine.torch_training import fit

        examples = {asset: xy for asset, xy in training_set.examples.items() if len(xy[1])}
        trained = fit(examples, strategy)
        targets = {asset: target for asset, (_, target) in examples.items()}
        return {asset: Fitted(*trained[asset], targets[asset]) for asset in trained}  # type: ignore[call-arg]
    found: dict[str, Any] = {}  # by asset the model with its losses and those in validation, or the reason
    if kind == "rule":
        found = dict.fromkeys(assets, (new_rule(strategy), (), ()))
    elif kind == "estimator":
        found = _fit_estimators(training_set, strategy)
    else:
        from lib.engine.torch_training import fit_panel

        found = fit_panel(training_set, strategy)
    models = {asset: result[0] for asset, result in found.items() if not isinstance(result, str)}
    outputs, there = outputs_by_kind(models, assets, training_set.x, known, strategy)
    usable = known & there & np.isin(assets, list(models))[:, None]
    fitted: dict[str, Fitted | str] = {name: why for name, why in found.items() if isinstance(why, str)}
    for asset, output, target, days in zip(assets, outputs, training_set.y, usable, strict=True):
        if days.any():
            model, losses, validation = found[asset]
            fitted[asset] = Fitted(model, losses, output[days], target[days], validation)
    if strategy.scope == "pooled" and usable.any():
        losses = next(result.losses for result in fitted.values() if isinstance(result, Fitted))
        reason = _divergence(losses, outputs[usable], training_set.y[usable], strategy)
        if reason:
            fitted |= dict.fromkeys(models, reason)
    return fitted


def _fit_estimators(training_set: TrainingSet, strategy: "Parameters") -> dict[str, Any]:
    """Train the estimators of a training set.

    The result is by asset the estimator with empty losses, or the reason why there is none. An asset without
    a row of features has no result.
    """
    assets, x, known, y = training_set.assets, training_set.x, training_set.known, training_set.y
    pooled = strategy.scope == "pooled"
    found: dict[str, Any] = {}
    for group in [list(range(len(x)))] if pooled else [[k] for k in range(len(x))]:
        rows, there = rows_of(x[group], known[group], max(strategy.window, 1))
        if not len(rows):
            continue
        target = y[group].T[there.T]
        result: Any = f"its target is {target[0]:g} on every day, and a classifier needs two classes"
        if len(np.unique(target)) > 1 or not is_classifier(strategy):
            result = fit_estimator(strategy, rows, target), (), ()
        found |= dict.fromkeys((assets[k] for k in group), result)
    return found


def _fit_published(examples: Mapping[Any, tuple], strategy: "Parameters") -> dict[Any, tuple]:
    """Train the published network for each asset.

    The result is by asset the parameters, the losses and the output afterwards. `examples` are by asset the
    sequence (time, feature) and the target (time,), float32; so is the output. A model has the same bits
    whichever others are trained, and in whichever process.
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


def _divergence(
    losses: tuple[float, ...], output: np.ndarray, target: np.ndarray, strategy: "Parameters"
) -> str:
    """Return the reason why a training is not used.

    The reason is empty if the training converged. The mean squared error afterwards is compared with four
    times the better of the first loss and of a constant. For classes the limit is 1, the error where every
    class is predicted wrong.
    """
    with np.errstate(all="ignore"):  # a loss that overflows is reported as not finite
        after = float(np.mean((output - target) ** 2))
    if not np.isfinite([*losses, after]).all():
        return "its training diverged: the loss is not finite. A smaller learning_rate may help"
    constant = float(np.var(target))
    first = losses[0] if losses and strategy.loss == "mse" else constant
    largest = 4 * (min(first, constant) if constant else first)
    if target.min() >= 0 and target.max() <= 1:
        largest = 1.0
    if losses and after > largest:
        return (
            f"its training did not converge: the loss went from {losses[0]:.3g} to {after:.3g}, and that of "
            f"a constant is {constant:.3g}. A smaller learning_rate or more epochs may help"
        )
    return ""


def _add(models: TrainedModels, asset: str, fitted: Fitted, strategy: "Parameters") -> str:
    """Add a trained model and its report to `models`.

    The result is the reason why the model is left out, or empty if it was added.
    """
    model, losses, output, target, validation = fitted
    if strategy.scope == "asset":
        reason = _divergence(losses, output, target, strategy)
        if reason:
            return reason
    risen = target > 0.5
    fit = Fit(
        losses=losses,
        loss_after=float(np.mean((output - target) ** 2)),
        accuracy=float(np.mean((output > 0.5) == risen)),
        majority_accuracy=float(max(risen.mean(), 1 - risen.mean())),
        days=len(target),
        validation_losses=validation,
    )
    models.add(asset, model, fit)
    return ""
