"""Data in, one trained model per asset out, with a report of how it went."""

import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from lib import kernel, parameters
from lib.features import feature_values, get_target_classes
from lib.lbfgs import Lbfgs
from lib.strategy import Strategy
from lib.trained_models import Fit, Models, equally_long
from lib.universe import check_data, select_assets

if TYPE_CHECKING:
    import torch
    import xarray as xr

ASSETS_AT_ONCE = 16  # what the kernel works on together: more would leave the processor's cache


class TrainingWarning(UserWarning):
    """An asset was left out because its model could not be trained."""


def train_model(data: "xr.DataArray", strategy: Strategy | None = None) -> Models:
    """Select assets and train a model for each, all from the same initial weights.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset); all its days are the training window.
    strategy : Strategy
        Default: the published one.

    Returns
    -------
    Models
        By asset, in the order of `data`; empty where nothing is liquid. An asset without a day on which all
        features and the target are finite, or whose training diverges, gets no model and a `TrainingWarning`.

    Raises
    ------
    ValueError
        `data` is not in the platform's layout, or a feature, target or selection answers what it must not.
    """
    strategy = strategy or Strategy()
    data = check_data(data)
    started = time.perf_counter()
    assets = select_assets(data, strategy)
    days = data.time.values[[0, -1]].astype("M8[D]")
    models = Models(strategy, tuple(days))
    if assets:
        examples = _examples(data.sel(asset=assets), strategy)
        fit = _fit_with_kernel if uses_kernel(strategy) else _fit_with_torch
        fitted = fit({asset: xy for asset, xy in examples.items() if len(xy[1])}, strategy)
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


def uses_kernel(strategy: Strategy) -> bool:
    """Whether the model is the published one, which `lib.kernel` states."""
    return strategy.model == "LSTM" and kernel.states_model()


def sequences(data: "xr.DataArray", strategy: Strategy) -> tuple[np.ndarray, np.ndarray]:
    """Features as models take them, (asset, time, feature) float32; and whether a day's are all finite."""
    with np.errstate(over="ignore"):
        x = np.ascontiguousarray(feature_values(data, strategy).transpose(2, 1, 0), dtype=np.float32)
    return x, np.asarray(np.isfinite(x).all(axis=2))


def _examples(data: "xr.DataArray", strategy: Strategy) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By asset the sequence (time, feature) and the target (time,), days without a finite value left out."""
    x, known = sequences(data, strategy)
    y = get_target_classes(data, strategy).values.T.astype(np.float32)
    known = known & np.isfinite(y)
    return {asset: (x[k][known[k]], y[k][known[k]]) for k, asset in enumerate(data.asset.values.tolist())}


def _add(
    models: Models, asset: str, model: Any, losses: tuple, output: np.ndarray, target: np.ndarray
) -> str:
    """Put a model and its report among `models`; or say why not."""
    if model is None:
        return "no day of the training window has all features and the target"
    with np.errstate(all="ignore"):  # a loss that overflows is not finite, and said to be so
        after = float(np.mean((output - target) ** 2))
    if not np.isfinite([*losses, after]).all():
        return f"its training diverged: the loss is not finite. {_SMALLER}"
    if after > max(1.0, losses[0]):  # 1: as if every class was called wrong
        return f"its training diverged: the loss rose from {losses[0]:.3g} to {after:.3g}. {_SMALLER}"
    risen = target > 0.5
    fit = Fit(
        losses=losses,
        loss_after=after,
        hit_rate=float(np.mean((output > 0.5) == risen)),
        base_rate=float(max(risen.mean(), 1 - risen.mean())),
        days=len(target),
    )
    models.add(asset, model, fit)
    return ""


_SMALLER = "A smaller learning_rate may help"


def _fit_with_kernel(examples: dict[str, tuple], strategy: Strategy) -> dict[str, tuple]:
    """By asset the parameters, the losses and the output after; assets with as many days go together."""
    fitted: dict[str, tuple] = {}
    for alike in equally_long({asset: x for asset, (x, _) in examples.items()}):
        for k in range(0, len(alike), ASSETS_AT_ONCE):
            assets = alike[k : k + ASSETS_AT_ONCE]
            x, y = (np.stack([examples[asset][part] for asset in assets]) for part in (0, 1))
            fitted.update(zip(assets, _fit_together(x, y, strategy), strict=True))
    return fitted


@kernel.one_thread
def _fit_together(x: np.ndarray, y: np.ndarray, strategy: Strategy) -> list[tuple]:
    hidden = strategy.hidden_size
    start = parameters.initial_parameters(x.shape[2], hidden, strategy.seed)
    rows = np.repeat(parameters.from_torch(start, x.shape[2], hidden)[None], len(x), axis=0)
    runs = [Lbfgs(row, strategy.learning_rate, strategy.epochs) for row in rows]
    with np.errstate(all="ignore"):  # a training that diverges is noticed by its loss
        while active := [k for k, run in enumerate(runs) if not run.done]:
            chosen = slice(None) if len(active) == len(runs) else active  # a slice takes no copy
            losses, gradients = kernel.loss_and_gradient(rows[chosen], x[chosen], y[chosen], hidden)
            for k, loss, gradient in zip(active, losses, gradients, strict=True):
                runs[k].step(loss, gradient)
        output = kernel.outputs(rows, x, hidden)
    return [(row.copy(), tuple(run.losses), out) for row, run, out in zip(rows, runs, output, strict=True)]


def _fit_with_torch(examples: dict[str, tuple], strategy: Strategy) -> dict[str, tuple]:
    """As `_fit_with_kernel`, for any model."""
    import torch

    from lib.model import get_model

    fitted = {}
    for asset, (x, y) in examples.items():
        model = get_model(strategy)
        inputs, target = torch.from_numpy(x)[None], torch.from_numpy(y)[None]
        optimiser = torch.optim.LBFGS(model.parameters(), lr=strategy.learning_rate)
        losses: list[float] = []

        def closure(model=model, optimiser=optimiser, inputs=inputs, target=target, losses=losses):
            optimiser.zero_grad()
            loss = torch.nn.functional.mse_loss(_output(model, inputs), target)
            loss.backward()
            losses.append(loss.item())
            return loss

        for _ in range(strategy.epochs):
            optimiser.step(closure)
        model.eval()
        with torch.no_grad():
            output = _output(model, inputs)[0].numpy()
        fitted[asset] = (model, tuple(losses), output)
    return fitted


def _output(model: Any, inputs: "torch.Tensor") -> "torch.Tensor":
    output = model(inputs)
    if output.shape != inputs.shape[:2]:
        raise ValueError(
            f"the model must answer one number per day, shape {tuple(inputs.shape[:2])}, "
            f"not {tuple(output.shape)}."
        )
    return output
