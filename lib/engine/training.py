"""Training: from data to one trained model per asset, with a report of each fit."""

import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.engine import cores, fast_lstm
from lib.engine.constant import MODELS
from lib.engine.inputs import select_assets, stacked, training_examples
from lib.engine.lbfgs import minimise
from lib.engine.models import Fit, TrainedModels
from lib.market_data import check_data

if TYPE_CHECKING:
    import xarray as xr

    from lib.strategy import Strategy

ASSETS_AT_ONCE = 16  # of one call
ADVICE = "A smaller learning_rate may help"


class TrainingWarning(UserWarning):
    """An asset was left out because its model could not be trained."""


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
    data = check_data(data)
    started = time.perf_counter()
    assets = select_assets(data, strategy)
    days = data.time.values[[0, -1]].astype("M8[D]")
    models = TrainedModels(strategy, tuple(days))
    if assets:
        examples = training_examples(data, strategy, assets)
        fitted = _fit({asset: xy for asset, xy in examples.items() if len(xy[1])}, strategy)
        for asset in assets:
            model, losses, output = fitted.get(asset, (None, (), np.empty(0)))
            reason = _add(models, asset, model, losses, output, examples[asset][1])
            if reason:
                models.dropped[asset] = reason
                warnings.warn(
                    f"{asset} is left out until the next training: {reason}.", TrainingWarning, stacklevel=2
                )
    models.seconds = time.perf_counter() - started
    return models


def _fit(examples: dict[str, tuple], strategy: "Strategy") -> dict[str, tuple]:
    """By asset the trained model, the losses and the output after training."""
    if strategy.model in MODELS:
        model = MODELS[strategy.model]()
        return {asset: (model, (), model(x)) for asset, (x, _) in examples.items()}
    if fast_lstm.is_published(strategy):
        return _fit_published(examples, strategy)
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


def _fit_published(examples: dict[str, tuple], strategy: "Strategy") -> dict[str, tuple]:
    """As `_fit`, each model as its row of parameters."""
    fitted: dict[str, tuple] = {}
    for assets, x, y in stacked(examples):
        results = cores.spread(partial(_fit_together, strategy), x, y, at_once=ASSETS_AT_ONCE)
        fitted.update(zip(assets, results, strict=True))
    return fitted


@fast_lstm.one_thread
def _fit_together(strategy: "Strategy", x: np.ndarray, y: np.ndarray) -> list[tuple]:
    hidden = strategy.hidden_size
    start = fast_lstm.initial_parameters(x.shape[2], hidden, strategy.seed)
    rows = np.repeat(fast_lstm.from_torch(start, x.shape[2], hidden)[None], len(x), axis=0)
    losses = minimise(
        rows,
        lambda active, chosen: fast_lstm.loss_and_gradient(chosen, x[active], y[active], hidden),
        strategy.learning_rate,
        strategy.epochs,
    )
    with np.errstate(all="ignore"):  # a training that diverges is recognised by its loss
        output = fast_lstm.outputs(rows, x, hidden)
    return [
        (row.copy(), tuple(of_asset), out) for row, of_asset, out in zip(rows, losses, output, strict=True)
    ]
