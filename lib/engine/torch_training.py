"""Training and inference of any model in torch, one model per asset."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from lib.choices import find
from lib.model import model as models_by_name

if TYPE_CHECKING:
    from lib.strategy import Strategy


@contextmanager
def seeded(strategy: "Strategy") -> Iterator[None]:
    """Torch's random numbers from the strategy's seed; the caller's generators stay as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(strategy.seed)
        yield


def new_model(strategy: "Strategy") -> nn.Module:
    """A model before training: the same initial weights for every asset, drawn from the strategy's seed."""
    with seeded(strategy):
        return _new_model(strategy)


def _new_model(strategy: "Strategy") -> nn.Module:
    return find("model", strategy.model, models_by_name)(len(strategy.features), strategy)


def fit(examples: dict[str, tuple], strategy: "Strategy") -> dict[str, tuple]:
    """By asset the trained model, the losses before each step, and the output (time,) after training.

    `examples` are by asset the sequence (time, feature) and the target (time,), float32. Each asset's
    training draws its random numbers, those of dropout included, from the strategy's seed alone, so that it
    is the same whichever other assets are trained, and when it is repeated.
    """
    return {asset: _fit_one(x, y, strategy) for asset, (x, y) in examples.items()}


def _fit_one(x: np.ndarray, y: np.ndarray, strategy: "Strategy") -> tuple:
    inputs, target = torch.from_numpy(x)[None], torch.from_numpy(y)[None]
    losses: list[float] = []
    with seeded(strategy):
        model = _new_model(strategy).train()
        optimiser = torch.optim.LBFGS(model.parameters(), lr=strategy.learning_rate)

        def closure() -> torch.Tensor:
            optimiser.zero_grad()
            loss = nn.functional.mse_loss(_output(model, inputs), target)
            loss.backward()
            losses.append(loss.item())
            return loss

        for _ in range(strategy.epochs):
            optimiser.step(closure)
    return model, tuple(losses), answer(model, x)


def answer(model: Any, x: np.ndarray) -> np.ndarray:
    """The answer (time,) of a model, in evaluation mode, to a sequence (time, feature) float32."""
    if isinstance(model, nn.Module):
        model.eval()
    with torch.no_grad():
        return _output(model, torch.from_numpy(x)[None])[0].numpy()


def _output(model: Any, inputs: torch.Tensor) -> torch.Tensor:
    output = model(inputs)
    if output.shape != inputs.shape[:2]:
        raise ValueError(
            f"the model must return one number per day, shape {tuple(inputs.shape[:2])}, "
            f"not {tuple(output.shape)}."
        )
    return output
