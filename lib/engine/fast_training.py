"""Training of the published network in numpy: all assets in step, on several cores."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.engine import cores, fast_lstm
from lib.engine.inputs import stacked
from lib.engine.lbfgs import minimise

if TYPE_CHECKING:
    from lib.strategy import Strategy

TOGETHER = 16  # most assets of one call


def fit(examples: Mapping[Any, tuple], strategy: "Strategy") -> dict[Any, tuple]:
    """By asset the row of trained parameters, the losses before each step, and the output after training.

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
        size = fast_lstm.number_of_parameters(x.shape[2], strategy.hidden_size)
        at_least = cores.fewest_rows(size, days=x.shape[1])
        results = cores.spread(fit_part, x, y, at_once=TOGETHER, at_least=at_least, keep=True)
        fitted.update(zip(assets, results, strict=True))
    return fitted


@fast_lstm.one_thread
def _fit_together(
    x: np.ndarray, y: np.ndarray, hidden: int, seed: int, learning_rate: float, epochs: int
) -> list[tuple]:
    start = fast_lstm.initial_parameters(x.shape[2], hidden, seed)
    rows = np.repeat(fast_lstm.from_torch(start, x.shape[2], hidden)[None], len(x), axis=0)
    losses = minimise(
        rows,
        lambda active, chosen: fast_lstm.loss_and_gradient(chosen, x[active], y[active], hidden),
        learning_rate,
        epochs,
    )
    with np.errstate(all="ignore"):  # a training that diverges is recognised by its loss
        output = fast_lstm.outputs(rows, x, hidden)
    return [
        (row.copy(), tuple(of_asset), out) for row, of_asset, out in zip(rows, losses, output, strict=True)
    ]
