"""L-BFGS without line search on a numpy vector, step for step as `torch.optim.LBFGS` takes it.

Torch's optimiser spends as much time on its bookkeeping as `fast_lstm` on its evaluations.

Source: Nocedal and Wright, Numerical Optimization, algorithm 7.4 (the two loops); constants and order of
tests from torch.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

# numbers of rows, rows (rows, size) -> losses (rows,), gradients (rows, size)
Evaluate = Callable[[Any, np.ndarray], tuple[np.ndarray, np.ndarray]]
MAX_ITERATIONS, HISTORY = (
    20,
    100,
)  # torch's defaults; its 25 evaluations are never reached without line search
TOLERANCE_GRADIENT, TOLERANCE_CHANGE, MIN_CURVATURE = 1e-7, 1e-9, 1e-10


class Lbfgs:
    """One minimisation, which takes losses and gradients and moves `x` until `done`.

    Parameters
    ----------
    x : np.ndarray, (size,), float32 or float64
        Starting point; moved in place.
    learning_rate : float
        Length of a step.
    epochs : int
        Number of calls of `torch.optim.LBFGS.step`: up to 20 iterations each, with one shared history.
    """

    def __init__(self, x: np.ndarray, learning_rate: float, epochs: int = 1):
        self.x, self.learning_rate, self.epochs = x, learning_rate, epochs
        self.steps: list[np.ndarray] = []
        self.changes: list[np.ndarray] = []
        self.curvatures: list[Any] = []
        self.losses: list[float] = []
        self.gradient = self.direction = np.empty(0, x.dtype)
        self.length = 0.0
        self.iteration = 0  # within the epoch
        self.scale = x.dtype.type(1)

    @property
    def done(self) -> bool:
        """Whether the minimisation has ended."""
        return self.epochs == 0

    def step(self, loss: float, gradient: np.ndarray) -> None:
        """Take `loss` and `gradient` (size,), both at `x`, and move `x`; or end."""
        self.losses.append(float(loss))
        flat = np.abs(gradient).max() <= TOLERANCE_GRADIENT
        settled = self.iteration > 0 and (
            np.abs(self.length * self.direction).max() <= TOLERANCE_CHANGE
            or abs(self.losses[-1] - self.losses[-2]) < TOLERANCE_CHANGE
        )
        if flat or settled:
            self._next_epoch()
            return

        first = self.direction.size == 0
        if first:
            direction = -gradient
        else:
            self._remember(gradient)
            direction = self._two_loops(gradient)
        self.length = (
            self.learning_rate * min(1.0, 1 / float(np.abs(gradient).sum())) if first else self.learning_rate
        )
        self.gradient, self.direction = gradient.copy(), direction
        if not gradient @ direction <= -TOLERANCE_CHANGE:
            self._next_epoch()
            return
        self.x += self.length * direction
        self.iteration += 1
        if self.iteration == MAX_ITERATIONS:
            self._next_epoch()

    def _next_epoch(self) -> None:
        self.iteration = 0
        self.epochs -= 1

    def _remember(self, gradient: np.ndarray) -> None:
        change, step = gradient - self.gradient, self.length * self.direction
        curvature = change @ step
        if curvature > MIN_CURVATURE:
            if len(self.steps) == HISTORY:
                for kept in (self.steps, self.changes, self.curvatures):
                    kept.pop(0)
            self.steps.append(step)
            self.changes.append(change)
            self.curvatures.append(curvature)
            self.scale = curvature / (change @ change)

    def _two_loops(self, gradient: np.ndarray) -> np.ndarray:
        direction = -gradient
        weights = []
        for step, change, curvature in zip(
            reversed(self.steps), reversed(self.changes), reversed(self.curvatures), strict=True
        ):
            weights.append(step @ direction / curvature)
            direction -= weights[-1] * change
        direction *= self.scale
        for step, change, curvature in zip(self.steps, self.changes, self.curvatures, strict=True):
            direction += (weights.pop() - change @ direction / curvature) * step
        return direction


def minimise(rows: np.ndarray, evaluate: Evaluate, learning_rate: float, epochs: int) -> list[list[float]]:
    """Minimise a function of each row, side by side and in place; return the losses before each step.

    `evaluate` is called with the numbers of the rows that go on and these rows (rows, size), and returns
    their losses (rows,) and gradients (rows, size).
    """
    runs = [Lbfgs(row, learning_rate, epochs) for row in rows]
    with np.errstate(all="ignore"):  # a minimisation that diverges is recognised by its loss
        while active := [k for k, run in enumerate(runs) if not run.done]:
            chosen = slice(None) if len(active) == len(runs) else active  # a slice takes no copy
            losses, gradients = evaluate(chosen, rows[chosen])
            for k, loss, gradient in zip(active, losses, gradients, strict=True):
                runs[k].step(loss, gradient)
    return [run.losses for run in runs]
